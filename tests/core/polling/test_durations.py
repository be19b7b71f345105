from __future__ import annotations

import math
import random
import timeit
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sumeasync.core.polling.durations import RUN, Durations, Model, size_of
from sumeasync.core.records import Ended

MEDIAN, SIGMA = 90.0, 0.35  # a video


def lognormal(rng: random.Random, factor: float = 1.0) -> float:
    """One job's duration in seconds."""
    return factor * MEDIAN * math.exp(SIGMA * rng.gauss(0.0, 1.0))


def poll(model: Model, duration: float, threshold: float) -> tuple[int, float, float]:
    """Poll one job whenever the expected undetected time reaches `threshold`: (polls, last seen alive, detected)."""
    polls, alive, age = 0, 0.0, 0.0
    while age < duration:
        polls, alive = polls + 1, age
        age += min(max(model.gap(age, threshold), 0.5), 120.0)
    return polls, alive, age


def learned(seed: int, jobs: int = 400) -> Model:
    """A model that began with a wrong guess and polled its jobs by its own schedule."""
    rng, model = random.Random(seed), Model(60.0)
    for _ in range(jobs):
        _, alive, detected = poll(model, lognormal(rng), 0.5)
        model.observe(alive, detected)
    return model


def evaluate(model: Model, sample: list[float], threshold: float) -> tuple[float, float]:
    """Mean polls a job and mean detection delay in seconds."""
    runs = [poll(model, duration, threshold) for duration in sample]
    delay = sum(detected - duration for (_, _, detected), duration in zip(runs, sample, strict=True))
    return sum(polls for polls, _, _ in runs) / len(sample), delay / len(sample)


def fixed_delay(sample: list[float], polls: float) -> float:
    """Mean detection delay of the fixed interval that spends `polls` polls a job."""
    low, high = 0.05, 500.0
    for _ in range(60):
        interval = 0.5 * (low + high)
        spent = sum(math.ceil(duration / interval) for duration in sample) / len(sample)
        low, high = (interval, high) if spent > polls else (low, interval)
    return sum(math.ceil(duration / high) * high - duration for duration in sample) / len(sample)


SEEDS = pytest.mark.parametrize("seed", [1, 2, 3])
MODELS = [Model(60.0), learned(1, 30), learned(2, 300)]
ages = st.floats(0.0, 200_000.0)
thresholds = st.floats(0.0, 1e5)
models = st.sampled_from(MODELS)


@SEEDS
@pytest.mark.parametrize(("threshold", "bound"), [(1.5, 0.55), (0.25, 0.59), (0.08, 0.59)])
def test_beats_a_fixed_interval(threshold: float, bound: float, seed: int) -> None:
    """At equal polls the learned schedule waits at most 0.55-0.59 of what a fixed interval does."""
    rng = random.Random(1000 + seed)
    sample = [lognormal(rng) for _ in range(1500)]
    polls, delay = evaluate(learned(seed), sample, threshold)
    assert delay <= bound * fixed_delay(sample, polls)


@SEEDS
@pytest.mark.parametrize("factor", [1.5, 0.7])
def test_survives_being_wrong(factor: float, seed: int) -> None:
    """Jobs half again as slow as learned (or as much faster) are still found, no later than at a fixed interval."""
    rng = random.Random(1000 + seed)
    sample = [lognormal(rng, factor) for _ in range(500)]
    polls, delay = evaluate(learned(seed), sample, 0.25)
    assert polls < 25
    assert delay <= fixed_delay(sample, polls)


def test_late_polls_are_no_reason_for_distrust() -> None:
    """Jobs that were asked minutes late, because others went first, tell how long they took, not how well it fits."""
    model = learned(1)
    for _ in range(50):
        model.observe(20.0, 600.0, 90.0)
        assert model.trusted


@SEEDS
@pytest.mark.parametrize(("factor", "ever_distrusted"), [(1.0, False), (1.5, False), (6.0, True), (0.3, True)])
def test_trust(factor: float, ever_distrusted: bool, seed: int) -> None:
    """A model far off is found out within fifteen jobs; one that fits, or nearly, is not doubted."""
    model, rng, doubts = learned(seed), random.Random(seed), list[bool]()
    for _ in range(15):
        _, alive, detected = poll(model, lognormal(rng, factor), 0.3)
        model.observe(alive, detected)
        doubts.append(not model.trusted)
    assert any(doubts) == ever_distrusted


def test_trust_returns() -> None:
    """Once the new durations are learned the model is trusted again."""
    model, rng = learned(1), random.Random(1)
    for _ in range(300):
        _, alive, detected = poll(model, lognormal(rng, 4.0), 0.3)
        model.observe(alive, detected)
    assert model.trusted
    assert model.quantile(0.5) == pytest.approx(4.0 * MEDIAN, rel=0.15)


@SEEDS
def test_learns_the_distribution(seed: int) -> None:
    """After 400 jobs seen only between polls the quartiles are right within 10 %."""
    model = learned(seed)
    for p, z in [(0.25, -0.6745), (0.5, 0.0), (0.75, 0.6745)]:
        assert model.quantile(p) == pytest.approx(MEDIAN * math.exp(SIGMA * z), rel=0.1)


def test_starts_from_the_prior() -> None:
    """With nothing seen the median is the typical duration given; 20 exact jobs move it half way."""
    model = Durations({"video": 60.0}).model("video")
    assert model.quantile(0.5) == pytest.approx(60.0, rel=0.1)
    for _ in range(20):
        model.observe(200.0, 200.0)
    assert 60.0 < model.quantile(0.4) < model.quantile(0.6) < 230.0


def test_follows_drift() -> None:
    """What is 200 jobs old counts half: after 400 jobs the new duration holds nearly everything."""
    model = Model(60.0)
    for duration in [30.0] * 1000 + [300.0] * 400:
        model.observe(duration, duration)
    assert 1.0 - model.survival(60.0) == pytest.approx(0.25 * 0.95, abs=0.04)


def test_a_wide_span_follows_the_model() -> None:
    """A job that ended anywhere between 1 s and 1000 s does not blur what narrow spans have shown."""
    model = Model(60.0)
    for _ in range(200):
        model.observe(99.0, 101.0)
        model.observe(1.0, 1000.0)
    assert 1.0 - model.survival(75.0) < 0.15
    assert model.survival(130.0) < 0.15


def test_jobs_cut_short_are_not_taken_for_ended() -> None:
    """Jobs seen running at a certain age, and no further, only raise what is expected after it."""
    model = Model(60.0)
    for _ in range(100):
        model.observe(120.0, math.inf)
    assert model.survival(120.0) > 0.8


def test_jobs_may_last_for_ever() -> None:
    """Jobs still running after most of a day make it likely that some outlast the table."""
    model = Model(60.0)
    for _ in range(100):
        model.observe(80_000.0, math.inf)
    assert model.survival(1e6) > 0.4


def test_neighbours_share() -> None:
    """Equal durations make near ones likely too: a few jobs do not tell an age to 10 %."""
    model = Model(60.0)
    for _ in range(100):
        model.observe(100.0, 100.0)
    assert model.survival(86.0) - model.survival(97.0) > 0.15


@pytest.mark.parametrize(
    ("low", "high"), [(5.0, 4.0), (-1.0, 3.0), (math.nan, 3.0), (1.0, math.nan), (-math.inf, math.inf)]
)
def test_nonsense_is_passed_over(low: float, high: float) -> None:
    """Ages that cannot be, as after a step of the wall clock, teach nothing."""
    model = Model(60.0)
    model.observe(low, high)
    assert model.jobs == 0


def test_exact_figures_stay_within_what_was_seen() -> None:
    """The server's own duration sharpens the span between two polls and cannot contradict it."""
    model = Model(60.0)
    for exact in [95.0, 1e9, -5.0, math.nan, math.inf]:
        model.observe(90.0, 100.0, exact)
    assert model.jobs == 5
    assert model.survival(85.0) - model.survival(105.0) > 0.15


@given(models, ages, ages)
def test_survival_falls(model: Model, a: float, b: float) -> None:
    """R falls from 1, stays above 0, and S grows by no more than time."""
    a, b = sorted((a, b))
    assert 1.0 >= model.survival(a) >= model.survival(b) > 0.0
    assert -1e-6 <= model.integral(b) - model.integral(a) <= (b - a) * (1.0 + 1e-9) + 1e-6


@given(models, st.floats(0.0, 80_000.0), st.floats(0.01, 1.0))
def test_tables_agree(model: Model, t: float, step: float) -> None:
    """S is the integral of R."""
    rise = model.integral(t + step) - model.integral(t)
    assert model.survival(t + step) * step - 1e-6 <= rise <= model.survival(t) * step + 1e-6


@given(models, st.floats(0.0, 0.9))
def test_quantile_inverts_survival(model: Model, p: float) -> None:
    """The share p has ended by the p-quantile."""
    assert 1.0 - model.survival(model.quantile(p)) == pytest.approx(p, abs=1e-9)


@given(models, ages, thresholds)
def test_gap_inverts_undetected(model: Model, a: float, threshold: float) -> None:
    """After the gap the expected undetected time is the threshold."""
    gap = model.gap(a, threshold)
    assert gap >= threshold or threshold < 1e-9
    if gap < math.inf:
        assert model.undetected(a, a + gap) == pytest.approx(threshold, rel=1e-3, abs=1e-4)


@given(models, ages, st.floats(0.0, 1e4), st.floats(0.0, 1e4))
def test_undetected_rises(model: Model, a: float, first: float, more: float) -> None:
    """A is 0 at once, only rises, and never exceeds the time that passed."""
    assert model.undetected(a, a) == model.undetected(a, a - 1.0) == 0.0
    assert model.undetected(-1.0 - a, first) == model.undetected(0.0, first)
    shorter, longer = model.undetected(a, a + first), model.undetected(a, a + first + more)
    assert 0.0 <= shorter <= longer + 1e-6
    assert shorter <= first + 1e-6


@given(models, ages, thresholds, thresholds)
def test_gap_rises(model: Model, a: float, small: float, large: float) -> None:
    """A higher threshold never asks sooner."""
    small, large = sorted((small, large))
    assert model.gap(a, small) <= model.gap(a, large) * (1 + 1e-9) + 1e-6


def test_the_price_of_a_poll_goes_by_the_mean() -> None:
    """Where one job in ten takes six times as long, an interval is worth what it is on the mean duration."""
    model, rng = Model(300.0), random.Random(1)
    for _ in range(500):
        exact = 15.0 if rng.random() < 0.9 else 90.0
        model.observe(exact, exact)
    assert model.usual == pytest.approx(15.0, rel=0.1)
    assert model.worth_of(6.0) == pytest.approx(36.0 / (2 * (0.9 * 15 + 0.1 * 90)), rel=0.15)
    assert model.worth_of(50.0) == 25.0


def test_beyond_a_day() -> None:
    """Past the table nothing is known, and the caller's longest interval decides."""
    model = Model(60.0)
    assert model.gap(1e5, 1.0) == model.quantile(1.0) == math.inf
    model.observe(1e5, 2e5)
    model.observe(10.0, 2e5)
    assert model.jobs == 2
    assert 0.0 < model.survival(1e9) < 0.2


def test_long_runs_stay_finite() -> None:
    """Ten thousand jobs on, the weights have been rescaled and the tables are sound."""
    model = Model(60.0)
    for _ in range(10_000):
        model.observe(80.0, 100.0)
    assert 80.0 < model.quantile(0.5) < 100.0
    assert 0.0 < model.survival(200.0) < 0.01


def ended(status: str = "completed", **times: float | None) -> Ended:
    """A record of one job of type ``video``."""
    known = {"created_at": 1000.0, "started_at": 1030.0, "alive_at": 1085.0, "at": 1095.0} | times
    return Ended("key", "job", status, type="video", **known)


def test_fold_counts_from_creation_and_from_start() -> None:
    """One record teaches the whole age and, apart from it, the running time."""
    durations = Durations({"video": 60.0})
    for _ in range(200):
        durations.fold(ended())
    assert 80.0 < durations.model("video").quantile(0.5) < 100.0
    assert 50.0 < durations.model("video", RUN).quantile(0.5) < 70.0


@pytest.mark.parametrize(
    ("record", "total", "run"),
    [
        (ended("failed"), 1, 1),
        (ended("timed_out"), 1, 1),
        (ended("rejected"), 0, 0),
        (ended("unknown"), 0, 0),
        (ended(started_at=None), 1, 0),
        (ended(created_at=None), 0, 1),
        (ended(alive_at=None), 1, 1),
        (ended(at=900.0), 0, 0),
        (ended(server_seconds=88.0), 1, 1),
    ],
)
def test_fold_takes_what_it_can(record: Ended, total: int, run: int) -> None:
    """A record teaches what it knows; one without times, or of nothing that ran, teaches nothing."""
    durations = Durations()
    durations.fold(record)
    assert (durations.model("video").jobs, durations.model("video", RUN).jobs) == (total, run)


def test_fold_is_pure() -> None:
    """The same records give the same model, however often it was asked in between."""
    rng = random.Random(1)
    records = [ended(at=1086.0 + 50 * rng.random(), alive_at=1080.0 + 6 * rng.random()) for _ in range(300)]
    asked, quiet = Durations(), Durations()
    for record in records:
        asked.fold(record)
        asked.model("video").gap(80.0, 0.5)
        quiet.fold(record)
    times = [float(t) for t in range(0, 300, 7)]
    assert [asked.model("video").survival(t) for t in times] == [quiet.model("video").survival(t) for t in times]


def test_types_and_buckets_are_apart() -> None:
    """What one type, or one bucket of it, teaches does not touch another."""
    durations = Durations({"image": 12.0})
    for _ in range(50):
        durations.model("image", "4k").observe(400.0, 410.0)
    assert durations.model("image", "4k").quantile(0.5) > 300.0
    assert durations.model("image").quantile(0.5) == pytest.approx(12.0, rel=0.1)
    assert durations.model("other").quantile(0.5) == pytest.approx(60.0, rel=0.1)
    assert durations.model("image").trusted


def test_models_are_bounded() -> None:
    """However many types a server invents, memory holds a few hundred models."""
    durations = Durations()
    made = {id(durations.model(f"type-{number}")) for number in range(1000)}
    assert len(made) <= 257
    assert durations.model("type-0") is durations.model("type-0")


def test_queries_and_learning_are_cheap() -> None:
    """A query costs about a microsecond, an observation a few."""
    model = learned(1, 100)
    assert min(timeit.repeat(lambda: model.gap(77.0, 0.3), number=2000, repeat=3)) / 2000 < 50e-6
    assert min(timeit.repeat(lambda: model.observe(80.0, 90.0), number=2000, repeat=3)) / 2000 < 200e-6


def test_shows_itself() -> None:
    """A model's repr tells what it has learned."""
    assert repr(Model(60.0)).startswith("Model(jobs=0, median=6")


@pytest.mark.parametrize(
    ("input", "size"),
    [({}, ""), ({"duration": 4}, "5"), ({"duration": 5.0}, "5"), ({"duration": 15}, "20"), ({"duration": 1e9}, "1000")]
    + [({"duration": odd}, "") for odd in (0, -1, True, "4", None, [], math.nan, math.inf)],
)
def test_sizes(input: dict[str, Any], size: str) -> None:
    """Jobs are told apart by the duration they are asked for, in a few steps; what is no duration tells nothing."""
    assert size_of(input) == size


def test_a_size_is_learned_beside_its_type() -> None:
    """The end of a job of some size counts for the size and for its whole type."""
    durations = Durations()
    durations.fold(Ended("k", "job_1", "completed", 30.0, "t", None, 0.0, 5.0, 29.0, size="5"))
    jobs = {bucket: durations.model("t", bucket).jobs for bucket in ("", "5", RUN, RUN + "5", "10")}
    assert jobs == {"": 1, "5": 1, RUN: 1, RUN + "5": 1, "10": 0}
