"""Deterministic time, network and disk for tests of this engine and of programs that use it."""
