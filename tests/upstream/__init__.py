"""Tests of sparkcode.upstream."""
