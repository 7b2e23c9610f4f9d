"""An engine in Python that speaks the real protocol: a core without I/O, and trio shells around it (docs/engine.md)."""
