"""The job list in place of single questions: what a page is worth, which to ask for, and how far to believe it."""

__all__: list[str] = []
