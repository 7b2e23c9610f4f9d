"""An invocation becomes a task: what a handler takes, what it knows, and what its caller is answered."""
