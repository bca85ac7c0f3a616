"""Asking for a better prompt: what should get better, on which examples, how, and at what cost."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import streamlit as st

from learning_core import db
from learning_core.background import Cap
from learning_core.errors import LearningError
from learning_core.prompts import runs, verdict
from learning_core.prompts.history import PRODUCTION, Version
from learning_core.prompts.orders import LONGEST_GOALS, Order
from learning_core.prompts.racing import Mode
from learning_core.prompts.strategies import STRATEGIES
from learning_core.schema import ModelRole
from learning_core.settings import settings
from pages.components import frames, widgets
from pages.components.prompts import choosing, go_to, making, telling
from pages.components.session import User
from pages.components.texts import count, plain

MODES = {
    Mode.EXPLORATORY: "Drop what falls behind: the most candidates for the money",
    Mode.ALWAYS_VALID: "Drop only what is proven to be behind: slower, and never by bad luck",
    Mode.EXHAUSTIVE: "Drop nothing: every candidate meets every example",
}


def show(user: User, agent: str, reference: str | None) -> None:
    """Show the form for a run, with what it would take, and start it."""
    if st.button("← Prompts", type="tertiary"):
        go_to(agent)
    wanted = int(reference) if reference and reference.isdecimal() else PRODUCTION
    version = frames.prompt_version(user.organization_id, agent, wanted)
    st.title(f"Improve the prompt of {plain(agent)}", anchor=False)
    if version is None:
        making.invite(user, agent)
        return
    if not choosing.has_models(user):
        return
    left, right = st.columns([3, 2], gap="medium")
    with left:
        order = _ask(user, agent, version)
    if order:
        with right:
            _show_outlook(user, order, version)


def _ask(user: User, agent: str, version: Version) -> Order | None:
    goals = st.text_area(
        "What should get better?",
        height=90,
        max_chars=LONGEST_GOALS,
        placeholder="Fewer messages at the wrong desk; answer with the topic alone.",
        help="In your own words. Complaints and corrections are learnt from without being told.",
        key="run_goals",
    )
    dataset = choosing.dataset(user, agent)
    if dataset is None:
        return None
    calls = st.number_input(
        "Calls of models at most",
        10,
        100_000,
        settings().optimization_calls,
        step=50,
        key="run_calls",
        help="The run never makes more. What it has found by then still goes through the final proof.",
    )
    usd = st.number_input(
        "US dollars at most",
        0.0,
        10_000.0,
        None,
        placeholder="no limit",
        key="run_usd",
        help="Counted where the price of a model is known.",
    )
    chosen, mode, seed, reuse = _ask_advanced()
    return Order(
        agent=agent,
        dataset_id=dataset.id,
        version_id=version.id,
        goals=goals.strip(),
        strategies=tuple(chosen),
        cap=Cap(Decimal(str(usd)) if usd else None, None, int(calls)),
        mode=mode,
        seed=int(seed),
        reuse=reuse,
    )


def _ask_advanced() -> tuple[list[str], Mode, int, bool]:
    chosen = st.multiselect(
        "Ways of making candidates",
        list(STRATEGIES),
        format_func=lambda name: STRATEGIES[name].title,
        placeholder="All of them",
        key="run_strategies",
        help="Without a choice all take part: "
        + " ".join(f"{plain(one.title)}: {plain(one.description, 200)}" for one in STRATEGIES.values()),
    )
    with st.expander("Advanced"):
        mode = st.radio("The search", list(MODES), format_func=MODES.__getitem__, key="run_mode")
        seed = st.number_input("Seed", 0, 2**31 - 1, 1, key="run_seed", help="The same seed repeats a run.")
        reuse = st.checkbox("Use answers again that other runs paid for", True, key="run_reuse")
    return chosen, mode, seed, reuse


# ---------------------------------------------------------------- what it would take


def _show_outlook(user: User, order: Order, version: Version) -> None:
    with widgets.card("What it would take"):
        try:
            estimate, counts = frames.estimate(user.organization_id, order)
        except LearningError as error:
            st.text(error.message)
            return
        st.text(_expect(estimate))
        st.text(_will_prove(counts))
        _show_models(user)
        begin = (
            f"It begins with version {version.number}. Nothing changes for users until you make a version."
        )
        st.caption(begin)
        if st.button("Start the run", type="primary", key="start_run"):
            _start(user, order)


def _expect(estimate: dict[str, Any]) -> str:
    tokens = count(int(estimate["tokens"]), "token", "tokens")
    return f"About {telling.expected(estimate)}, {tokens}."


def _will_prove(counts: dict[str, int]) -> str:
    """Say what the examples that are kept back can prove."""
    if not counts["test"]:
        return "No example is kept back in this dataset: a gain could be seen, and not be proven."
    return str(verdict.promise(counts["test"]))


def _show_models(user: User) -> None:
    models = frames.assigned_models(user.organization_id)
    for role in (ModelRole.TASK, ModelRole.PROPOSER, ModelRole.JUDGE):
        if role in models:
            with st.container(horizontal=True, gap="small"):
                st.caption(role.words, width=160)
                st.text(models[role].name)


def _start(user: User, order: Order) -> None:
    with widgets.reporting():
        with db.organization_session(user.organization_id) as session:
            run_id = runs.start(session, user.caller, order)
        frames.forget()
        go_to(order.agent, run=str(run_id))
