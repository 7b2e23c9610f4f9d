"""The trio tasks that move frames between a session and a socket (docs/architecture.md, "The way of a call")."""
