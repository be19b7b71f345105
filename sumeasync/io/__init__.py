"""Does: network and disk, no decisions."""
