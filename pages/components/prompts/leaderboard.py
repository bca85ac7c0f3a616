"""The candidates of a run as rows: what each scored, what its answers cost, how long it is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pandas as pd
import streamlit as st

from learning_core.prompts.queries import Standing
from learning_core.prompts.strategies import STRATEGIES
from pages.components import tables
from pages.components.prompts import telling

ONE_THOUSAND = 1_000


def name(standing: Standing) -> str:
    """Return what a candidate is called: by its number and how it was made."""
    if standing.number == 0:
        return "Current prompt"
    return f"{standing.number} · {strategy(standing.strategy)}"


def strategy(key: str) -> str:
    """Return what a strategy is called."""
    return STRATEGIES[key].title if key in STRATEGIES else key.replace("_", " ").capitalize()


def show(board: Sequence[Standing], key: str, on_select: Callable[[], None] | str = "ignore") -> None:
    """Show candidates in the order given; choosing one calls `on_select`."""
    rows = pd.DataFrame([_row(standing) for standing in board])
    rows["Score"] = tables.percents(rows["Score"].astype(float))
    options: dict[str, Any] = {} if on_select == "ignore" else {"selection_mode": "single-row"}
    st.dataframe(
        rows,
        hide_index=True,
        key=key,
        on_select=on_select,
        alt="Candidates with score, cost, latency and length",
        placeholder="—",
        column_config=COLUMNS,
        **options,
    )


def show_figures(one: Standing) -> None:
    """Show what one prompt scored and what its answers took."""
    scored = one.selection or one.proof
    if scored is None:
        return
    with st.grid(4, gap="small"):
        _figure(
            "Score", telling.score(scored.value), f"95 % interval {telling.between(scored)}, n {scored.n:,}"
        )
        if one.latency_ms is not None:
            _figure("Time to answer", telling.milliseconds(one.latency_ms), "Median")
        if one.cost_usd is not None:
            _figure(
                "Cost of 1,000 answers", telling.usd(one.cost_usd * ONE_THOUSAND), "Mean cost of an answer"
            )
        tokens = f"{one.prompt_tokens:,.0f} tokens with the question" if one.prompt_tokens else "Prompt"
        _figure("Length of the prompt", f"{one.characters:,}", f"Characters; {tokens}")


def _figure(name: str, value: str, words: str) -> None:
    with st.container(border=True, height="stretch", gap="xsmall"):
        st.metric(name, value)
        st.caption(words)


def _row(one: Standing) -> dict[str, Any]:
    return {
        "Candidate": name(one),
        "State": telling.STATE_NAMES[one.state],
        "Score": one.selection.value if one.selection else None,
        "Interval": _interval(one),
        "Unseen": telling.measured(one.proof) if one.proof else None,
        "Cost": one.cost_usd * ONE_THOUSAND if one.cost_usd is not None else None,
        "Latency": one.latency_ms / ONE_THOUSAND if one.latency_ms is not None else None,
        "Length": one.characters,
        "Tokens": round(one.prompt_tokens) if one.prompt_tokens is not None else None,
        "Version": one.version,
    }


def _interval(one: Standing) -> str:
    if one.selection is None:
        return "not scored yet"
    return f"{telling.between(one.selection)} (n {one.selection.n:,})"


COLUMNS = {
    "Candidate": st.column_config.TextColumn(width=176),
    "State": st.column_config.TextColumn(width=92),
    "Score": tables.percent_column(width=62, help="Mean score on the examples that the search went by"),
    "Interval": st.column_config.TextColumn("95 % interval", width=126),
    "Unseen": st.column_config.TextColumn(
        "On unseen examples",
        width=164,
        help="Mean score with its 95 % interval on the examples that were kept back for the proof",
    ),
    "Cost": st.column_config.NumberColumn(
        "$ per 1,000", format="$%.2f", width=80, help="Mean cost of 1,000 answers, in US dollars"
    ),
    "Latency": st.column_config.NumberColumn(format="%.2f s", width=62, help="Median time of an answer"),
    "Length": st.column_config.NumberColumn(
        "Characters", format="localized", width=76, help="Length of the prompt"
    ),
    "Tokens": st.column_config.NumberColumn(
        format="localized", width=58, help="Mean tokens of prompt and question together"
    ),
    "Version": st.column_config.NumberColumn(width=56, help="The prompt version that it is or became"),
}
