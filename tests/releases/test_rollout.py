from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from sqlalchemy import text

from learning_core.access import Caller
from learning_core.errors import Conflict, InvalidInput, NotFound, NotPermitted
from learning_core.experiments import allocations
from learning_core.experiments.guardrails import Limits, State
from learning_core.feedback.executions import record
from learning_core.prompts import versions
from learning_core.releases import moves, queries, rollout
from learning_core.releases.rollout import Start
from learning_core.releases.stages import Action, Cause, Policy
from learning_core.schema import AllocationKind, AllocationStatus, ReleaseStatus, Role
from tests.factories import execution
from tests.releases.rollouts import AGENT, START, Manner, after, fix_salt, settle

GOOD = {"v1": Manner(4.0), "v2": Manner(4.3), "v3": Manner(4.2)}
FAILING = {"v1": Manner(4.0), "v2": Manner(4.0, failed=0.3)}
ANNOYING = {"v1": Manner(4.0), "v2": Manner(2.9)}
SLOW = {"v1": Manner(4.0), "v2": Manner(4.0, slower=2.2)}


@pytest.fixture
def bench(organization, monkeypatch):
    fix_salt(monkeypatch)
    return settle(organization)


@pytest.fixture
def do(bench):
    """Do something to a release: `do("hold", release_id, "Holidays.")`."""

    def call(verb, release_id, *words, by=None, hours=1.0):
        with bench.session() as session:
            return getattr(rollout, verb)(session, by or bench.engineer, release_id, *words, after(hours))

    return call


@pytest.fixture
def watched(bench, do):
    """A release that all users get since an hour."""
    release_id = bench.start(approved=True)
    bench.live(0.1, GOOD, users=600)
    do("promote", release_id, "Urgent.")
    do("promote", release_id, "Urgent.")
    return release_id


def allocation(bench, release_id, kind):
    with bench.session() as session:
        return allocations.of_release(session, release_id, kind)


# ---------------------------------------------------------------- the start


def test_a_release_begins_with_few_users_and_as_many_beside_them(bench):
    release_id = bench.start()
    found = bench.find(release_id)
    assert (found.status, found.stage, found.stage_since) == (ReleaseStatus.ROLLING_OUT, 0, START)
    assert (found.version, found.previous_version, found.share) == ("v2", "v1", 0.05)
    canary = allocation(bench, release_id, AllocationKind.CANARY)
    assert [(each.variant, each.share) for each in canary.variants] == [("treatment", 0.5), ("control", 0.5)]
    assert (canary.ramp, canary.traffic, canary.status) == (pytest.approx(0.1), 1.0, AllocationStatus.OPEN)
    assert bench.kinds(release_id) == ["started"]


def test_an_agents_first_release_follows_one_that_stands_for_what_was_there(bench):
    found = bench.find(bench.start())
    before = bench.find(found.previous_id)
    assert (found.number, before.number) == (1, 0)
    assert (before.version, before.status, before.created_by) == ("v1", ReleaseStatus.COMPLETED, "setup")
    assert before.previous_id is None
    assert before.is_standing_in
    assert not found.is_standing_in


def test_what_was_put_into_production_by_hand_since_has_a_release_that_stands_for_it(bench, watched, do):
    with bench.session() as session:
        versions.label(session, bench.engineer, AGENT, "production", "v3")
    bench.advance(watched, 2)
    found = bench.find(bench.start("v2", at=after(3)))
    before = bench.find(found.previous_id)
    assert (found.number, before.number, before.version) == (3, 2, "v3")
    assert before.reason == "Put into production by Edda, without a release."
    assert before.previous_id == watched


def test_the_policy_is_what_users_of_the_agent_give(bench):
    with bench.session() as session:
        assert rollout.usual_policy(session, AGENT, START) == Policy()
        session.execute(
            text("""
                INSERT INTO feedback_daily (agent_id, day, prompt_version, type_thumbs_up, type_thumbs_down)
                SELECT id, :day, 'v1', 30, 10 FROM agents
            """),
            {"day": START.date() - timedelta(days=3)},
        )
        assert rollout.usual_policy(session, AGENT, START).limits == Limits(satisfaction="thumbs_up_share")
        assert rollout.usual_policy(session, AGENT, after(24 * 60)).limits == Limits()


@pytest.mark.parametrize(
    ("served", "limits"),
    [
        ({"latency_ms": 900.0}, Limits(satisfaction_drop=None)),
        ({"latency_ms": None}, Limits(satisfaction_drop=None, latency_rise=None)),
    ],
)
def test_what_an_agent_in_use_never_reports_is_not_waited_for(bench, served, limits):
    with bench.session() as session:
        record(session, [execution(created_at=START - timedelta(days=2), **served)])
        assert rollout.usual_policy(session, AGENT, START).limits == limits


@pytest.mark.parametrize(
    ("version", "error", "says"),
    [("v1", Conflict, "in production already"), ("v9", NotFound, "v9")],
)
def test_what_cannot_be_released_is_refused(bench, version, error, says):
    with pytest.raises(error, match=says):
        bench.start(version)


@pytest.mark.parametrize("reason", ["", "   ", "x" * 501, "a\x00b"])
def test_a_reason_is_asked_for(bench, reason):
    with pytest.raises(InvalidInput) as refused, bench.session() as session:
        rollout.start(session, bench.engineer, Start(AGENT, "v2", reason), START)
    assert refused.value.field == "reason"


def test_two_releases_are_never_on_their_way_together(bench):
    bench.start()
    with pytest.raises(Conflict, match="Release 1 is under way"):
        bench.start("v3")


def test_no_release_starts_while_an_experiment_runs(bench):
    with bench.session() as session:
        session.execute(
            text("""
                INSERT INTO learning_experiments (agent_id, name, design, status, created_by)
                SELECT id, 'Shorter', '{}', 'paused', 'ada' FROM agents
            """)
        )
    with pytest.raises(Conflict, match='The experiment "Shorter" is under way'):
        bench.start()


def test_a_release_that_is_watched_gives_way_to_the_next(bench, watched):
    next_id = bench.start("v3", at=after(2))
    assert bench.find(watched).status is ReleaseStatus.SUPERSEDED
    assert bench.find(watched).end_reason == "A newer release takes its place."
    assert allocation(bench, watched, AllocationKind.WATCH).status is AllocationStatus.ENDED
    assert bench.find(next_id).previous_id == watched
    assert bench.gets() == "v2"


@pytest.mark.parametrize("verb", ["approve", "hold", "promote", "roll_back", "cancel"])
def test_only_engineers_and_admins_may_do_anything(bench, do, verb):
    release_id = bench.start()
    expert = Caller(bench.organization_id, "Eva", Role.EXPERT)
    with pytest.raises(NotPermitted):
        do(verb, release_id, "I want to.", by=expert)
    with pytest.raises(NotPermitted), bench.session() as session:
        rollout.start(session, expert, Start(AGENT, "v3", "I want to."), START)
    with pytest.raises(NotPermitted):
        do("go_on", release_id, by=expert)


def test_there_has_to_be_a_release(bench, do):
    with pytest.raises(NotFound):
        do("roll_back", bench.versions["v1"], "Why not.")


# ---------------------------------------------------------------- from an experiment

VERDICTS = {"better": '{"direction": "better"}', "no_difference": '{"direction": "no_difference"}'}


@pytest.fixture
def experiment(bench):
    """An experiment between v1 and v2 that ended: `experiment("better", "adopt_treatment")`."""

    def make(verdict, decision, treatment="v2"):
        design = {
            "variants": [
                {"name": "control", "version_id": str(bench.versions["v1"])},
                {"name": "treatment", "version_id": str(bench.versions[treatment])},
            ]
        }
        with bench.session() as session:
            return session.execute(
                text("""
                    INSERT INTO learning_experiments
                        (agent_id, name, design, status, verdict, decision, created_by, ended_at)
                    SELECT id, 'Shorter', CAST(:design AS jsonb),
                           CASE WHEN CAST(:decision AS text) IS NULL THEN 'cancelled' ELSE 'completed' END,
                           CAST(:verdict AS jsonb), :decision, 'ada', now() FROM agents
                    RETURNING id
                """),
                {
                    "design": str(design).replace("'", '"'),
                    "verdict": VERDICTS.get(verdict),
                    "decision": decision,
                },
            ).scalar_one()

    return make


def test_a_release_follows_from_an_experiment_that_proved_it_better(bench, experiment):
    experiment_id = experiment("better", "adopt_treatment")
    found = bench.find(bench.start(experiment_id=experiment_id))
    assert (found.status, found.experiment_id, found.experiment) == (
        ReleaseStatus.ROLLING_OUT,
        experiment_id,
        "Shorter",
    )


@pytest.mark.parametrize(("verdict", "says"), [("no_difference", "no difference"), (None, "nothing yet")])
def test_without_proof_it_waits_for_approval_before_its_first_user(bench, do, experiment, verdict, says):
    release_id = bench.start(experiment_id=experiment(verdict, "adopt_treatment"))
    found = bench.find(release_id)
    assert (found.status, found.stage_since, found.share) == (ReleaseStatus.WAITING, None, 0)
    assert says in found.hold_reason
    assert bench.gets() == "v1"
    assert bench.advance(release_id, 500).action is Action.WAIT
    do("approve", release_id, "We want it all the same.", hours=600)
    found = bench.find(release_id)
    assert (found.status, found.stage_since) == (ReleaseStatus.ROLLING_OUT, after(600))
    assert (found.approved_by, found.approval_reason, found.hold_reason) == (
        "Edda",
        "We want it all the same.",
        None,
    )
    assert bench.kinds(release_id) == ["proposed", "approved", "started"]


def test_what_is_approved_at_its_start_waits_for_nobody(bench, experiment):
    wish = {"approved": True, "approval_reason": "Legal asks for it."}
    found = bench.find(bench.start(experiment_id=experiment(None, "adopt_treatment"), **wish))
    assert (found.status, found.approval_reason) == (ReleaseStatus.ROLLING_OUT, "Legal asks for it.")


@pytest.mark.parametrize("decision", ["keep_control", "inconclusive", "rollback", None])
def test_a_release_does_not_follow_from_another_decision(bench, experiment, decision):
    with pytest.raises(Conflict, match="Shorter"):
        bench.start(experiment_id=experiment("better", decision))


def test_a_release_does_not_follow_from_an_experiment_about_something_else(bench, experiment):
    with pytest.raises(InvalidInput, match="no treatment"):
        bench.start(experiment_id=experiment("better", "adopt_treatment", treatment="v3"))
    with pytest.raises(NotFound):
        bench.start(experiment_id=bench.versions["v1"])


def test_what_waits_can_be_cancelled(bench, do, experiment):
    release_id = bench.start(experiment_id=experiment(None, "adopt_treatment"))
    do("cancel", release_id, "Not now.")
    assert bench.find(release_id).status is ReleaseStatus.CANCELLED
    bench.start("v3")


def test_what_users_have_met_is_rolled_back_rather_than_cancelled(bench, do):
    release_id = bench.start()
    with pytest.raises(Conflict, match="rolling out cannot be cancelled"):
        do("cancel", release_id, "Not now.")


# ---------------------------------------------------------------- approval


def test_approval_is_given_once(bench, do):
    release_id = bench.start()
    do("approve", release_id, "Read it.")
    with pytest.raises(Conflict, match="Edda has approved it already"):
        do("approve", release_id, "Read it too.", by=bench.colleague)


def test_two_people_means_somebody_else(bench, do):
    policy = Policy(two_person=True)
    with pytest.raises(Conflict, match="somebody else"):
        bench.start(policy=policy, approved=True)
    release_id = bench.start(policy=policy)
    with pytest.raises(Conflict, match="somebody else"):
        do("approve", release_id, "Read it.")
    do("promote", release_id, "To a quarter needs no approval.")
    with pytest.raises(Conflict, match="somebody else"):
        do("promote", release_id, "To everybody.")
    do("approve", release_id, "Read it.", by=bench.colleague)
    do("promote", release_id, "To everybody.")
    assert bench.find(release_id).status is ReleaseStatus.WATCHING


def test_sending_it_to_everybody_by_hand_is_approval(bench, do):
    release_id = bench.start()
    do("promote", release_id, "Urgent.")
    assert bench.find(release_id).approved_by is None
    do("promote", release_id, "Very urgent.", by=bench.colleague)
    found = bench.find(release_id)
    assert (found.status, found.approved_by) == (ReleaseStatus.WATCHING, "Olaf")
    assert (found.approval_reason, bench.gets()) == ("Very urgent.", "v2")
    with pytest.raises(Conflict, match="watched at 100 % cannot be promoted"):
        do("promote", release_id, "Further.")


# ---------------------------------------------------------------- held


def test_what_a_person_holds_stays_until_it_is_let_go_on(bench, do):
    release_id = bench.start(approved=True)
    bench.live(0.1, GOOD)
    do("hold", release_id, "Holidays.")
    assert bench.advance(release_id, 30).cause is Cause.PERSON
    found = bench.find(release_id)
    assert (found.held_by, found.hold_reason, found.stage) == ("Edda", "Holidays.", 0)
    with pytest.raises(Conflict, match="Edda holds it"):
        do("hold", release_id, "Me too.", by=bench.colleague)
    with pytest.raises(Conflict, match="Edda holds it"):
        do("promote", release_id, "But I want.", by=bench.colleague)
    do("go_on", release_id, by=bench.colleague)
    with pytest.raises(Conflict, match="Nobody holds"):
        do("go_on", release_id)
    assert bench.advance(release_id, 31).action is Action.PROMOTE
    assert bench.kinds(release_id) == ["approved", "started", "held", "resumed", "promoted"]


def test_what_is_missing_holds_it_and_is_told_once(bench):
    release_id = bench.start()
    for hours in (24, 25, 26):
        assert bench.advance(release_id, hours).cause is Cause.EVIDENCE
    found = bench.find(release_id)
    assert (found.held_by, found.status, found.stage) == (None, ReleaseStatus.ROLLING_OUT, 0)
    assert "Failed answers: no answers to go by yet." in found.hold_reason
    assert bench.kinds(release_id) == ["started", "held"]
    bench.live(26.1, GOOD)
    assert bench.advance(release_id, 27).action is Action.PROMOTE
    assert bench.find(release_id).hold_reason is None


def test_it_holds_before_everybody_until_somebody_approves(bench, do):
    release_id = bench.start()
    bench.live(0.1, GOOD)
    bench.advance(release_id, 24)
    bench.live(25, GOOD)
    assert bench.advance(release_id, 72).cause is Cause.APPROVAL
    assert bench.find(release_id).hold_reason.endswith("before 100 % a person has to approve.")
    do("approve", release_id, "Read it.", hours=73)
    assert bench.advance(release_id, 74).action is Action.PROMOTE
    assert bench.find(release_id).status is ReleaseStatus.WATCHING


def test_a_stage_that_nobody_comes_to_is_held(bench):
    release_id = bench.start(approved=True)
    bench.live(0.1, GOOD)
    assert bench.advance(release_id, 24).action is Action.PROMOTE
    decision = bench.advance(release_id, 24 + 49)
    assert (decision.action, decision.cause) == (Action.HOLD, Cause.EVIDENCE)
    assert decision.reason.startswith("Only 0 people have come")


def test_users_who_are_assigned_wrongly_hold_it(bench):
    release_id = bench.start(approved=True)
    bench.live(0.1, GOOD, users=3000, answers=2)
    with bench.session() as session:
        half = "variant = 'control' AND hashtext(user_id) % 2 = 0"
        session.execute(text(f"UPDATE exposures SET crossed = true WHERE {half}"))
    assert bench.advance(release_id, 24).cause is Cause.MISMATCH
    assert bench.find(release_id).check.crossed > 30


def test_a_label_moved_by_hand_holds_it(bench, do):
    release_id = bench.start(approved=True)
    bench.live(0.1, GOOD)
    with bench.session() as session:
        versions.label(session, bench.colleague, AGENT, "production", "v3")
    assert bench.advance(release_id, 24).cause is Cause.LABEL
    with pytest.raises(Conflict, match="v3"):
        do("promote", release_id, "All the same.")
    do("roll_back", release_id, "v3 it is.")
    assert bench.gets() == "v3"
    assert bench.find(release_id).status is ReleaseStatus.ROLLED_BACK


def test_a_label_moved_by_hand_ends_the_watch(bench, watched):
    with bench.session() as session:
        versions.label(session, bench.colleague, AGENT, "production", "v3")
    assert bench.advance(watched, 3).action is Action.GIVE_WAY
    assert (bench.find(watched).status, bench.gets()) == (ReleaseStatus.SUPERSEDED, "v3")


# ---------------------------------------------------------------- the way to everybody and back


def test_everybody_gets_it_and_the_control_is_kept_to_compare_with(bench, watched):
    found = bench.find(watched)
    assert (found.status, found.stage, found.full_at, found.share) == (
        ReleaseStatus.WATCHING,
        2,
        after(1),
        1.0,
    )
    assert bench.gets() == "v2"
    assert allocation(bench, watched, AllocationKind.CANARY).status is AllocationStatus.ENDED
    watch = allocation(bench, watched, AllocationKind.WATCH)
    assert [(each.variant, each.share) for each in watch.variants] == [("treatment", 1.0)]
    mean, variance, users, ratings = found.check.baseline["satisfaction"]
    assert 3.5 < mean < 4.5
    assert variance > 0
    assert ratings == 3 * users > 0
    bench.live(2, GOOD, users=200)
    bench.advance(watched, 3)
    kept = bench.find(watched).check
    assert kept.baseline == found.check.baseline
    assert kept.report.of("satisfaction").baseline == mean
    assert "in the control group before" in kept.report.of("satisfaction").reason


@pytest.mark.parametrize(
    ("manners", "broken"), [(FAILING, "error_rate"), (ANNOYING, "satisfaction"), (SLOW, "latency_ms")]
)
def test_what_hurts_is_taken_back_by_itself(bench, manners, broken):
    release_id = bench.start(approved=True)
    bench.live(0.1, manners, users=1200)
    decision = bench.advance(release_id, 1)
    assert (decision.action, decision.cause) == (Action.ROLL_BACK, Cause.GUARDRAIL)
    found = bench.find(release_id)
    assert (found.status, found.finished_at, found.end_reason) == (
        ReleaseStatus.ROLLED_BACK,
        after(1),
        decision.reason,
    )
    assert [item.key for item in found.check.report.breaches] == [broken]
    assert allocation(bench, release_id, AllocationKind.CANARY).status is AllocationStatus.ENDED
    assert {bench.gets(f"user-{number}") for number in range(50)} == {"v1"}
    with bench.session() as session:
        [last] = queries.history(session, release_id)[-1:]
    assert (last.kind, last.actor) == ("rolled_back", "guardrail")


@pytest.mark.parametrize("manners", [FAILING, ANNOYING, SLOW])
def test_what_hurts_everybody_is_taken_back_too(bench, do, manners):
    release_id = bench.start(approved=True)
    bench.live(0.1, GOOD, users=1200)
    do("promote", release_id, "Urgent.")
    do("promote", release_id, "Urgent.")
    bench.live(1, manners, users=150)
    assert bench.advance(release_id, 2).action is Action.ROLL_BACK
    assert bench.gets() == "v1"
    assert bench.find(release_id).production == "v1"


def test_a_held_release_is_taken_back_too(bench, do):
    release_id = bench.start()
    bench.live(0.1, FAILING, users=1200)
    do("hold", release_id, "Holidays.")
    assert bench.advance(release_id, 2).action is Action.ROLL_BACK


def test_a_plain_figure_takes_it_back_only_where_the_policy_says_so(bench):
    worse = {"v1": Manner(4.0), "v2": Manner(4.0, failed=0.068)}
    release_id = bench.start(policy=Policy(limits=Limits(literal_min_n=50)))
    bench.live(0.1, worse, users=800, answers=2)
    decision = bench.advance(release_id, 1)
    [broken] = bench.find(release_id).check.report.breaches
    assert decision.action is Action.ROLL_BACK
    assert broken.value > 0.05
    later = bench.start(at=after(2))
    bench.live(2.1, worse, users=800, answers=2, name="another")
    bench.advance(later, 3)
    assert bench.find(later).check.report.of("error_rate").state is State.UNPROVEN


def test_a_person_takes_it_back_at_any_stage(bench, do, watched):
    do("roll_back", watched, "Complaints.", by=bench.colleague, hours=5)
    found = bench.find(watched)
    assert (found.status, found.end_reason, bench.gets()) == (
        ReleaseStatus.ROLLED_BACK,
        "Complaints.",
        "v1",
    )
    assert allocation(bench, watched, AllocationKind.WATCH).status is AllocationStatus.ENDED
    with pytest.raises(Conflict, match="rolled back cannot be rolled back"):
        do("roll_back", watched, "Again.")
    assert bench.advance(watched, 6).cause is Cause.OVER


def test_the_last_release_can_still_be_taken_back_when_it_has_arrived(bench, do, watched):
    bench.live(2, GOOD, users=100)
    assert bench.advance(watched, 400).action is Action.COMPLETE
    assert (bench.find(watched).status, bench.gets()) == (ReleaseStatus.COMPLETED, "v2")
    do("roll_back", watched, "Too long.", hours=401)
    assert (bench.find(watched).status, bench.gets()) == (ReleaseStatus.ROLLED_BACK, "v1")


def test_what_a_newer_one_follows_is_not_taken_back(bench, do, watched):
    bench.live(2, GOOD, users=100)
    bench.advance(watched, 400)
    newer = bench.start("v3", at=after(401))
    with pytest.raises(Conflict, match="Release 2 is on its way"):
        do("roll_back", watched, "Too long.")
    do("roll_back", newer, "First.")
    with bench.session() as session:
        versions.label(session, bench.engineer, AGENT, "production", "v3")
    with pytest.raises(Conflict, match="v3 is in production now"):
        do("roll_back", watched, "Too long.")


def test_taking_back_the_second_release_returns_to_the_first(bench, do, watched):
    second = bench.start("v3", at=after(2), approved=True)
    do("promote", second, "Urgent.", hours=3)
    do("promote", second, "Urgent.", hours=3)
    assert bench.gets() == "v3"
    do("roll_back", second, "Complaints.", hours=4)
    assert bench.gets() == "v2"


def test_what_happens_is_in_the_audit_log(bench, do, watched):
    do("hold", watched, "Holidays.", by=bench.colleague)
    do("roll_back", watched, "Complaints.", by=bench.colleague)
    with bench.session() as session:
        rows = session.execute(
            text("SELECT actor, action, details FROM audit_log WHERE action LIKE 'release.%' ORDER BY id")
        ).all()
    assert [(row.actor, row.action.removeprefix("release.")) for row in rows] == [
        ("Edda", "approved"),
        ("Edda", "started"),
        ("Edda", "promoted"),
        ("Edda", "promoted"),
        ("Olaf", "held"),
        ("Olaf", "rolled_back"),
    ]
    assert {row.details["agent"] for row in rows} == {AGENT}
    assert rows[-1].details["to"] == "v1"


# ---------------------------------------------------------------- all or nothing


@pytest.mark.parametrize("fails", ["tell", "keep"])
def test_a_step_that_fails_has_done_nothing(bench, monkeypatch, fails):
    release_id = bench.start(approved=True)
    bench.live(0.1, FAILING, users=1200)
    before = bench.find(release_id)
    with monkeypatch.context() as broken:
        broken.setattr(moves, fails, lambda *_, **__: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            bench.advance(release_id, 1)
    assert bench.find(release_id) == before
    assert bench.advance(release_id, 1).action is Action.ROLL_BACK


def test_of_two_checks_at_once_the_second_sees_what_the_first_did(bench):
    release_id = bench.start(approved=True)
    bench.live(0.1, GOOD, users=1000)
    bench.advance(release_id, 24)
    bench.live(25, GOOD, users=1000)
    with ThreadPoolExecutor(1) as other:
        with bench.session() as session:
            assert rollout.advance(session, release_id, after(72)).action is Action.PROMOTE
            second = other.submit(bench.advance, release_id, 72)
            while not session.execute(WAITING).scalar():
                pass
        assert second.result().action is Action.WAIT
    assert bench.find(release_id).status is ReleaseStatus.WATCHING
    assert bench.gets() == "v2"


WAITING = text("""
SELECT count(*) FROM pg_locks WHERE NOT granted AND pid <> pg_backend_pid()
  AND transactionid = CAST(CAST(pg_current_xact_id() AS text) AS xid)
""")
"""How many wait for this transaction."""


def test_a_check_that_comes_late_changes_nothing_it_should_not(bench):
    release_id = bench.start(approved=True)
    bench.live(0.1, GOOD)
    bench.advance(release_id, 10)
    bench.advance(release_id, 9)
    assert bench.find(release_id).checked_at == after(10)
