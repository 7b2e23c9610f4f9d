"""Plain values that users make and receive, one file a topic. No machinery, no I/O."""
