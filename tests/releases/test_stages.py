from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from learning_core.errors import InvalidInput
from learning_core.experiments.guardrails import GuardrailResult, Limits, Report, State
from learning_core.releases.stages import POLICY, Action, Cause, Policy, Stage, Standing, decide

SINCE = datetime(2026, 6, 1, tzinfo=UTC)
USUAL = Policy()


def result(state: State, key: str = "error_rate") -> GuardrailResult:
    return GuardrailResult(key, key, state, 0.02, None, 0.05, 0.04, 900, 300, f"{key} is {state}.")


def report(*states: State) -> Report:
    keys = ("error_rate", "satisfaction", "latency_ms")
    return Report(SINCE, tuple(result(state, key) for state, key in zip(states, keys, strict=False)))


FINE = report(State.OK, State.OK, State.OK)
FIRST = Standing(USUAL, "rolling_out", 0, SINCE, newcomers=40)
SECOND = replace(FIRST, stage=1)
WATCHED = replace(FIRST, status="watching", stage=2)


def after(hours: float) -> datetime:
    return SINCE + timedelta(hours=hours)


def told(standing, found, hours):
    decision = decide(standing, found, after(hours))
    return decision.action, decision.cause


# ---------------------------------------------------------------- going on


@pytest.mark.parametrize(("standing", "hours"), [(FIRST, 24), (SECOND, 48), (WATCHED, 336)])
def test_nothing_happens_before_a_stage_has_lasted_long_enough(standing, hours):
    assert told(standing, FINE, hours - 0.01) == (Action.WAIT, Cause.TIME)


def test_a_stage_goes_on_after_its_time_with_every_bound_shown_to_hold():
    assert told(FIRST, FINE, 24) == (Action.PROMOTE, Cause.SHOWN)
    assert decide(FIRST, FINE, after(24)).reason == "Every bound is shown to hold; it goes on to 25 %."


@pytest.mark.parametrize("missing", [State.UNPROVEN, State.NO_DATA])
def test_a_stage_holds_where_one_bound_is_not_shown_to_hold(missing):
    decision = decide(FIRST, report(State.OK, missing, State.OK), after(1000))
    assert (decision.action, decision.cause) == (Action.HOLD, Cause.EVIDENCE)
    assert decision.reason == f"Not shown yet to do no harm. satisfaction is {missing}."


def test_a_stage_holds_where_nobody_was_asked():
    assert told(FIRST, None, 1000) == (Action.HOLD, Cause.EVIDENCE)


def test_a_stage_that_nobody_came_to_shows_nothing_new():
    decision = decide(replace(SECOND, newcomers=29), FINE, after(1000))
    assert (decision.action, decision.cause) == (Action.HOLD, Cause.EVIDENCE)
    assert "Only 29 people" in decision.reason
    assert "25 %" in decision.reason


def test_all_users_get_it_only_with_a_persons_approval():
    assert told(SECOND, FINE, 48) == (Action.HOLD, Cause.APPROVAL)
    assert told(replace(SECOND, is_approved=True), FINE, 48) == (Action.PROMOTE, Cause.SHOWN)


def test_approval_alone_shows_nothing():
    assert told(replace(SECOND, is_approved=True), report(State.UNPROVEN), 1000) == (
        Action.HOLD,
        Cause.EVIDENCE,
    )


def test_a_policy_may_want_approval_earlier_or_not_at_all():
    early, never = (
        replace(SECOND, policy=Policy(approval_above=above), stage=stage)
        for above, stage in ((0.2, 0), (1.0, 1))
    )
    assert told(early, FINE, 24) == (Action.HOLD, Cause.APPROVAL)
    assert told(never, FINE, 48) == (Action.PROMOTE, Cause.SHOWN)


def test_a_release_is_completed_after_its_watch():
    assert told(WATCHED, report(State.OK, State.UNPROVEN, State.NO_DATA), 336) == (
        Action.COMPLETE,
        Cause.SHOWN,
    )


@pytest.mark.parametrize("found", [None, report(State.NO_DATA, State.NO_DATA)])
def test_a_watch_that_saw_nothing_does_not_end_well(found):
    assert told(WATCHED, found, 5000) == (Action.HOLD, Cause.EVIDENCE)


# ---------------------------------------------------------------- going back and staying


@pytest.mark.parametrize("standing", [FIRST, SECOND, WATCHED])
@pytest.mark.parametrize("hours", [0.1, 5000])
def test_a_broken_bound_takes_a_release_back_at_any_stage_and_time(standing, hours):
    decision = decide(standing, report(State.OK, State.BREACH, State.OK), after(hours))
    assert (decision.action, decision.cause) == (Action.ROLL_BACK, Cause.GUARDRAIL)
    assert decision.reason == "satisfaction is breach."


def test_who_holds_a_release_does_not_keep_it_from_being_taken_back():
    held = replace(FIRST, held_by="Ada", hold_reason="Holidays.", production="v9", mismatch_p=0.0)
    assert told(held, report(State.BREACH), 1) == (Action.ROLL_BACK, Cause.GUARDRAIL)


def test_a_release_that_a_person_holds_stays():
    held = replace(FIRST, held_by="Ada", hold_reason="Holidays.")
    decision = decide(held, FINE, after(1000))
    assert (decision.action, decision.cause) == (Action.HOLD, Cause.PERSON)
    assert decision.reason == "Ada holds it: Holidays."


@pytest.mark.parametrize(("p", "action"), [(0.0099, Action.HOLD), (0.01, Action.PROMOTE)])
def test_users_who_do_not_come_as_they_should_hold_it(p, action):
    assert told(replace(FIRST, mismatch_p=p), FINE, 24)[0] is action


def test_a_label_moved_by_hand_holds_a_release_that_rolls_out():
    decision = decide(replace(FIRST, production="v9"), FINE, after(24))
    assert (decision.action, decision.cause) == (Action.HOLD, Cause.LABEL)
    assert "v9" in decision.reason


def test_a_release_that_is_watched_gives_way_to_a_label_moved_by_hand():
    assert told(replace(WATCHED, production="v9"), FINE, 1) == (Action.GIVE_WAY, Cause.LABEL)


def test_a_waiting_release_waits_whatever_the_time():
    waiting = Standing(USUAL, "waiting", 0, None, hold_reason="The experiment showed nothing.")
    decision = decide(waiting, None, after(5000))
    assert (decision.action, decision.reason) == (Action.WAIT, "The experiment showed nothing.")


@pytest.mark.parametrize("status", ["completed", "rolled_back", "cancelled", "superseded"])
def test_nothing_follows_when_a_release_is_over(status):
    assert told(replace(FIRST, status=status), report(State.BREACH), 5000) == (Action.WAIT, Cause.OVER)


@pytest.mark.parametrize(("hours", "left"), [(0, "24 hours"), (23.9, "1 hour"), (22.2, "2 hours")])
def test_the_time_that_is_left_is_said(hours, left):
    assert decide(FIRST, FINE, after(hours)).reason == f"At 5 % for about {left} more at least."


def test_the_days_that_a_watch_still_takes_are_said():
    assert decide(WATCHED, FINE, after(24)).reason == "Watched for about 13 days more at least."


# ---------------------------------------------------------------- policies


def test_the_usual_policy_is_what_the_documentation_says():
    assert USUAL.stages == ((0.05, 24), (0.25, 48), (1.0, 336))
    assert USUAL.limits == Limits(0.05, 0.10, 0.50, "satisfaction", None)
    assert (USUAL.approval_above, USUAL.two_person) == (0.5, False)


def test_a_policy_can_be_written_down():
    policy = Policy((Stage(0.1, 6), Stage(1.0, 24)), Limits(latency_rise=None, literal_min_n=200), 0.9, True)
    assert POLICY.validate_json(POLICY.dump_json(policy)) == policy


@pytest.mark.parametrize(
    ("wish", "field"),
    [
        ({"stages": (Stage(1.0, 1),)}, "stages"),
        ({"stages": (Stage(0.2, 1), Stage(0.1, 1), Stage(1.0, 1))}, "stages"),
        ({"stages": (Stage(0.1, 1), Stage(0.1, 1), Stage(1.0, 1))}, "stages"),
        ({"stages": (Stage(0.1, 1), Stage(0.9, 1))}, "stages"),
        ({"stages": (Stage(0.0, 1), Stage(1.0, 1))}, "stages"),
        ({"stages": (Stage(0.6, 1), Stage(1.0, 1))}, "stages"),
        ({"stages": (Stage(0.1, 0), Stage(1.0, 1))}, "stages"),
        ({"approval_above": 1.5}, "approval_above"),
        ({"limits": Limits(None, None, None)}, "limits"),
    ],
)
def test_a_policy_that_makes_no_sense_is_refused(wish, field):
    with pytest.raises(InvalidInput) as refused:
        Policy(**wish)
    assert refused.value.field == field
