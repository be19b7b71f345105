"""Everything that can be set, from code, from flags or from a TOML file; flags win over the file.

```toml
max_in_flight = 2000
read_rate = "120/m"
create_rate = "10/m"

[poll.video_generation]
first_delay = 20
interval = 6
deadline = 3600
```
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable
from typing import Any, Literal

import msgspec

from sumeasync.core.polling.policy import DEFAULT_POLICIES, OTHER, Policy
from sumeasync.errors import SettingsError

__all__ = ["Settings"]

COUNTS = ("max_in_flight", "max_unread", "reads", "creates", "creates_per_type", "transfers", "save_attempts")
LIMITS = ("max_file_bytes", "max_job_bytes", "max_job_files", "max_run_bytes", "max_run_files", "spare_bytes")


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How a run behaves. Times are in seconds, rates are texts such as ``120/m``; None means not limited by us.

    `dialect` is the surface of the API that is spoken to. `max_in_flight` bounds the specs under way (about 1 kB each),
    `max_unread` the outcomes nobody has read yet. `reads`, `creates` and `transfers` bound the requests open at once;
    `creates_per_type` above 1 is faster, and gives up the certainty with which a lost answer is matched to its job.
    `on_timeout` is what happens to a job whose deadline has passed.
    `grace` is how long creates under way may still bring their ids home when a run is interrupted. `max_…_bytes` and
    `max_…_files` bound the media kept of one file, one job and one run; `spare_bytes` stay free on the disk, or nothing
    more is created. `learn` is whether polls follow the durations seen (in the output directory `learn_from`
    of another run, too), `sweep` whether the job list is asked where that saves
    requests. `same_account` says that a key other than the one the output directory was begun with belongs to the same
    account. `poll` holds what differs from the default policies, by type (``*``: all others).
    """

    dialect: Literal["so", "open"] = "so"
    max_in_flight: int = 100_000
    max_unread: int = 1000
    reads: int = 32
    creates: int = 8
    creates_per_type: int = 1
    transfers: int = 8
    read_rate: str | None = None
    create_rate: str | None = None
    read_day_rate: str | None = None
    create_day_rate: str | None = None
    connect_timeout: float = 10.0
    read_timeout: float = 30.0
    total_timeout: float = 120.0
    grace: float = 30.0
    on_timeout: Literal["leave", "cancel"] = "leave"
    save_attempts: int = 12
    download: bool = True
    keep_links: bool = False
    max_file_bytes: int = 4 << 30
    max_job_bytes: int = 16 << 30
    max_job_files: int = 100
    max_run_bytes: int | None = None
    max_run_files: int | None = None
    spare_bytes: int = 256 << 20
    media_hosts: tuple[str, ...] = ()
    trust_env: bool = False
    recreate_unknown: bool = False
    same_account: bool = False
    learn: bool = True
    learn_from: str | None = None
    sweep: bool = True
    poll: dict[str, dict[str, float | None]] = {}

    def __post_init__(self) -> None:
        for name in COUNTS + LIMITS:
            if (number := getattr(self, name)) is not None and number < 1:
                raise SettingsError(f"{name} must be at least 1")
        for name in ("connect_timeout", "read_timeout", "total_timeout", "grace"):
            if not getattr(self, name) > 0:
                raise SettingsError(f"{name} must be positive")
        self.policies()

    def policies(self) -> dict[str, Policy]:
        """The polling policy of every type that has one, defaults included. Raises SettingsError."""
        merged = dict(DEFAULT_POLICIES)
        for type in sorted(self.poll, key=lambda type: type != OTHER):  # what holds for every other type comes first
            base = msgspec.structs.asdict(merged.get(type) or merged[OTHER])
            try:
                merged[type] = msgspec.convert(base | self.poll[type], Policy)
            except (msgspec.ValidationError, SettingsError) as problem:
                raise SettingsError(f"poll.{type}: {problem}") from None
        return merged

    @classmethod
    def load(cls, toml: str = "", *, polls: Iterable[str] = (), **flags: Any) -> Settings:
        """Settings from a TOML text, overridden by flags; a flag that is None was not given.

        `polls` are texts such as ``video_generation.interval=8``. Raises SettingsError naming what to correct.
        """
        try:
            table = tomllib.loads(toml)
        except (ValueError, RecursionError) as problem:  # beside TOMLDecodeError: numbers too long, nested too deep
            raise SettingsError(f"the settings file is not valid TOML: {problem}") from None
        table |= {name: value for name, value in flags.items() if value is not None}
        table["poll"] = _merge_polls(table.get("poll", {}), polls)
        try:
            return msgspec.convert(table, cls)
        except msgspec.ValidationError as problem:
            raise SettingsError(f"settings: {problem}") from None


def _merge_polls(table: Any, polls: Iterable[str]) -> Any:
    if not (isinstance(table, dict) and all(isinstance(changes, dict) for changes in table.values())):
        raise SettingsError("poll must be a table by type, such as [poll.video_generation]")
    merged = {type: dict(changes) for type, changes in table.items()}
    for text in polls:
        name, equals, value = text.partition("=")
        type, dot, field = name.rpartition(".")
        try:
            number = None if value == "none" else float(value)
        except ValueError:
            equals = ""
        if not (equals and dot and type and field in Policy.__struct_fields__):
            fields = ", ".join(Policy.__struct_fields__)
            raise SettingsError(f"{text!r} is not TYPE.FIELD=SECONDS; the fields are {fields}")
        merged.setdefault(type, {})[field] = number
    return merged
