"""Whether a variant is worse than a control by more than a bound allows, however often somebody looks.

All functions take one number or one element for each experiment, as `moments` does, so that a simulation
judges by the very rules that a release lives by.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from learning_core.experiments.metrics import METRICS, Metric
from learning_core.experiments.statistics import moments, sequential
from learning_core.experiments.statistics.moments import Arm, Difference, Figure
from learning_core.experiments.terms import Guardrail

ALPHA = 0.05
"""How often a harmless variant may ever be taken for a harmful one, and a harmful one for harmless."""

MINIMUM_RATERS = 30
"""So many users in each group before they are compared."""


class Track(NamedTuple):
    """Information (1 / SE^2) at the first look with enough users, and the most since; nan before it."""

    first: Figure
    most: Figure


UNTRACKED = Track(float("nan"), float("nan"))


class Compared(NamedTuple):
    """A variant beside what it is compared with, one element for each experiment.

    Attributes:
        limit: The worst value allowed.
        bound: How bad it may really be, at worst; nan with too few users.
        ok: Whether that is within the limit.
        beyond: Whether the figure itself is beyond the limit.
        breach: Whether it is, and evidence says so too.
        margin: Information of the distance to the limit.
        harm: Information of the difference.
    """

    limit: Figure
    bound: Figure
    ok: NDArray[np.bool_]
    beyond: NDArray[np.bool_]
    breach: NDArray[np.bool_]
    margin: Track
    harm: Track


def compare(
    guardrail: Guardrail,
    control: Arm,
    treatment: Arm,
    margin: Track = UNTRACKED,
    harm: Track = UNTRACKED,
    literal_min_n: int | None = None,
) -> Compared:
    """Compare two groups by a bound: L = t - (1 + m) c, where m is the limit with its sign.

    Within the bound: the one-sided confidence sequence of L, valid at all looks from the first with enough
    users on, lies on the right side. Broken: L lies on the wrong side, and evidence says so. For what each
    answer tells (latency, cost) it is the same sequence the other way. Reactions are rare, and L is known too
    late: there it takes a difference from the control that is surely a harm.

    Args:
        guardrail: The bound.
        control: What to compare with; for an absolute bound, `itself` of it.
        treatment: The variant.
        margin: From the look before.
        harm: From the look before.
        literal_min_n: From so many observations on, the wrong side is enough.
    """
    metric = METRICS[guardrail.metric]
    good = 1 if metric.higher_is_better else -1
    share = -good * guardrail.limit if guardrail.relative else 0.0
    control, treatment = _cautious(control, metric), _cautious(treatment, metric)
    distance = moments.contrast(control, treatment, share)
    difference = moments.difference(control, treatment)
    fewest = np.minimum(control.users, treatment.users)
    enough = fewest >= MINIMUM_RATERS
    margin = _followed(margin, distance, enough)
    harm = _followed(harm, difference, enough)
    reach = _reach(margin, fewest)
    beyond = good * distance.value < 0
    evidence = np.greater_equal(-good * distance.z, reach)
    if metric.prior_n is not None and guardrail.relative:
        evidence = np.greater_equal(-good * difference.z, _reach(harm, fewest))
    literal = treatment.n >= (literal_min_n if literal_min_n is not None else np.inf)
    return Compared(
        limit=(1 + share) * control.value,
        bound=np.where(enough, treatment.value - good * reach * distance.se, np.nan),
        ok=np.asarray(enough & np.greater_equal(good * distance.z, reach)),
        beyond=np.asarray(beyond),
        breach=np.asarray(enough & beyond & (evidence | literal)),
        margin=margin,
        harm=harm,
    )


def itself(guardrail: Guardrail) -> Arm:
    """Return an absolute bound as if it were a control of which all is known."""
    return Arm(guardrail.limit, 0.0, np.inf, np.inf)


def _reach(track: Track, users: Figure) -> NDArray[np.float64]:
    """Return how many standard errors prove something at any look, wider where there are few users.

    The normal quantile of the sequential radius becomes that of Student's distribution with the users of the
    smaller group less one: without, there would be a quarter more false alarms, from groups of about 30.
    """
    from scipy.special import ndtr, stdtrit  # type: ignore[import-untyped]

    known = np.isfinite(track.first)
    ratio = np.where(known, np.divide(track.most, np.where(known, track.first, 1.0)), 1.0)
    radius = sequential.one_sided_radius(ratio, ALPHA)
    return np.asarray(-stdtrit(np.maximum(np.subtract(users, 1), 1), ndtr(-radius)))


def _followed(track: Track, difference: Difference, enough: NDArray[np.bool_]) -> Track:
    """Take note of the information of a look, from the first with enough users on."""
    information = np.where(enough, difference.information, np.nan)
    first = np.where(np.isnan(track.first), information, track.first)
    return Track(first, np.fmax(track.most, information))


def _cautious(arm: Arm, metric: Metric) -> Arm:
    """Where all users of a group are alike, add the spread of one who is as unlike as can be."""
    span = SPANS.get(metric.unit, np.abs(arm.value))
    alike = np.equal(arm.variance, 0) & np.isfinite(arm.users)
    users = np.where(alike, np.maximum(arm.users, 1), 1.0)
    return arm._replace(variance=np.where(alike, np.square(span / users), arm.variance))


SPANS = {"stars": 4.0, "share": 1.0, "score": 1.0}
"""Unit -> how far two values can lie apart; for others it is the value itself."""
