"""Decides: synchronous, no I/O, time and randomness are arguments."""
