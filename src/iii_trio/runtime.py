"""Handles that registrations give back."""

from iii_trio._client.handles import FunctionRef

__all__ = ["FunctionRef"]
