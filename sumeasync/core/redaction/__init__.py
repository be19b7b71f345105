"""What may be shown, in parts; `sumeasync.core.redact` is the door."""

from __future__ import annotations

__all__: list[str] = []
