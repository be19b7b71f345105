"""Which way of reading a job list is worth most, by what its rounds took and told."""

from __future__ import annotations

from sumeasync.core.job import Job, Step
from sumeasync.core.sweep.rounds import Round, Way
from sumeasync.core.sweep.ways import MOST_WORDS, Ways
from sumeasync.models import JobView, Spec


def ended(number: int) -> Job:
    """A job that completed."""
    return Job(Spec("k"), Step.RESULT, f"job_{number}", status="completed")


def read(ways: Ways, way: Way, *, pages: int = 1, waiting: int = 1000, shown: tuple[str, ...] = ()) -> Round:
    """A round of so many pages that showed these ids."""
    one = Round(way, 0.0, waiting, ways.walks(way), ways.page)
    one.pages = pages
    one.found |= set(shown)
    ways.began(way)
    ways.ended(one)
    return one


def test_few_jobs_are_read_in_one_page() -> None:
    """What fits one page is read whatever its state."""
    assert Ways().choose(50) == "all"


def test_the_cheaper_full_way_is_taken() -> None:
    """When the newest are mostly others' or long over, only the active ones are read."""
    ways = Ways()
    ways.note(read(ways, "all", pages=60), told=900)
    assert ways.choose(1000) == "active"


def test_a_way_the_server_refuses_is_not_taken() -> None:
    """What is refused costs more than anything else."""
    ways = Ways()
    ways.rule_out("all")
    assert ways.choose(50) == "active"


def test_the_finished_are_read_once_they_have_proven_to_show_all() -> None:
    """While the finished way shows what full rounds found ended, it is taken; when it hides that, no more."""
    for good in (True, False):
        ways = Ways()
        for start in range(0, 40, 10):
            read(ways, "all", pages=10)
            jobs = [ended(number) for number in range(start, start + 10)]
            ways.found("all", jobs)
            read(ways, "finished", shown=tuple(job.id or "" for job in jobs) if good else ())
        assert ways.trusts_finished is good
        assert (ways.choose(1000) == "finished") is good


def test_states_are_asked_for_in_the_servers_words() -> None:
    """Walks use the spellings seen, waiting jobs first; without any, the usual ones."""
    ways = Ways()
    assert ways.walks("active") == ["queued", "running"]
    for view in (JobView("a", "running", "in_progress"), JobView("b", "queued", "pending"), JobView("c", None, "odd")):
        ways.spelled(view.word, view.status)
    assert ways.walks("active") == ["pending", "in_progress", "odd"]


def test_words_without_end_are_not_kept() -> None:
    """A server that invents a word a job fills no memory."""
    ways = Ways()
    for number in range(1000):
        ways.spelled(f"word-{number}", None)
    assert len(ways.words) == MOST_WORDS


def test_a_list_without_filters_is_read_whole() -> None:
    """Where the status has no effect, neither the active nor the finished ones are asked for again."""
    ways = Ways()
    one = Round("active", 0.0, 1000, ["running"], 100)
    one.read([JobView("job_1", "completed", "completed")], None, {})
    ways.ended(one)
    ways.note(read(ways, "all", pages=90), told=1000)
    assert (ways.choose(1000), ways.hopeless) == ("all", False)
    ways.rule_out("all")
    assert ways.hopeless


def test_a_full_round_in_time() -> None:
    """The finished way gives way to a full one when what the last one showed is stale."""
    ways = Ways()
    for start in range(0, 40, 10):
        read(ways, "all", pages=10)
        done = [ended(number) for number in range(start, start + 10)]
        ways.found("all", done)
        read(ways, "finished", shown=tuple(job.id or "" for job in done))
    assert (ways.choose(1000), ways.choose(1000, stale=True)) == ("finished", "all")


def test_some_rounds_are_whole() -> None:
    """Pages may be left out, but not after a round that could not say of most jobs where they are."""
    ways = Ways()
    ways.note(read(ways, "all"), told=990)
    assert ways.may_skip()
    ways.note(read(ways, "all"), told=500)
    assert not ways.may_skip()
