"""How far reviewers agree, and whether that is enough to train on."""

from __future__ import annotations

from collections.abc import Callable

import pandas as pd
import streamlit as st

from learning_core.feedback.intervals import Estimate
from learning_core.review.agreement import GateResult, PairAgreement, check_gate
from learning_core.review.bootstrap import FEWEST_SHARED_ITEMS, TooLittle
from learning_core.review.consensus import (
    AGENTS_COMPARED,
    ANNOTATORS_PAIRED,
    TOLERANCE,
    Details,
    Measured,
)
from learning_core.settings import settings
from pages.components import cards, charts, frames, widgets
from pages.components.charts import shorten
from pages.components.session import User
from pages.components.texts import SCORE_NAMES, count, percent, plain

VALUE_NAMES = {"decision": "Decision"} | SCORE_NAMES

PERCENT_HELP = "Of all pairs of reviewers who judged the same example, the share that say the same"
ALPHA_HELP = "Krippendorff's alpha: 0 = what chance would give, 1 = perfect, below 0 = worse than chance"
KAPPA_HELP = "Cohen's kappa: 0 = what chance would give, 1 = perfect, below 0 = worse than chance"


def show(user: User, agent: str | None) -> None:
    """Show the agreement about each thing that is judged, then one of them more closely."""
    with st.spinner("Measuring …"):
        measured = frames.consensus_by_value(user.organization_id, agent)
    whose = f"Examples of {plain(agent)}" if agent else "Examples of all agents"
    most = max(part.judgement_count for part in measured.values())
    newest = f", the newest {most:,} judgements" if most >= frames.JUDGEMENTS_MEASURED else ""
    st.caption(
        f"{whose} that several people judged without seeing each other's judgement, over all time{newest}. "
        "Reviewers can agree and be wrong: how often they are right is measured under Team."
    )
    if not most:
        widgets.show_empty(
            "Nothing was judged by several yet",
            f"{percent(settings().review_overlap_share, 0)} of the examples are given to "
            f"{settings().review_overlap} people. Figures start at {FEWEST_SHARED_ITEMS} such examples.",
        )
        return
    _show_gate(measured["decision"])
    _show_table(measured)
    st.header("A closer look", anchor=False)
    value = st.segmented_control(
        "Judged",
        [value for value in VALUE_NAMES if measured[value].judgement_count],
        default=next(value for value in VALUE_NAMES if measured[value].judgement_count),
        required=True,
        format_func=VALUE_NAMES.__getitem__,
        label_visibility="collapsed",
        key="agreement_about",
    )
    if value:
        with st.spinner("Measuring …"):
            details = frames.consensus_details(user.organization_id, agent, value)
        _show_closely(details, value)


def _show_gate(decision: Measured) -> None:
    required = settings().training_agreement
    gate = check_gate(decision.percent, required)
    with st.container(border=True):
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            st.header(f"Required for training: {percent(required, 0)} agree on the decision", anchor=False)
            outcome, color = cards.GATE_OUTCOMES[gate.outcome]
            st.badge(outcome, color=color)
        st.text(_explain(decision.percent, gate))


def _explain(measured: Estimate | TooLittle, gate: GateResult) -> str:
    if isinstance(measured, TooLittle):
        return f"{_too_little(measured)}, each judged by several reviewers."
    interval = f"95 % interval {percent(measured.low)} to {percent(measured.high)}"
    doubt = (
        "The whole interval lies on the same side of the requirement."
        if gate.beyond_doubt
        else "The interval reaches across the requirement: more examples judged by several would tell."
    )
    return f"{percent(measured.value)} ({interval}, {_examples(measured.n)}). {doubt}"


def _show_table(measured: dict[str, Measured]) -> None:
    shown = {VALUE_NAMES[value]: part for value, part in measured.items() if part.judgement_count}
    _table("Judged", shown, "How far reviewers agree about each thing they judge")
    st.caption(
        f"Two decisions agree if they are the same, two scores if they lie at most {4 * TOLERANCE:g} of 5 "
        "points apart. Alpha takes off what chance would give: 0 is chance, 1 is perfect; 0.80 is usually "
        "taken for reliable, 0.67 for the least to draw tentative conclusions from."
    )


def _table(first: str, parts: dict[str, Measured], alt: str) -> None:
    st.dataframe(
        pd.DataFrame(
            {
                first: [shorten(name, 60) for name in parts],
                "Examples": [part.percent.n for part in parts.values()],
                "Agreeing": [_told(part.percent, percent) for part in parts.values()],
                "Alpha": [_told(part.alpha, _decimal) for part in parts.values()],
            }
        ),
        hide_index=True,
        alt=alt,
        column_config={
            "Examples": st.column_config.NumberColumn(
                format="localized", help="Examples judged by several", width=75
            ),
            "Agreeing": st.column_config.TextColumn("Agreeing pairs (95 % interval)", help=PERCENT_HELP),
            "Alpha": st.column_config.TextColumn(
                "Alpha (95 % interval)",
                help=f"{ALPHA_HELP}. Where nearly all say the same, it cannot be told.",
            ),
        },
    )


def _show_closely(details: Details, value: str) -> None:
    with widgets.card("Over time"):
        _show_months(details)
    if len(details.agents) > 1:
        with widgets.card("By agent"):
            _table("Agent", details.agents, "How far reviewers agree, by agent")
            if len(details.agents) == AGENTS_COMPARED:
                st.caption(f"The {AGENTS_COMPARED} agents judged most, by name.")
    with widgets.card("Each two reviewers"):
        _show_pairs(details, value)
    with st.expander("Other measures"):
        _say("Fleiss' kappa", "Only the very same value counts as agreement.", details.kappa)
        if details.ordinal:
            _say("Krippendorff's alpha, ordinal", "Only the order of the scores counts.", details.ordinal)
        st.caption("For each, 0 is what chance would give and 1 is perfect.")


def _show_months(details: Details) -> None:
    known = [
        (month, part.percent)
        for month, part in details.months.items()
        if not isinstance(part.percent, TooLittle)
    ]
    if not known:
        st.caption(f"A month needs {FEWEST_SHARED_ITEMS} examples judged by several.")
        return
    if len(known) == 1:
        ((month, estimate),) = known
        st.text(f"{month:%B %Y}: {cards.with_interval(estimate, percent)}, {_examples(estimate.n)}.")
        return
    st.caption(
        "Share of agreeing pairs with its 95 % interval, by the month of an example's last judgement (UTC). "
        f"The dotted line is the {percent(settings().training_agreement, 0)} required of decisions."
    )
    figure = charts.agreement(known, settings().training_agreement)
    widgets.draw(figure, "agreement_months", "Share of agreeing pairs per month")


def _show_pairs(details: Details, value: str) -> None:
    if not details.pairs:
        st.caption("It takes two reviewers.")
        return
    weighted = "" if value == "decision" else " Of scores, kappa weighs a difference by its square."
    busiest = (
        f"The {ANNOTATORS_PAIRED} who judged most of {details.annotator_count:,} reviewers. "
        if details.annotator_count > ANNOTATORS_PAIRED
        else ""
    )
    told = [pair for pair in details.pairs if not isinstance(pair.percent, TooLittle)]
    untold = len(details.pairs) - len(told)
    few = (
        f" {count(untold, 'pair shares', 'pairs share')} fewer than {FEWEST_SHARED_ITEMS} examples and "
        f"{'is' if untold == 1 else 'are'} left out."
        if untold
        else ""
    )
    st.caption(f"{busiest}Cohen's kappa: 0 is what chance would give, 1 is perfect.{weighted}{few}")
    if told:
        _pairs_table(told)


def _pairs_table(pairs: list[PairAgreement]) -> None:
    st.dataframe(
        pd.DataFrame(
            {
                "One": [shorten(pair.first, 40) for pair in pairs],
                "Other": [shorten(pair.second, 40) for pair in pairs],
                "Examples": [pair.percent.n for pair in pairs],
                "Agreeing": [_told(pair.percent, percent) for pair in pairs],
                "Kappa": [_told(pair.kappa, _decimal) for pair in pairs],
            }
        ),
        hide_index=True,
        alt="How far each two reviewers agree",
        column_config={
            "One": "Reviewer",
            "Other": "and reviewer",
            "Examples": st.column_config.NumberColumn(
                format="localized", help="Examples both judged", width=75
            ),
            "Agreeing": st.column_config.TextColumn("Agreeing pairs (95 % interval)", help=PERCENT_HELP),
            "Kappa": st.column_config.TextColumn("Kappa (95 % interval)", help=KAPPA_HELP),
        },
    )


def _say(name: str, meaning: str, measured: Estimate | TooLittle) -> None:
    with st.container(gap="xsmall"):
        st.text(f"{name}: {_told(measured, _decimal)}")
        n = "" if isinstance(measured, TooLittle) else f" 95 % interval in brackets; {_examples(measured.n)}."
        st.caption(meaning + n)


def _told(measured: Estimate | TooLittle, show: Callable[[float], str]) -> str:
    if isinstance(measured, TooLittle):
        return _too_little(measured)
    return cards.with_interval(measured, show)


def _too_little(measured: TooLittle) -> str:
    if measured.n < FEWEST_SHARED_ITEMS:
        return f"{measured.n} of {FEWEST_SHARED_ITEMS} examples needed"
    return "Nearly all say the same"


def _decimal(value: float) -> str:
    return f"{round(value, 2) + 0:.2f}"


def _examples(number: int) -> str:
    return count(number, "example judged by several", "examples judged by several")
