"""Asynchronous job-polling engine for the Sume media API."""
