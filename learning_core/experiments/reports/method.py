"""How an experiment is judged, for those who want to know: its terms, and the statistics in a few words."""

from __future__ import annotations

from learning_core.experiments import amounts
from learning_core.experiments.analysis import Design, Method
from learning_core.experiments.metrics import METRICS


def terms(design: Design) -> list[tuple[str, str]]:
    """Return what was fixed before the start: names and what holds."""
    metric = METRICS[design.primary]
    least = design.smallest_effect if metric.higher_is_better else -design.smallest_effect
    beside = ", ".join(METRICS[key].words.lower() for key in design.secondary)
    return [
        ("Decides", metric.words),
        ("Shown beside it", beside or "nothing"),
        ("Worth knowing of", f"{amounts.change(least, metric.unit)} or more"),
        (
            "Not judged before",
            f"{design.minimum_hours / 24:g} days, {design.minimum_samples:,} {metric.counted} in all and "
            f"{design.minimum_raters} users who gave them in each variant",
        ),
        ("May be wrong", f"{design.significance * 100:g} % of the time, where there is no difference"),
        ("End", f"planned after {design.planned_days} days" if design.planned_days else "open"),
        ("Takes part", f"{design.traffic * 100:g} % of the agent's users"),
    ]


def explained(design: Design) -> list[str]:
    """Return how it is computed, a paragraph each."""
    ways = [
        "The unit is the user, not the rating: a variant's figure is what its users' observations add up to "
        "how many there were, and its variance is that between users (delta method for ratios). Ten ratings "
        "of one user count as ten ratings of one user.",
        METHODS[design.method],
    ]
    if design.ramp < 1:
        ways.append("Users are compared within each phase of the ramp; the phases are weighted together.")
    if design.prior:
        ways.append("What users had said before the start takes noise out (CUPED).")
    if design.weighted:
        ways.append(f"A user with n observations counts with the weight 1 / (1 + (n - 1) {design.icc:g}).")
    ways.append(
        "The primary measure alone decides. Those beside it are adjusted for being several (Holm). Whether "
        "users arrive by their shares is tested at every look (sequential multinomial test)."
    )
    return ways


METHODS = {
    Method.ALWAYS_VALID: (
        "The interval is a confidence sequence: it holds at all looks together, so that looking every hour, "
        "stopping as soon as it is known, makes no wrong answer more likely. With z the difference in "
        "standard errors, I = 1 / SE² and I₁ its value at the first look that may judge, p is the "
        "probability that a chi-square variable with 3 degrees of freedom exceeds z² - ln(I / I₁); the "
        "interval reaches sqrt(a² + ln(I / I₁)) standard errors to each side."
    ),
    Method.PLANNED_END: (
        "The end was planned, so the permitted error is spent day by day up to it (Lan and DeMets, spending "
        "of Pocock's type). A look decides when z reaches the bound that follows from what it spends."
    ),
}
