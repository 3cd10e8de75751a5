"""What Heliograph shall reach beside its peers, and whether a comparison shows it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

# {work: {gateway: {figure: value}}}: medians of the runs, and the reports of kill and queue.
Figures = Mapping[str, Mapping[str, Mapping[str, float]]]
_HELIOGRAPH, _POSTGRESQL = "heliograph", "heliograph-postgresql"


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """One goal: what was reached of what was wanted."""

    goal: str
    reached: float
    wanted: float
    at_most: bool = False

    @property
    def is_met(self) -> bool:
        if self.at_most:
            return self.reached <= self.wanted
        return self.reached >= self.wanted


@dataclass(frozen=True, slots=True, kw_only=True)
class Goal:
    """Absolute figures are for a machine with two cores that also carries loader and operator."""

    work: str
    figure: str
    at_least: float | None = None
    at_most: float | None = None
    times: tuple[tuple[str, float], ...] = ()  # (peer, as many times as fast)


GOALS = (
    Goal(
        work="single",
        figure="rate",
        at_least=12_000,
        times=(("kannel", 1.25), ("jasmin", 25)),
    ),
    Goal(work="single", figure="cpu_us", at_most=90),
    Goal(work="receipts", figure="end_rate", at_least=7_500, times=(("kannel", 2),)),
    Goal(work="receipts", figure="cpu_us", at_most=200),
    Goal(
        work="smpp",
        figure="rate",
        at_least=25_000,
        times=(("jasmin", 50), ("jasmin-tuned", 30)),
    ),
    Goal(work="smpp", figure="cpu_us", at_most=35),
    Goal(work="smpp-receipts", figure="rate", at_least=12_000, times=(("jasmin-tuned", 25),)),
    Goal(work="smpp-receipts", figure="cpu_us", at_most=75),
    Goal(work="bulk", figure="rate", at_least=40_000),
    Goal(work="bulk", figure="cpu_us", at_most=20),
    Goal(work="distant20", figure="rate", at_least=4_500, times=(("kannel", 1), ("jasmin", 1))),
    Goal(work="paced", figure="answer_p99_ms", at_most=5),
    Goal(work="queued", figure="idle_mb", at_most=120),
    Goal(work="queued", figure="queued_mb", at_most=700),
    Goal(work="queued", figure="resume_s", at_most=10),
    Goal(work="kill", figure="lost", at_most=0),
)
# On PostgreSQL it shall be half as fast as on SQLite.
_POSTGRESQL_SHARE = 0.5
_RATES = ("single", "receipts", "smpp", "smpp-receipts", "bulk", "distant20")


def judge(figures: Figures) -> list[Verdict]:
    """One verdict for each goal whose figures are there."""
    verdicts: list[Verdict] = []
    for goal in GOALS:
        reached = figures.get(goal.work, {}).get(_HELIOGRAPH, {}).get(goal.figure)
        if reached is not None:
            verdicts += _judge_goal(goal, reached, figures)
    for work in _RATES:
        rows = figures.get(work, {})
        if _HELIOGRAPH in rows and _POSTGRESQL in rows:
            wanted = rows[_HELIOGRAPH]["rate"] * _POSTGRESQL_SHARE
            name = f"{work}: on PostgreSQL at least {_POSTGRESQL_SHARE} x SQLite"
            verdicts.append(Verdict(goal=name, reached=rows[_POSTGRESQL]["rate"], wanted=wanted))
    return verdicts


def _judge_goal(goal: Goal, reached: float, figures: Figures) -> list[Verdict]:
    made: list[Verdict] = []
    if goal.at_least is not None:
        name = f"{goal.work}: {goal.figure} at least {goal.at_least:,.0f}"
        made.append(Verdict(goal=name, reached=reached, wanted=goal.at_least))
    if goal.at_most is not None:
        name = f"{goal.work}: {goal.figure} at most {goal.at_most:,.0f}"
        made.append(Verdict(goal=name, reached=reached, wanted=goal.at_most, at_most=True))
    for peer, factor in goal.times:
        theirs = figures[goal.work].get(peer, {}).get(goal.figure)
        if theirs:
            name = f"{goal.work}: {goal.figure} at least {factor:g} x {peer}"
            made.append(Verdict(goal=name, reached=reached, wanted=theirs * factor))
    return made
