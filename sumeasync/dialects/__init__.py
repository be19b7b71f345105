"""How each API surface spells its requests and answers."""

__all__: list[str] = []
