"""The rules of a release in words: its stages, who has to approve, and what takes it back."""

from __future__ import annotations

from datetime import timedelta

import streamlit as st

from learning_core.experiments.guardrails import LITERAL_FALSE_ALARMS, Limits
from learning_core.releases.stages import Policy
from pages.components.releases import telling
from pages.components.texts import percent


def tell(policy: Policy) -> None:
    """Say what will happen, step by step."""
    for line in lines(policy):
        st.text(line)


def lines(policy: Policy) -> list[str]:
    """Return what will happen, one sentence a step."""
    told = []
    for place, stage in enumerate(policy.stages):
        time = telling.duration(timedelta(hours=stage.hours))
        if stage.share >= 1:
            told.append(f"Then everybody gets it, and it is watched for {time}.")
        elif place == 0:
            few = telling.share(stage.share).capitalize()
            told.append(
                f"{few}, chosen by lot, get the new version for at least {time}. As many others "
                "are set apart to compare them with; nobody is moved back and forth."
            )
        else:
            told.append(f"Then {telling.share(stage.share)} for at least {time}.")
    told.insert(1, "It goes on only when its bounds are shown to hold, not merely because nobody complained: "
                "with too little feedback it stays where it is and says so.")  # fmt: skip
    told.append(approval(policy))
    told.append(guards(policy.limits))
    return told


def approval(policy: Policy) -> str:
    """Say who has to approve."""
    above = percent(policy.approval_above, 0)
    if policy.two_person:
        return (
            f"Before more than {above} of the users get it, somebody other than who started it approves it."
        )
    return f"Before more than {above} of the users get it, a person approves it."


def guards(limits: Limits) -> str:
    """Say what takes a release back."""
    bounds = []
    if limits.error_rate is not None:
        bounds.append(f"more than {percent(limits.error_rate, 0)} of its answers fail")
    if limits.satisfaction_drop is not None:
        bounds.append(f"satisfaction falls by more than {percent(limits.satisfaction_drop, 0)}")
    if limits.latency_rise is not None:
        bounds.append(f"answers take over {percent(limits.latency_rise, 0)} longer")
    if not bounds:
        return "No bound is watched: nothing takes it back by itself."
    listed = ", or ".join([", ".join(bounds[:-1]), bounds[-1]] if len(bounds) > 1 else bounds)
    how = (
        f"as soon as the plain figure says so, from {limits.literal_min_n:,} answers or ratings on"
        if limits.literal_min_n
        else "once that is more than chance"
    )
    unwatched = [
        what
        for what, bound in (("satisfaction", limits.satisfaction_drop), ("answer time", limits.latency_rise))
        if bound is None
    ]
    rest = f" Not watched, for want of figures: {' and '.join(unwatched)}." if unwatched else ""
    return f"At any time it is taken back by itself if {listed}: {how}.{rest}"


def literal_warning() -> str:
    """Say how often the plain rule takes back what is harmless."""
    known = ", ".join(f"{percent(rate, 0)} from {n} on" for n, rate in LITERAL_FALSE_ALARMS.items())
    return (
        "The plain rule looks at the figure alone. Of harmless versions, with 3 % errors where 5 % are "
        f"allowed, it takes back by bad luck: {known}. By evidence it is one in two hundred."
    )
