"""The rules of a dataset: asked for in a form, and told in words."""

from __future__ import annotations

from typing import Any

import streamlit as st
from pydantic import ValidationError

from learning_core.datasets.curation import Rules
from learning_core.feedback.entries import describe_first_error
from learning_core.schema import ExampleType, IssueCategory
from pages.components import charts, frames
from pages.components.session import User
from pages.components.texts import EXAMPLE_NAMES, ISSUE_NAMES, count, percent, plain, stars

PRESETS = {"70/10/20": (70, 80), "80/10/10": (80, 90)}
"""Training / validation / test in percent -> where training and validation end."""

OTHER = "Other"


def ask(user: User, base: Rules, key: str) -> Rules | None:
    """Ask for rules, beginning with those given; None, and the reason shown, where they contradict."""
    _, agents, domains = frames.approved_examples(user.organization_id)
    with st.container(border=True):
        st.header("What goes in", anchor=False)
        given: dict[str, Any] = {
            "agents": _several("Agents", agents, base.agents, key, "All agents"),
            "example_types": _several(
                "Types", list(ExampleType), base.example_types, key, "All types", EXAMPLE_NAMES
            ),
            "minimum_quality": st.number_input(
                "Quality of at least (0 to 1)",
                0.0,
                1.0,
                base.minimum_quality,
                0.05,
                format="%.2f",
                key=f"{key}_quality",
                help="Mean of experts' scores for accuracy, completeness, clarity and professional quality.",
            ),
            "verified_only": st.toggle(
                "Only human-verified",
                base.verified_only,
                key=f"{key}_verified",
                help="Approved by a person who did not write the answer.",
            ),
        }
        narrower = bool(base.domains or base.issues or base.since or base.until)
        with st.expander("Domains, issues and dates", expanded=narrower, key=f"{key}_narrower"):
            given |= {
                "domains": _several("Domains", domains, base.domains, key, "All domains"),
                "issues": _several(
                    "Issues", list(IssueCategory), base.issues, key, "With and without issues", ISSUE_NAMES
                ),
                "since": st.date_input("Collected from", base.since, format="YYYY-MM-DD", key=f"{key}_since"),
                "until": st.date_input("To", base.until, format="YYYY-MM-DD", key=f"{key}_until"),
            }
        given |= _ask_splits(base, key)
    try:
        return Rules.model_validate(given)
    except ValidationError as error:
        st.error(f"These rules contradict: {plain(describe_first_error(error), 200)}.")
        return None


def describe(rules: Rules) -> str:
    """Return the rules in a reader's words; agents and domains as strangers wrote them."""
    told = [f"Approved examples of quality {stars(rules.minimum_quality)} or more"]
    told += ["verified by a person"] if rules.verified_only else []
    told += [f"of the types {_listed(map(EXAMPLE_NAMES.__getitem__, rules.example_types))}"] * bool(
        rules.example_types
    )
    told += [f"of {_listed(rules.agents)}"] if rules.agents else []
    told += [f"on {_listed(rules.domains)}"] if rules.domains else []
    told += [f"with the issues {_listed(map(ISSUE_NAMES.__getitem__, rules.issues))}"] * bool(rules.issues)
    told += [f"from {rules.since:%d %b %Y}"] if rules.since else []
    told += [f"until {rules.until:%d %b %Y}"] if rules.until else []
    shares = (rules.train_share, rules.validation_share, rules.test_share)
    train, validation, test = (percent(share, 0) for share in shares)
    split = f"{train} training, {validation} validation, {test} test; seed {rules.seed}"
    return f"{', '.join(told)}. Split: {split}."


def _listed(names: Any) -> str:
    names = [charts.shorten(name, 40) for name in names]
    more = f" and {count(len(names) - 5, 'other', 'others')}" if len(names) > 5 else ""
    return ", ".join(names[:5]) + more


def _several(
    label: str, options: list[Any], chosen: tuple[Any, ...], key: str, every: str, names: Any = None
) -> tuple[Any, ...]:
    """Offer options, and beside them what was chosen before though nothing of it is approved any more."""
    known = [*options, *(one for one in chosen if one not in options)]
    show = names.__getitem__ if names else lambda option: charts.shorten(option, 60)
    picked = st.multiselect(
        label, known, list(chosen), placeholder=every, format_func=show, key=f"{key}_{label.lower()}"
    )
    return tuple(picked)


def _ask_splits(base: Rules, key: str) -> dict[str, Any]:
    ends = (round(base.train_share * 100), round((base.train_share + base.validation_share) * 100))
    preset = next((name for name, known in PRESETS.items() if known == ends), OTHER)
    chosen = st.segmented_control(
        "Training / validation / test, in percent",
        [*PRESETS, OTHER],
        default=preset,
        required=True,
        key=f"{key}_splits",
        help="Examples of one conversation or user, or with nearly the same question, stay together.",
    )
    if chosen == OTHER:
        ends = st.slider("Training ends, validation ends", 0, 100, ends, 5, format="%d %%", key=f"{key}_ends")
    else:
        ends = PRESETS[chosen or preset]
    with st.expander("Seed", key=f"{key}_advanced"):
        seed = st.text_input(
            "Seed of the splits",
            base.seed,
            max_chars=40,
            key=f"{key}_seed",
            help="Another seed deals the examples out differently; the same seed repeats the same splits.",
        )
    return {
        "train_share": ends[0] / 100,
        "validation_share": (ends[1] - ends[0]) / 100,
        "test_share": (100 - ends[1]) / 100,
        "seed": seed.strip(),
    }
