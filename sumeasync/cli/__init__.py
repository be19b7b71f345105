"""The command line, one file a command group."""

__all__: list[str] = []
