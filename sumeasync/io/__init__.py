"""Does: network and disk, no decisions."""

__all__: list[str] = []
