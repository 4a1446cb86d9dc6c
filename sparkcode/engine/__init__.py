"""Engines: a request in, steps out, each with its simulated time."""
