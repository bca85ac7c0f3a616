"""A variant and what it is compared with, in one metric: sums per phase, or a baseline that is fixed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import isfinite
from typing import TYPE_CHECKING, NamedTuple

from learning_core.experiments.statistics import moments
from learning_core.experiments.statistics.moments import Arm, Moments
from learning_core.experiments.terms import CONTROL

if TYPE_CHECKING:
    from learning_core.experiments.analysis import Observation


class Sides(NamedTuple):
    """The sums of control and variant by phase, in the same order.

    Attributes:
        controls: The control's.
        treated: The variant's.
        baseline: What the variant is compared with where no control group meets it; None where one does.
    """

    controls: list[Moments]
    treated: list[Moments]
    baseline: Arm | None

    def arms(self) -> tuple[Arm, Arm]:
        """Return control and variant, made use of history; phases are brought together, never pooled."""
        if self.baseline is not None:
            return self.baseline, _alone(self.treated)
        pairs = [moments.adjusted(*pair) for pair in zip(self.controls, self.treated, strict=True)]
        controls, treated = [one for one, _ in pairs], [other for _, other in pairs]
        weights = moments.phase_weights(controls, treated)
        return moments.combined(controls, weights), moments.combined(treated, weights)

    def total(self) -> Moments:
        """Return the variant's sums of all phases, for a bound that asks nothing of the control."""
        return Moments(*(float(sum(parts)) for parts in zip(*self.treated, strict=True)))


def sides_of(
    observations: Sequence[Observation], variant: str, metric: str, baseline: Mapping[str, Arm] | None
) -> Sides:
    """Return what is known of a variant in a metric; with a baseline, that is what it is compared with."""
    found = {(each.phase, each.variant): each.moments for each in observations if each.metric == metric}
    phases = sorted({phase for phase, _ in found}) or [1]
    return Sides(
        [found.get((phase, CONTROL), NOBODY) for phase in phases],
        [found.get((phase, variant), NOBODY) for phase in phases],
        None if baseline is None else baseline.get(metric, NO_ARM),
    )


NOBODY = Moments(*(0.0,) * len(Moments._fields))
NO_ARM = Arm(float("nan"), float("nan"), 0.0, 0.0)


def baseline_of(observations: Sequence[Observation]) -> dict[str, Arm]:
    """Return the control group of a comparison that is over, by metric, as a baseline for what follows."""
    metrics = dict.fromkeys(each.metric for each in observations)
    arms = {metric: _alone(sides_of(observations, CONTROL, metric, None).controls) for metric in metrics}
    return {metric: arm for metric, arm in arms.items() if isfinite(arm.value)}


def _alone(phases: Sequence[Moments]) -> Arm:
    arms = [moments.arm(each) for each in phases]
    return moments.combined(arms, moments.phase_weights(arms, arms))
