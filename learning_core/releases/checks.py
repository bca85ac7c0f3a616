"""What is known of a release at one moment, from its users: the bounds, the shares, and what follows.

A check is stored with the release and the next one goes on from it. While all users have the new version
nobody is left to compare with: then the control of the canary, as it was at its end, is the baseline.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from pydantic import TypeAdapter
from sqlalchemy.orm import Session

from learning_core.experiments import guardrails, sides
from learning_core.experiments.allocations import Allocated
from learning_core.experiments.analysis import Observation, Traffic
from learning_core.experiments.guardrails import Report
from learning_core.experiments.metrics import METRICS
from learning_core.experiments.observation import observe
from learning_core.experiments.statistics import mismatch
from learning_core.experiments.statistics.moments import Arm
from learning_core.releases.stages import Decision, Policy
from learning_core.schema import AllocationKind

TREATMENT = "treatment"

Baseline = dict[str, tuple[float, float, float, float]]
"""Metric -> value, variance, users and observations of the control at the end of the canary."""


@dataclass(frozen=True)
class Check:
    """A release as it was looked at.

    Attributes:
        at: When.
        allocation_id: Whose users it rests on; another one starts counting anew.
        report: What the guardrails said.
        users: Users by variant, without those who were seen in two.
        crossed: Users who were.
        newcomers: Users who came in this stage, of the variant that got fewer.
        mismatch_p: The least so far, at any look, of the users' following the shares (0-1).
        baseline: What is compared with while all users have the new version; None before.
        decision: What was decided.
    """

    at: datetime
    allocation_id: UUID
    report: Report
    users: dict[str, int]
    crossed: int
    newcomers: int = 0
    mismatch_p: float = 1.0
    baseline: Baseline | None = None
    decision: Decision | None = None


CHECK: TypeAdapter[Check] = TypeAdapter(Check)
"""Reads and writes the JSON form of a check."""


def check(
    session: Session, policy: Policy, allocated: Allocated, previous: Check | None, at: datetime
) -> Check:
    """Check the users of a release's allocation, going on from the check before."""
    observations, came = read(session, policy, allocated.id)
    before = previous if previous and previous.allocation_id == allocated.id else None
    baseline = previous.baseline if previous and allocated.kind is AllocationKind.WATCH else None
    report = guardrails.judge(
        policy.limits.guardrails,
        observations,
        TREATMENT,
        at=at,
        previous=before.report if before else None,
        baseline=None if allocated.kind is AllocationKind.CANARY else _arms(baseline or {}),
        literal_min_n=policy.limits.literal_min_n,
    )
    return Check(
        at=at,
        allocation_id=allocated.id,
        report=report,
        users=_users(came),
        crossed=came.crossed,
        newcomers=min(
            (came.users.get(allocated.phase, {}).get(each.variant, 0) for each in allocated.variants),
            default=0,
        ),
        mismatch_p=min(_mismatch(allocated, came), before.mismatch_p if before else 1.0),
        baseline=baseline,
    )


def anew(allocation_id: UUID, baseline: Baseline, at: datetime) -> Check:
    """Return where the checks of an allocation start that has a baseline instead of a control."""
    return Check(at, allocation_id, Report(at, ()), users={}, crossed=0, baseline=baseline)


def read(session: Session, policy: Policy, allocation_id: UUID) -> tuple[list[Observation], Traffic]:
    """Return the sums of what the bounds are about.

    Answers count each; reactions count by the user, for a few users give most of them: that sees a harm
    sooner, and is the satisfaction of the average user rather than that of the average reaction.
    """
    bounded = {guardrail.metric for guardrail in policy.limits.guardrails}
    answers, came = observe(session, allocation_id)
    reactions, _ = observe(session, allocation_id, weighted=True, prior=True)
    found = [each for each in answers if METRICS[each.metric].prior_n is None]
    found += [each for each in reactions if METRICS[each.metric].prior_n is not None]
    return [each for each in found if each.metric in bounded], came


def baseline_of(observations: Sequence[Observation]) -> Baseline:
    """Return the control group as what comes after will be compared with."""
    return {
        metric: (float(arm.value), float(arm.variance), float(arm.users), float(arm.n))
        for metric, arm in sides.baseline_of(observations).items()
    }


def _arms(baseline: Baseline) -> dict[str, Arm]:
    return {metric: Arm(*figures) for metric, figures in baseline.items()}


def _users(came: Traffic) -> dict[str, int]:
    names = dict.fromkeys(name for of_phase in came.users.values() for name in of_phase)
    return {name: sum(of_phase.get(name, 0) for of_phase in came.users.values()) for name in names}


def _mismatch(allocated: Allocated, came: Traffic) -> float:
    """Return how the users of each phase follow the shares; phases are never pooled."""
    if len(allocated.variants) < 2:
        return 1.0
    shares = [variant.share for variant in allocated.variants]
    factor = sum(
        float(
            mismatch.log_bayes_factor([of_phase.get(each.variant, 0) for each in allocated.variants], shares)
        )
        for of_phase in came.users.values()
    )
    return float(mismatch.sequential_p(factor))
