"""Rows in, figures out: what `agreement` measures is checked in its own tests."""

from __future__ import annotations

from datetime import date

import numpy as np
import pytest

from learning_core.feedback.intervals import Estimate
from learning_core.review import agreement, consensus
from learning_core.review.agreement import Level
from learning_core.review.bootstrap import TooLittle
from learning_core.review.consensus import Said, look_closer, measure
from learning_core.review.tallies import Opinion

MAY, JUNE = date(2026, 5, 1), date(2026, 6, 1)


def rng() -> np.random.Generator:
    return np.random.default_rng(7)


def votes(first: list, second: list, *, agent: str = "tax", month: date = MAY, start: int = 0) -> list[Said]:
    """What Ann and Ben said of the same items."""
    pairs = zip(first, second, strict=True)
    return [
        Said(annotator, f"{agent} {place}", value, agent, month)
        for place, values in enumerate(pairs, start)
        for annotator, value in zip(("Ann", "Ben"), values, strict=True)
    ]


YES, NO = "approve", "reject"
MOSTLY = votes([YES] * 8 + [NO] * 4, [YES] * 7 + [NO] * 5)


def test_decisions_agree_if_they_are_the_same() -> None:
    measured = measure(MOSTLY, Level.NOMINAL, rng())
    assert isinstance(measured.percent, Estimate)
    assert measured.percent.value == pytest.approx(11 / 12)
    assert (measured.percent.n, measured.judgement_count) == (12, 24)
    opinions = [Opinion(one.annotator, one.item, one.value) for one in MOSTLY]
    alpha = agreement.krippendorff_alpha(opinions, Level.NOMINAL).value()
    assert isinstance(measured.alpha, Estimate)
    assert measured.alpha.value == pytest.approx(alpha)


def test_scores_agree_if_they_lie_within_the_tolerance() -> None:
    scores = votes([0.5] * 6 + [0.0] * 6, [0.75] * 6 + [0.26] * 6)
    percent = measure(scores, Level.INTERVAL, rng()).percent
    assert isinstance(percent, Estimate)
    assert percent.value == 0.5


def test_the_same_rows_and_seed_give_the_same_figures() -> None:
    assert measure(MOSTLY, Level.NOMINAL, rng()) == measure(MOSTLY, Level.NOMINAL, rng())


def test_nothing_and_too_little_say_why() -> None:
    for said in ([], MOSTLY[:4]):
        measured = measure(said, Level.NOMINAL, rng())
        assert isinstance(measured.percent, TooLittle)
        assert "10 needed" in measured.percent.reason


def test_a_closer_look_at_nothing_is_empty() -> None:
    details = look_closer([], Level.INTERVAL, rng())
    assert (details.pairs, details.months, details.agents, details.annotator_count) == ([], {}, {}, 0)
    assert isinstance(details.ordinal, TooLittle)


def test_an_item_counts_in_the_month_it_was_judged_last_in() -> None:
    torn = [Said("Ann", "torn", YES, "tax", MAY), Said("Ben", "torn", YES, "tax", JUNE)]
    details = look_closer(MOSTLY + torn, Level.NOMINAL, rng())
    assert list(details.months) == [MAY, JUNE]
    assert [part.judgement_count for part in details.months.values()] == [24, 2]
    assert details.months[JUNE].percent == TooLittle(details.months[JUNE].percent.reason, 1)


def test_only_the_latest_months_are_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(consensus, "MONTHS_SHOWN", 1)
    said = MOSTLY + votes([YES], [NO], month=JUNE, start=50)
    assert list(look_closer(said, Level.NOMINAL, rng()).months) == [JUNE]


def test_agents_are_measured_apart_and_listed_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    said = votes([YES] * 12, [NO] * 12, agent="zoo") + MOSTLY + votes([YES], [YES], agent="law")
    agents = look_closer(said, Level.NOMINAL, rng()).agents
    assert list(agents) == ["law", "tax", "zoo"]
    assert agents["zoo"].percent.value == 0
    monkeypatch.setattr(consensus, "AGENTS_COMPARED", 2)
    assert list(look_closer(said, Level.NOMINAL, rng()).agents) == ["tax", "zoo"]


def test_only_those_who_judged_most_are_paired(monkeypatch: pytest.MonkeyPatch) -> None:
    said = [*MOSTLY, Said("Cem", "tax 0", YES, "tax", MAY)]
    details = look_closer(said, Level.NOMINAL, rng())
    assert [(pair.first, pair.second) for pair in details.pairs] == [
        ("Ann", "Ben"),
        ("Ann", "Cem"),
        ("Ben", "Cem"),
    ]
    assert isinstance(details.pairs[1].percent, TooLittle)
    monkeypatch.setattr(consensus, "ANNOTATORS_PAIRED", 2)
    details = look_closer(said, Level.NOMINAL, rng())
    assert [(pair.first, pair.second) for pair in details.pairs] == [("Ann", "Ben")]
    assert details.annotator_count == 3


def test_only_numbers_have_an_order() -> None:
    assert look_closer(MOSTLY, Level.NOMINAL, rng()).ordinal is None
    scores = votes([0.1 * n for n in range(12)], [0.1 * n for n in range(12)])
    ordinal = look_closer(scores, Level.INTERVAL, rng()).ordinal
    assert isinstance(ordinal, Estimate)
    assert ordinal.value == 1
