"""When the next request may go, by every limit there is: set, announced, or found from refusals."""

__all__: list[str] = []
