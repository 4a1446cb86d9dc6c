"""The simulated hardware: pure functions over data files."""
