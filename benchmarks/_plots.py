"""Delay against what it costs, drawn: SVG written by hand, readable on a light and on a dark page."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape

from _fleet import clairvoyant, engine, fleet, peer, steady
from _schedules import PEERS, fixed

from sumeasync.core.settings import Settings

__all__ = ["fleet_plot", "job_plot"]

Point = tuple[float, float]
Mix = Sequence[tuple[str, float, float]]

INTERVALS = (1.5, 2.0, 3.0, 4.5, 6.0, 9.0, 13.0, 20.0)
RATES = (15.0, 20.0, 30.0, 50.0, 80.0, 120.0)
JOBS, TOGETHER, SPAN = 2000, 100, (300.0, 900.0)
FLEET = 500
LEAST_SECONDS = 0.02
"""Below this a delay is drawn as this."""

WIDTH, HEIGHT, LEFT, TOP, RIGHT, BOTTOM = 720, 420, 62, 34, 20, 48
STYLE = """
text{font:13px system-ui,sans-serif;fill:#333}.title{font-weight:600}.grid{stroke:#8884}.a{fill:none;stroke-width:2.5}
.c0{stroke:#c2410c}.c1{stroke:#2563eb}.c2{stroke:#15803d}.c3{stroke:#777}text.c0{fill:#c2410c;stroke:none}
text.c1{fill:#2563eb;stroke:none}text.c2{fill:#15803d;stroke:none}text.c3{fill:#777;stroke:none}circle{fill:#777}
@media(prefers-color-scheme:dark){text{fill:#ddd}.c0{stroke:#fb923c}.c1{stroke:#60a5fa}.c2{stroke:#4ade80}
.c3{stroke:#aaa}text.c0{fill:#fb923c}text.c1{fill:#60a5fa}text.c2{fill:#4ade80}text.c3{fill:#aaa}circle{fill:#aaa}}
"""


class Plot:
    """Two logarithmic axes with room for curves and points; `x` and `y` are their ends."""

    def __init__(self, title: str, x: Point, y: Point, x_label: str, y_label: str) -> None:
        self._x, self._y = x, y
        middle = (TOP + HEIGHT - BOTTOM) / 2
        self._parts = [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img">',
            f"<title>{escape(title)}</title><style>{STYLE}</style>",
            f'<text class="title" x="{LEFT}" y="20">{escape(title)}</text>',
            f'<text x="{(LEFT + WIDTH - RIGHT) / 2}" y="{HEIGHT - 8}" text-anchor="middle">{escape(x_label)}</text>',
            f'<text transform="translate(15 {middle}) rotate(-90)" text-anchor="middle">{escape(y_label)}</text>',
        ]
        for value in ticks(*x):
            at = self._place((value, y[0]))
            self._parts.append(f'<path class="grid" d="M{at[0]:.1f} {TOP}V{at[1]:.1f}"/>')
            self._parts.append(f'<text x="{at[0]:.1f}" y="{at[1] + 17:.1f}" text-anchor="middle">{value:g}</text>')
        for value in ticks(*y):
            at = self._place((x[0], value))
            self._parts.append(f'<path class="grid" d="M{at[0]:.1f} {at[1]:.1f}H{WIDTH - RIGHT}"/>')
            self._parts.append(f'<text x="{at[0] - 7:.1f}" y="{at[1] + 4:.1f}" text-anchor="end">{value:g}</text>')

    def curve(self, number: int, points: Sequence[Point], label: str, at: int = -1, dx: int = 0, dy: int = -9) -> None:
        """A line through points, labelled beside the one numbered `at`."""
        places = [self._place(point) for point in points]
        path = "L".join(f"{x:.1f} {y:.1f}" for x, y in places)
        self._parts.append(f'<path class="a c{number}" d="M{path}"/>')
        self._write(places[at], label, dx, dy, f"c{number}")

    def point(self, point: Point, label: str, dx: int = 7, dy: int = 4) -> None:
        """A dot with its name."""
        place = self._place(point)
        self._parts.append(f'<circle cx="{place[0]:.1f}" cy="{place[1]:.1f}" r="4"/>')
        self._write(place, label, dx, dy, "")

    def text(self) -> str:
        """The document."""
        return "\n".join([*self._parts, "</svg>", ""])

    def _write(self, place: Point, label: str, dx: int, dy: int, style: str) -> None:
        anchor = "end" if dx < 0 else "start" if dx > 0 else "middle"
        where = f'x="{place[0] + dx:.1f}" y="{place[1] + dy:.1f}" text-anchor="{anchor}"'
        self._parts.append(f'<text class="{style}" {where}>{escape(label)}</text>')

    def _place(self, point: Point) -> Point:
        across, up = share(point[0], self._x), share(point[1], self._y)
        return LEFT + across * (WIDTH - LEFT - RIGHT), HEIGHT - BOTTOM - up * (HEIGHT - TOP - BOTTOM)


def share(value: float, ends: Point) -> float:
    """Where a value lies between two ends, on a logarithmic scale."""
    return math.log(max(value, ends[0]) / ends[0]) / math.log(ends[1] / ends[0])


def ticks(low: float, high: float) -> list[float]:
    """1, 2 and 5 of each decade between two ends."""
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    values = [float(f"{digit}e{decade}") for decade in decades for digit in (1, 2, 5)]
    return [value for value in values if low <= value <= high]


def job_plot(kind: tuple[str, float, float], seed: int) -> str:
    """Jobs of one type, requests as many as one likes: delay against status requests a job."""
    kinds = fleet([kind], JOBS, TOGETHER)
    plot = Plot(
        f"One {kind[1]:g} s video job: delay against status requests (100 jobs in flight)",
        (0.3, 300.0),
        (0.1, 60.0),
        "status requests a job (polls and list pages)",
        "mean detection delay, s",
    )

    def tuned(interval: float, *, sweep: bool) -> Point:
        policy: dict[str, float | None] = {"interval": interval, "cap": max(30.0, interval), "first_delay": 0.0}
        figures = engine(kinds, seed, None, Settings(sweep=sweep, poll={kind[0]: policy}))
        return figures["polls"], figures["mean"]

    fixes = [peer(fixed(seconds), kinds, seed) for seconds in (0.5, 2.0, 5.0, 12.0, 30.0)]
    plot.curve(3, [(figures["polls"], figures["mean"]) for figures in fixes], "")
    plot.curve(1, [tuned(interval, sweep=False) for interval in INTERVALS], "this engine, learned", 5, -12, 14)
    plot.curve(2, [tuned(interval, sweep=True) for interval in INTERVALS], "… and with job lists", 4, 12, 0)
    for name, schedule in PEERS.items():
        figures = peer(schedule, kinds, seed)
        plot.point((figures["polls"], figures["mean"]), name, *JOB_LABELS.get(name, (7, -3)))
    return plot.text()


JOB_LABELS = {"x1.5 to 5 s": (8, 14), "fixed 5 s": (8, -7), "6 ± 1.5 s": (5, -18), "fixed 0.5 s": (-12, 12)}


def fleet_plot(mix: Mix, seed: int) -> str:
    """Many jobs and few requests: delay against the budget."""
    kinds = steady(mix, FLEET, SPAN[1])
    alone = Settings(sweep=False)
    curves = {
        "every job in turn": [peer(fixed(0.0), kinds, seed, rate, span=SPAN) for rate in RATES],
        "this engine, learned": [engine(kinds, seed, rate, alone, span=SPAN) for rate in RATES],
        "… and with job lists": [engine(kinds, seed, rate, span=SPAN) for rate in RATES],
        "clairvoyant": [clairvoyant(kinds, seed, rate, span=SPAN) for rate in RATES],
    }
    plot = Plot(
        f"{FLEET} jobs in flight (images, videos, analyses): delay against the budget",
        (RATES[0], RATES[-1]),
        (LEAST_SECONDS, 40.0),
        "reads allowed a second (results included)",
        "mean detection delay, s",
    )
    for number, (name, rows) in enumerate(curves.items()):
        points = [(rate, figures["mean"]) for rate, figures in zip(RATES, rows, strict=True)]
        plot.curve(number if number < 3 else 3, points, name, *FLEET_LABELS[number])
    return plot.text()


FLEET_LABELS = ((2, 10, -8), (1, 0, 26), (3, 0, -9), (1, 10, -4))
