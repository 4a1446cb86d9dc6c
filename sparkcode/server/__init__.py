"""The shell of the engine side: one port for HTTP and WebSocket."""
