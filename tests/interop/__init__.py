"""Processes that tests talk to: engines that can be killed, and a worker on the official SDK."""
