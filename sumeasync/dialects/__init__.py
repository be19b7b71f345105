"""How each API surface spells its requests and answers."""
