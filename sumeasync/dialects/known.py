"""The dialects by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from sumeasync.dialects.base import Dialect
from sumeasync.dialects.open import Open
from sumeasync.dialects.so import So

__all__ = ["DIALECTS"]

DIALECTS: Final[Mapping[str, Callable[[], Dialect]]] = {"so": So, "open": Open}
"""What `Settings.dialect` may name, and what makes it."""
