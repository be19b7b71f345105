"""``python -m sumeasync`` and the ``sumeasync`` command."""

from __future__ import annotations

from sumeasync.cli.app import main

__all__ = ["main"]

if __name__ == "__main__":
    main()
