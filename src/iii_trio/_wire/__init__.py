"""The wire: one attrs class a frame, bytes to and from frames, URLs. No I/O (docs/wire.md)."""
