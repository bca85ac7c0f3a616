from __future__ import annotations

import json
from dataclasses import replace
from uuid import UUID, uuid4

import pytest
from sqlalchemy import text

from learning_core import access, background
from learning_core.access import Caller
from learning_core.errors import Conflict, InvalidInput, NotFound, NotPermitted
from learning_core.experiments import allocations, designs, suggestion
from learning_core.experiments.analysis import Design, DesignVariant, Guardrail, Method
from learning_core.experiments.designs import New
from learning_core.experiments.statistics.planning import DEFAULT_ICC
from learning_core.llm.templates import Prompt
from learning_core.prompts import versions
from learning_core.schema import (
    AllocationStatus,
    ExperimentDecision,
    ExperimentStatus,
    Role,
    RunKind,
    RunStatus,
)
from tests import factories
from tests.experiments.crowd import AGENT, START, Crowd, Manner, on, settle

ADOPT = ExperimentDecision.ADOPT_TREATMENT


@pytest.fixture
def bench(organization):
    return settle(organization)


def new(design: Design, **more) -> New:
    return New(**({"agent": AGENT, "name": "Shorter", "hypothesis": "", "design": design} | more))


def actions(session) -> list[str]:
    log = access.audit_log(session)
    return [action for action in reversed(list(log.action)) if action.startswith("experiment.")]


# ---------------------------------------------------------------- a life


def test_an_experiment_is_designed_started_paused_resumed_and_decided(bench):
    experiment_id = bench.create()
    told = [bench.find(experiment_id)]
    with bench.session() as session:
        designs.start(session, bench.caller, experiment_id, START)
    told.append(bench.find(experiment_id))
    with bench.session() as session:
        designs.pause(session, bench.caller, experiment_id)
    told.append(bench.find(experiment_id))
    with bench.session() as session:
        designs.resume(session, bench.caller, experiment_id)
        designs.complete(session, bench.caller, experiment_id, ADOPT, " It is shorter. ", on(9))
    told.append(bench.find(experiment_id))
    assert [found.status for found in told] == ["draft", "running", "paused", "completed"]
    assert [found.started_at for found in told] == [None, START, START, START]
    last = told[-1]
    assert (last.ended_at, last.decision, last.decision_by) == (on(9), ADOPT, "Edda")
    assert last.decision_reason == "It is shorter."
    with bench.session() as session:
        assert actions(session) == [
            "experiment.created",
            "experiment.started",
            "experiment.paused",
            "experiment.resumed",
            "experiment.decided",
        ]


def test_while_paused_and_once_ended_nobody_is_assigned(bench):
    experiment_id = bench.start()
    standing = []
    for verb in (
        lambda session: designs.pause(session, bench.caller, experiment_id),
        lambda session: designs.resume(session, bench.caller, experiment_id),
        lambda session: designs.cancel(session, bench.caller, experiment_id, "Off.", on(1)),
    ):
        with bench.session() as session:
            verb(session)
            standing.append(allocations.of_experiment(session, experiment_id).status)
    assert standing == [AllocationStatus.PAUSED, AllocationStatus.OPEN, AllocationStatus.ENDED]


def test_starting_assigns_the_versions_with_the_control_last(bench):
    experiment_id = bench.start("v2", "v3", shares=[0.2, 0.3], traffic=0.5, ramp=0.25)
    with bench.session() as session:
        found = allocations.of_experiment(session, experiment_id)
    assert [(each.variant, each.version_id, round(each.share, 9)) for each in found.variants] == [
        ("treatment", bench.versions["v2"], 0.2),
        ("treatment_2", bench.versions["v3"], 0.3),
        ("control", bench.versions["v1"], 0.5),
    ]
    assert (found.traffic, found.ramp, found.started_at) == (0.5, 0.25, START)


def test_a_control_that_is_named_first_still_opens_last(bench):
    design = bench.design()
    turned = replace(design, variants=tuple(reversed(design.variants)))
    assert turned.variants[0].name == "control"
    with bench.session() as session:
        experiment_id = designs.create(session, bench.caller, new(turned))
        designs.start(session, bench.caller, experiment_id, START)
        assert [each.variant for each in allocations.of_experiment(session, experiment_id).variants] == [
            "treatment",
            "control",
        ]


def test_ramping_up_opens_a_new_phase(bench):
    experiment_id = bench.start(ramp=0.2)
    with bench.session() as session:
        designs.ramp_up(session, bench.caller, experiment_id, 1.0, on(2))
    assert bench.find(experiment_id).ramp == 1.0
    with bench.session() as session:
        assert session.execute(text("SELECT number, started_at FROM allocation_phases ORDER BY 1")).all() == [
            (1, START),
            (2, on(2)),
        ]


def test_a_draft_can_be_revised_and_nothing_else_can(bench):
    experiment_id = bench.create()
    revised = new(bench.design("v3", smallest_effect=0.02), name="Longer", hypothesis="More is more.")
    with bench.session() as session:
        designs.revise(session, bench.caller, experiment_id, revised)
    found = bench.find(experiment_id)
    assert (found.name, found.hypothesis, found.design) == ("Longer", "More is more.", revised.design)
    with bench.session() as session:
        designs.start(session, bench.caller, experiment_id, START)
    with pytest.raises(Conflict, match="running cannot be revised"), bench.session() as session:
        designs.revise(session, bench.caller, experiment_id, revised)


def test_a_draft_is_dropped_without_a_decision(bench):
    experiment_id = bench.create()
    with bench.session() as session:
        designs.cancel(session, bench.caller, experiment_id, "Not now.", on(1))
    found = bench.find(experiment_id)
    assert (found.status, found.decision, found.decision_reason) == (
        ExperimentStatus.CANCELLED,
        None,
        "Not now.",
    )


# ---------------------------------------------------------------- who, when


VERBS = {
    "started": lambda session, caller, id: designs.start(session, caller, id, START),
    "paused": lambda session, caller, id: designs.pause(session, caller, id),
    "resumed": lambda session, caller, id: designs.resume(session, caller, id),
    "decided": lambda session, caller, id: designs.complete(session, caller, id, ADOPT, "So.", on(1)),
    "cancelled": lambda session, caller, id: designs.cancel(session, caller, id, "So.", on(1)),
    "ramped up": lambda session, caller, id: designs.ramp_up(session, caller, id, 1.0, on(1)),
}


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize("role", [Role.VIEWER, Role.EXPERT])
def test_readers_and_experts_decide_nothing(bench, role, verb):
    caller = Caller(bench.organization_id, "Vera", role)
    with pytest.raises(NotPermitted), bench.session() as session:
        VERBS[verb](session, caller, uuid4())


def test_readers_create_nothing(bench):
    caller = Caller(bench.organization_id, "Vera", Role.VIEWER)
    design = bench.design()
    with bench.session() as session:
        with pytest.raises(NotPermitted):
            designs.create(session, caller, new(design))
        with pytest.raises(NotPermitted):
            designs.create_from_run(session, caller, uuid4(), 1, START)


@pytest.mark.parametrize("verb", VERBS)
def test_an_unknown_experiment_is_not_found(bench, verb):
    with pytest.raises(NotFound), bench.session() as session:
        VERBS[verb](session, bench.caller, uuid4())


@pytest.mark.parametrize("verb", VERBS)
def test_what_is_over_stays_over(bench, verb):
    experiment_id = bench.start()
    with bench.session() as session:
        designs.complete(session, bench.caller, experiment_id, ExperimentDecision.KEEP_CONTROL, "So.", on(8))
    with pytest.raises(Conflict, match=f"completed cannot be {verb}"), bench.session() as session:
        VERBS[verb](session, bench.caller, experiment_id)


@pytest.mark.parametrize("verb", ["paused", "resumed", "decided", "ramped up"])
def test_a_draft_cannot_be_what_only_a_started_one_can(bench, verb):
    experiment_id = bench.create()
    with pytest.raises(Conflict, match="a draft cannot be"), bench.session() as session:
        VERBS[verb](session, bench.caller, experiment_id)


@pytest.mark.parametrize("reason", ["", "  ", "x" * 501, "a\x00b"])
def test_a_decision_needs_a_reason(bench, reason):
    experiment_id = bench.start()
    with pytest.raises(InvalidInput) as refused, bench.session() as session:
        designs.complete(session, bench.caller, experiment_id, ADOPT, reason, on(8))
    assert refused.value.field == "reason"
    assert bench.find(experiment_id).status is ExperimentStatus.RUNNING


# ---------------------------------------------------------------- what cannot be started


def test_two_experiments_share_an_agents_users_and_a_third_finds_none(bench):
    bench.start("v2", traffic=0.6)
    bench.start("v3", traffic=0.4)
    third = bench.create(traffic=0.1)
    with pytest.raises(Conflict, match="free"), bench.session() as session:
        designs.start(session, bench.caller, third, START)
    assert bench.find(third).status is ExperimentStatus.DRAFT


@pytest.mark.parametrize("status", ["waiting", "rolling_out"])
def test_no_experiment_starts_while_a_release_is_on_its_way(bench, status):
    experiment_id = bench.create()
    with bench.session() as session:
        session.execute(text(A_RELEASE), {"version": bench.versions["v3"], "status": status})
    with pytest.raises(Conflict, match="Release 7 "), bench.session() as session:
        designs.start(session, bench.caller, experiment_id, START)


def test_a_release_that_is_over_is_in_nobodys_way(bench):
    experiment_id = bench.create()
    with bench.session() as session:
        session.execute(text(A_RELEASE), {"version": bench.versions["v3"], "status": "rolled_back"})
        designs.start(session, bench.caller, experiment_id, START)
    assert bench.find(experiment_id).status is ExperimentStatus.RUNNING


A_RELEASE = """
INSERT INTO releases (agent_id, number, version_id, status, policy, reason, created_by)
SELECT agent_id, 7, id, :status, '{}', 'Better', 'ada' FROM prompt_versions WHERE id = :version
"""


def test_what_is_in_production_may_have_changed_since_the_draft(bench):
    experiment_id = bench.create()
    with bench.session() as session:
        versions.label(session, bench.caller, AGENT, "production", "v3")
    with (
        pytest.raises(InvalidInput, match="The control is v1, and users meet v3"),
        bench.session() as session,
    ):
        designs.start(session, bench.caller, experiment_id, START)


# ---------------------------------------------------------------- what cannot be designed


def wrong(**changes):
    return lambda design: replace(design, **changes)


def same_version_twice(design: Design) -> Design:
    first, control = design.variants
    return replace(design, variants=(replace(first, version_id=control.version_id, version="v1"), control))


def unknown_version(design: Design) -> Design:
    first, control = design.variants
    return replace(design, variants=(replace(first, version_id=str(uuid4())), control))


def another_control(design: Design) -> Design:
    first, control = design.variants
    return replace(design, variants=(replace(control, name="treatment"), replace(first, name="control")))


@pytest.mark.parametrize(
    ("spoil", "field", "words"),
    [
        (same_version_twice, "variants", "the same version"),
        (unknown_version, "variants", "no version 'v2' of that id"),
        (another_control, "variants", "The control is v2, and users meet v1: compare with that"),
        (wrong(minimum_hours=100.0), "minimum_hours", "168 hours"),
        (wrong(minimum_raters=10), "minimum_raters", "30 users"),
        (wrong(method=Method.PLANNED_END, planned_days=6), "planned_days", "Plan 7 to 180 days"),
        (wrong(method=Method.PLANNED_END, planned_days=181), "planned_days", "Plan 7 to 180 days"),
        (wrong(guardrails=(Guardrail("error_rate", 1.5, False),)), "guardrails", "at most at 1"),
        (wrong(guardrails=(Guardrail("satisfaction", 1.1, True),)), "guardrails", "at most at 1"),
        (wrong(guardrails=(Guardrail("latency_ms", 11.0, True),)), "guardrails", "at most at 10"),
        (wrong(guardrails=(Guardrail("latency_ms", 0.0, True),)), "guardrails", "above 0"),
        (wrong(guardrails=(Guardrail("error_rate", 0.1, False),) * 2), "guardrails", "two guardrails"),
    ],
)
def test_a_design_that_could_answer_nothing_is_refused_with_the_field(bench, spoil, field, words):
    design = spoil(bench.design())
    with pytest.raises(InvalidInput, match=words) as refused, bench.session() as session:
        designs.create(session, bench.caller, new(design))
    assert refused.value.field == field


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"shares": [0.4, 0.4]}, "shares"),
        ({"shares": [1.0]}, "variants"),
        ({"primary": "beauty"}, "primary"),
        ({"secondary": ("thumbs_up_share",)}, "secondary"),
        ({"guardrails": (Guardrail("beauty", 0.1, True),)}, "guardrails"),
        ({"traffic": 0.0}, "traffic"),
        ({"smallest_effect": -1.0}, "smallest_effect"),
    ],
)
def test_what_contradicts_itself_is_no_design(bench, changes, field):
    with pytest.raises(InvalidInput) as refused:
        bench.design(**changes)
    assert refused.value.field == field


@pytest.mark.parametrize(
    ("told", "field"),
    [
        ({"name": " "}, "name"),
        ({"name": "x" * 121}, "name"),
        ({"hypothesis": "x" * 2_001}, "hypothesis"),
    ],
)
def test_words_are_as_long_as_people_read(bench, told, field):
    design = bench.design()
    with pytest.raises(InvalidInput) as refused, bench.session() as session:
        designs.create(session, bench.caller, new(design, **told))
    assert refused.value.field == field


def test_an_agent_without_versions_has_nothing_to_compare(bench):
    with bench.session() as session:
        session.execute(text("INSERT INTO agents (key) VALUES ('mute')"))
    for agent, words in (("mute", "has no prompt yet"), ("nobody", "There is no agent")):
        with pytest.raises(NotFound, match=words), bench.session() as session:
            suggestion.suggest(session, agent, ["v2"], START)
        with pytest.raises(NotFound, match=words), bench.session() as session:
            designs.create(session, bench.caller, new(variants_of_nobody(), agent=agent))


def variants_of_nobody() -> Design:
    variants = tuple(DesignVariant(name, str(uuid4()), name, 0.5) for name in ("treatment", "control"))
    return Design(variants=variants, primary="satisfaction", smallest_effect=0.1)


@pytest.mark.parametrize("treatments", [(), ("v2",) * 5])
def test_one_to_four_versions_are_compared(bench, treatments):
    with pytest.raises(InvalidInput, match="1 to 4"), bench.session() as session:
        suggestion.suggest(session, AGENT, treatments, START)


# ---------------------------------------------------------------- what is suggested


def test_before_anybody_reacted_the_usual_is_suggested(bench):
    with bench.session() as session:
        design = suggestion.suggest(session, AGENT, ["v2"], START)
    assert (design.primary, design.smallest_effect, design.icc) == ("satisfaction", 0.1, DEFAULT_ICC)
    assert [(each.name, each.version, each.share) for each in design.variants] == [
        ("treatment", "v2", 0.5),
        ("control", "v1", 0.5),
    ]
    assert [guardrail.metric for guardrail in design.guardrails] == ["error_rate", "latency_ms"]
    assert (design.minimum_hours, design.minimum_samples, design.significance) == (168, 1000, 0.05)


def test_what_users_gave_in_the_last_weeks_decides_and_tells_how_alike_they_are(bench):
    idle = bench.create()
    crowd = Crowd(bench, size=150)
    for day in range(-3, 0):
        crowd.live(idle, day, Manner())
    with bench.session() as session:
        design = suggestion.suggest(session, AGENT, ["v2"], START)
        long_after = suggestion.suggest(session, AGENT, ["v2"], on(40))
    assert design.primary == "thumbs_up_share"
    assert design.smallest_effect == 0.05
    assert 0.01 <= design.icc < 0.3
    assert design.icc != DEFAULT_ICC
    assert {guardrail.metric for guardrail in design.guardrails} == {
        "error_rate",
        "latency_ms",
        "satisfaction",
    }
    assert long_after.primary == "satisfaction"


def test_an_agent_that_fails_often_already_gets_room_to_do_so(bench):
    idle = bench.create()
    crowd = Crowd(bench, size=100, active=0.9)
    limits = []
    for failed in (0.01, 0.4):
        crowd.live(idle, -3 if limits else -2, Manner(failed={"control": failed}))
        limits.append(next(each.limit for each in bench.design().guardrails if each.metric == "error_rate"))
    with bench.session() as session:
        share = session.execute(text("SELECT avg((error IS NOT NULL)::int) FROM executions")).scalar_one()
    assert limits == [0.05, pytest.approx(1.5 * float(share), abs=0.001)]


def test_of_a_metric_without_natural_steps_a_tenth_is_worth_knowing(bench):
    idle = bench.create()
    with bench.session() as session:
        with pytest.raises(InvalidInput, match="which difference would matter"):
            suggestion.suggest(session, AGENT, ["v2"], START, primary="latency_ms")
        wished = suggestion.suggest(session, AGENT, ["v2"], START, primary="latency_ms", smallest_effect=50.0)
    assert wished.smallest_effect == 50.0
    crowd = Crowd(bench, size=60)
    for day in (-2, -1):
        crowd.live(idle, day, Manner())
    with bench.session() as session:
        design = suggestion.suggest(session, AGENT, ["v2"], START, primary="latency_ms")
        mean = session.execute(text("SELECT avg(latency_ms) FROM executions")).scalar_one()
    assert design.smallest_effect == pytest.approx(mean / 10)


# ---------------------------------------------------------------- from an optimization


@pytest.fixture
def run_id(bench) -> UUID:
    """A finished optimization whose candidate 1 was proven and whose candidate 0 is what is in production."""
    with bench.session() as session:
        run = background.create(
            session,
            bench.caller,
            RunKind.PROMPT_OPTIMIZATION,
            AGENT,
            {},
            prompt_version_id=bench.versions["v1"],
        )
        told = {"winner": 1, "verdict": {"words": "Improved by 9 points."}}
        background.finish(session, run, RunStatus.SUCCEEDED, stop_reason="done", result=told)
        for number, words in enumerate(("Answer.", "Answer in one sentence.")):
            messages = json.dumps(Prompt.from_text(words).told())
            session.execute(text(A_CANDIDATE), {"run": run, "number": number, "messages": messages})
    return run


A_CANDIDATE = """
INSERT INTO candidates (run_id, number, strategy, messages, content_hash, reason)
VALUES (:run, :number, 'clarified', CAST(:messages AS jsonb), 'hash', 'Says how long.')
"""


def test_the_winner_of_an_optimization_is_tried_on_users_in_one_step(bench, run_id):
    with bench.session() as session:
        experiment_id = designs.create_from_run(
            session, bench.caller, run_id, 1, START, started=True, traffic=0.5
        )
    found = bench.find(experiment_id)
    assert (found.status, found.run_id, found.name) == (ExperimentStatus.RUNNING, run_id, "v4 against v1")
    assert found.hypothesis == "Says how long.\nOffline: Improved by 9 points."
    assert [each.version for each in found.design.variants] == ["v4", "v1"]
    assert found.design.traffic == 0.5


def test_what_is_in_production_is_not_compared_with_itself(bench, run_id):
    with pytest.raises(InvalidInput, match="v1 is what users meet already"), bench.session() as session:
        designs.create_from_run(session, bench.caller, run_id, 0, START)


def test_a_run_without_that_candidate_gives_no_experiment(bench, run_id):
    with pytest.raises(NotFound), bench.session() as session:
        designs.create_from_run(session, bench.caller, run_id, 9, START)


def test_a_treatment_of_another_agents_run_is_refused(bench, run_id):
    with bench.session() as session:
        factories.approved_example(session, agent_id="other")
        foreign = background.create(session, bench.caller, RunKind.EVALUATION, "other", {})
    design = bench.design()
    with pytest.raises(InvalidInput, match="another agent"), bench.session() as session:
        designs.create(session, bench.caller, new(design, run_id=foreign))
    with pytest.raises(NotFound, match="optimization"), bench.session() as session:
        designs.create_from_run(session, bench.caller, foreign, 1, START)
