"""Channels: readers, writers, and what the client needs to make them."""
