"""Sparkcode: a coding assistant whose point is latency you can see, feel and test."""

__version__ = "0.1.0"
