"""How far reviewers agree about one thing: all of them, by agent, by month, and each two of them.

It brings what reviewers said into the shape that `agreement` measures, and keeps the work within bounds.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from datetime import date
from typing import NamedTuple, TypeVar

import numpy as np

from learning_core.feedback.intervals import Estimate
from learning_core.review import agreement
from learning_core.review.agreement import Level, PairAgreement
from learning_core.review.bootstrap import TooLittle
from learning_core.review.tallies import Opinion, Value

Part = TypeVar("Part", date, str)

TOLERANCE = 0.25
"""How far two scores (0-1) may lie apart and still agree."""

ANNOTATORS_PAIRED = 12
AGENTS_COMPARED = 20
MONTHS_SHOWN = 24


class Said(NamedTuple):
    """An opinion, and where it belongs; at most one of each annotator about each item.

    Attributes:
        annotator: Who said it.
        item: The example it was said of.
        value: A name on a nominal level, otherwise a number.
        agent: The agent whose example it is.
        month: The first day of the month in which it was said.
    """

    annotator: str
    item: str
    value: Value
    agent: str
    month: date


class Measured(NamedTuple):
    """How far annotators agree: the share of agreeing pairs, and Krippendorff's alpha.

    The n of either counts items; `judgement_count` counts what was said of them.
    """

    judgement_count: int
    percent: Estimate | TooLittle
    alpha: Estimate | TooLittle


class Details(NamedTuple):
    """The agreement looked at more closely.

    Attributes:
        ordinal: Krippendorff's alpha where only the order of values counts, None on a nominal level.
        kappa: Fleiss' kappa, for which two values are the same or not.
        pairs: Each two of the annotators who judged most, by name.
        annotator_count: How many annotators there are, paired or not.
        months: Month -> the agreement about items judged last in it, oldest first; the latest 24.
        agents: Agent -> the agreement about its items, by name; the 20 judged most.
    """

    ordinal: Estimate | TooLittle | None
    kappa: Estimate | TooLittle
    pairs: list[PairAgreement]
    annotator_count: int
    months: dict[date, Measured]
    agents: dict[str, Measured]


def measure(said: Sequence[Said], level: Level, rng: np.random.Generator) -> Measured:
    """Measure how far annotators agree; numbers agree within TOLERANCE."""
    opinions = _opinions(said)
    percent = agreement.percent_agreement(opinions, _tolerance(level)).estimate(rng)
    return Measured(len(said), percent, agreement.krippendorff_alpha(opinions, level).estimate(rng))


def look_closer(said: Sequence[Said], level: Level, rng: np.random.Generator) -> Details:
    """Measure the agreement by other figures, by month, by agent and by pair of annotators."""
    opinions = _opinions(said)
    ordinal = None if level is Level.NOMINAL else agreement.krippendorff_alpha(opinions, Level.ORDINAL)
    counted = Counter(one.annotator for one in said)
    busiest = {annotator for annotator, _ in counted.most_common(ANNOTATORS_PAIRED)}
    return Details(
        ordinal=ordinal.estimate(rng) if ordinal else None,
        kappa=agreement.fleiss_kappa(opinions).estimate(rng),
        pairs=agreement.pairwise(
            [opinion for opinion in opinions if opinion.annotator in busiest],
            rng,
            _tolerance(level),
            agreement.cohen_kappa if level is Level.NOMINAL else agreement.weighted_kappa,
        ),
        annotator_count=len(counted),
        months={month: measure(part, level, rng) for month, part in _by_month(said)},
        agents={agent: measure(part, level, rng) for agent, part in _by_agent(said)},
    )


def _tolerance(level: Level) -> float:
    return 0.0 if level is Level.NOMINAL else TOLERANCE


def _opinions(said: Iterable[Said]) -> list[Opinion]:
    return [Opinion(one.annotator, one.item, one.value) for one in said]


def _by_month(said: Sequence[Said]) -> list[tuple[date, list[Said]]]:
    """Split by the month in which an item was judged last, so that no item is torn apart."""
    last: dict[str, date] = {}
    for one in said:
        last[one.item] = max(one.month, last.get(one.item, one.month))
    months = _split(said, [last[one.item] for one in said])
    return sorted(months.items())[-MONTHS_SHOWN:]


def _by_agent(said: Sequence[Said]) -> list[tuple[str, list[Said]]]:
    agents = _split(said, [one.agent for one in said])
    most = sorted(agents.items(), key=lambda part: (-len(part[1]), part[0]))[:AGENTS_COMPARED]
    return sorted(most)


def _split(said: Sequence[Said], by: Sequence[Part]) -> dict[Part, list[Said]]:
    parts: defaultdict[Part, list[Said]] = defaultdict(list)
    for one, part in zip(said, by, strict=True):
        parts[part].append(one)
    return parts
