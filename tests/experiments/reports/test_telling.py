import re
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from learning_core.experiments import amounts
from learning_core.experiments.analysis import (
    Design,
    DesignVariant,
    Direction,
    Look,
    Method,
    MismatchState,
    Verdict,
)
from learning_core.experiments.reports import telling
from tests.pages.experiment_story import make_look

START = datetime(2026, 3, 1, tzinfo=UTC)
DESIGN = Design(
    variants=(DesignVariant("treatment", "2", "v2", 0.5), DesignVariant("control", "1", "v1", 0.5)),
    primary="satisfaction",
    smallest_effect=0.1,
    secondary=("issue_rate", "cost_usd"),
)


def decided(direction: Direction, look: Look) -> Look:
    found = Verdict(direction, "treatment", "satisfaction", look.at, 12, 12 * 24.0, 0.21, 0.08, 0.34)
    return replace(look, verdict=found)


@pytest.mark.parametrize(
    ("value", "unit", "told"),
    [
        (0.213, "stars", "+0.21 stars"),
        (-0.05, "share", "\N{MINUS SIGN}5.0 points"),
        (0.0004, "share", "+0.04 points"),
        (-0.001, "stars", "0.00 stars"),
        (1500, "ms", "+1.50 s"),
        (-0.00021, "usd", "\N{MINUS SIGN}$0.00021"),
        (1e-12, "usd", "$0.00"),
        (None, "stars", "—"),
        (float("nan"), "ms", "—"),
    ],
)
def test_a_change_has_its_sign_and_unit(value: float | None, unit: str, told: str) -> None:
    assert amounts.change(value, unit) == told


def test_an_interval_is_written_in_the_form_of_its_wider_end() -> None:
    assert amounts.interval(-0.0000003, 0.0004, "usd") == "$0.00000 to +$0.00040"
    assert amounts.with_interval(0.4, 0.1, None, "stars") == "+0.40 stars"
    assert amounts.between(900, 1200, "ms") == "between +0.90 and +1.20 s"


def test_before_the_first_look_nothing_is_claimed() -> None:
    assert telling.verdict(DESIGN, None).headline == "No look yet."
    assert telling.share_done(DESIGN, None) == 0


def test_before_the_gate_it_says_how_much_is_missing() -> None:
    said = telling.verdict(DESIGN, make_look(DESIGN, 4, START, 0.4))
    assert said.headline == "Too early to say: 3 more days and about 300 more ratings."
    assert "0.4" not in said.figures


@pytest.mark.parametrize("direction", [Direction.BETTER, Direction.WORSE])
def test_a_verdict_says_what_when_and_how_sure(direction: Direction) -> None:
    said = telling.verdict(DESIGN, decided(direction, make_look(DESIGN, 14, START, 0.2)))
    assert said.headline == f"Treatment is {direction}: satisfaction +0.21 stars."
    assert "We are 95 % sure that it lies between +0.08 and +0.34 stars. Decided on day 12." in said.figures
    assert re.search(
        r"By day 14 it came to \+0\.20 \(.*\) stars, from 2,464 ratings of 1,540 users", said.figures
    )


def test_a_verdict_stays_where_later_looks_would_say_less() -> None:
    later = decided(Direction.BETTER, make_look(DESIGN, 20, START, 0.001))
    assert telling.verdict(DESIGN, later).headline.startswith("Treatment is better")
    assert telling.short(DESIGN, later) == "Treatment is better: +0.21 stars"
    assert telling.share_done(DESIGN, later) == 1


def test_a_mismatch_outweighs_the_figures() -> None:
    look = make_look(DESIGN, 9, START, 0.4, MismatchState.ALARM)
    said = telling.verdict(DESIGN, look)
    assert said.headline == "Do not trust these figures."
    assert "40.0 % of the users where 50.0 % were due" in said.figures
    assert telling.outcome(DESIGN, look).headline == said.headline


def test_progress_names_the_days_and_the_difference_they_are_for() -> None:
    look = make_look(DESIGN, 12, START, 0.02)
    assert telling.progress(DESIGN, look) == "About 8 days to go to see +0.10 stars, if it is there."
    fewer = replace(DESIGN, primary="issue_rate", secondary=(), smallest_effect=0.03)
    assert "\N{MINUS SIGN}3.0 points" in telling.progress(fewer, look)
    assert "probably smaller" in telling.progress(DESIGN, replace(look, days_left=0.0))
    planned = replace(DESIGN, method=Method.PLANNED_END, planned_days=28)
    assert telling.progress(planned, look).startswith("16 days to go until the planned end")


def test_what_ended_without_a_verdict_claims_no_difference() -> None:
    assert telling.outcome(DESIGN, make_look(DESIGN, 3, START, 0.3)).headline == "It ended too early to say."
    ended = telling.outcome(DESIGN, make_look(DESIGN, 20, START, 0.01))
    assert (ended.headline, ended.advice) == ("No difference shown.", "")


def test_each_metric_is_told_in_its_own_unit() -> None:
    told = [telling.effect(one) for one in telling.effects(make_look(DESIGN, 14, START, 0.36))]
    assert told[0] == (
        "Satisfaction: 3.96 stars instead of 3.60 stars, +0.36 (+0.24 to +0.48) stars, "
        "from 2,464 ratings of 1,540 users."
    )
    assert told[1].startswith("Reported issues: 13.9 % instead of 15.0 %, \N{MINUS SIGN}1.1 (")
    assert told[2].startswith("Cost of an answer: $0.0023 instead of $0.0021")


def test_before_the_gate_no_difference_is_told() -> None:
    told = [telling.effect(one) for one in telling.effects(make_look(DESIGN, 4, START, 0.36))]
    assert told[0] == "Satisfaction: 3.96 stars instead of 3.60 stars, from 704 ratings of 440 users."


@pytest.mark.parametrize(("place", "told"), [(0, ["Satisfaction: no ratings yet."]), (1, [])])
def test_that_nobody_gave_a_metric_is_told_only_of_the_one_that_decides(place, told) -> None:
    look = make_look(DESIGN, 14, START, 0.1)
    one = look.comparisons[place]
    nobody = replace(one.control, value=None, n=0, users=0)
    silent = replace(look, comparisons=(replace(one, control=nobody, treatment=nobody, difference=None),))
    assert [telling.effect(each) for each in telling.effects(silent)] == told
