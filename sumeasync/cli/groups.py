"""Options that go together, each group a value; `grouped` spreads them out again for who parses the command line."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, get_type_hints

import msgspec

from sumeasync.cli import options

if TYPE_CHECKING:
    from sumeasync.cli.batch import Logging, Show
    from sumeasync.core.settings import Settings

__all__ = ["Access", "Pace", "Says", "grouped"]


class Access(msgspec.Struct, frozen=True):
    """Where the API lives, and who asks."""

    dialect: options.Dialect = None
    base_url: options.BaseUrl = None
    key_file: options.KeyFile = None

    def api_key(self) -> str | None:
        """The key of the key file; None leaves it to the environment. Raises UsageError."""
        return options.read_key(self.key_file)


class Pace(msgspec.Struct, frozen=True):
    """How often the API is asked, and by what."""

    config: options.Config = None
    poll: options.Poll = None
    max_in_flight: options.MaxInFlight = None
    read_rate: options.ReadRate = None
    learn_from: options.LearnFrom = None
    no_learn: options.NoLearn = False
    no_sweep: options.NoSweep = False

    def settings(self, **flags: object) -> Settings:
        """The settings of a run, with other flags; None is what was not given. Raises SettingsError, UsageError."""
        return options.load_settings(
            self.config,
            self.poll,
            max_in_flight=self.max_in_flight,
            read_rate=self.read_rate,
            learn=False if self.no_learn else None,
            learn_from=str(self.learn_from) if self.learn_from else None,
            sweep=False if self.no_sweep else None,
            **flags,
        )


class Says(msgspec.Struct, frozen=True):
    """What is shown, and what is logged where."""

    quiet: options.Quiet = False
    json: options.Json = False
    verbose: options.Verbose = 0
    log_format: options.LogFormat = "console"
    log_level: options.LogLevel = None
    log_file: options.LogFile = None

    def show(self, *, keep_links: bool) -> Show:
        """What is shown of a batch."""
        from sumeasync.cli.batch import Show

        return Show(json=self.json, quiet=self.quiet, keep_links=keep_links)

    def logging(self) -> Logging:
        """What is logged."""
        from sumeasync.cli.batch import Logging

        return Logging(self.log_format, self.log_level, self.verbose, str(self.log_file) if self.log_file else None)


def grouped(command: Callable[..., None]) -> Callable[..., None]:
    """The command with the options of a group in place of each parameter that is one."""
    hints = get_type_hints(command, include_extras=True)
    groups = {name: kind for name, kind in hints.items() if isinstance(kind, type) and issubclass(kind, msgspec.Struct)}

    @functools.wraps(command)
    def spread(**given: Any) -> None:
        made = {name: kind(**{one: given.pop(one) for one in kind.__struct_fields__}) for name, kind in groups.items()}
        command(**given, **made)

    def parameters() -> Iterator[inspect.Parameter]:
        for name, one in inspect.signature(command).parameters.items():
            if name in groups:
                yield from options_of(groups[name])
            else:
                yield one.replace(annotation=hints[name], kind=inspect.Parameter.KEYWORD_ONLY)

    vars(spread)["__signature__"] = inspect.Signature(list(parameters()))
    return spread


def options_of(group: type[msgspec.Struct]) -> Iterator[inspect.Parameter]:
    """The options of a group, as parameters of a command."""
    hints = get_type_hints(group, include_extras=True)
    for field in msgspec.structs.fields(group):
        yield inspect.Parameter(
            field.name, inspect.Parameter.KEYWORD_ONLY, default=field.default, annotation=hints[field.name]
        )
