"""The shell of the client side: transports and tapes."""
