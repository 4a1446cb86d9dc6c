"""The gateway's far side: an engine somewhere else, asked over its own protocol."""
