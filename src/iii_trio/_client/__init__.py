"""The client that users hold: `III`, how it begins and ends, and the handles that it gives out."""
