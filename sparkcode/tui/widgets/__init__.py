"""Widgets that show state and hold none."""
