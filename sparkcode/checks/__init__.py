"""Checks on an edit before it is offered: what is plainly wrong with it, without running it."""
