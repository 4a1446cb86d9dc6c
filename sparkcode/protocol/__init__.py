"""The Responses wire: typed events and a sans-I/O machine, used by both ends."""
