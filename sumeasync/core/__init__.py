"""Decides: synchronous, no I/O, time and randomness are arguments."""

__all__: list[str] = []
