"""The protocol without I/O: states, registrations, calls in flight, what waits to be sent.

Nothing here knows trio, sockets or a clock; time is an argument, in seconds.
"""
