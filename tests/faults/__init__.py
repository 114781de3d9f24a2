"""What happens when something breaks: real processes, failing networks, and a stop-watch."""
