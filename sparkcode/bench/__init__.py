"""Measurements of the engine: speed beside a peer on the same processor, and quality on text."""
