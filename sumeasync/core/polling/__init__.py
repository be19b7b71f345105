"""When to ask about a job: as configured, as learned from durations, and whose turn it is when requests are short."""

__all__: list[str] = []
