"""The language models of an organisation: which there are, what each is used for, whether it answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

import pandas as pd
import streamlit as st

from learning_core import db
from learning_core.llm import endpoints
from learning_core.llm.endpoints import Saved, Source
from learning_core.llm.requests import Answer, Model
from learning_core.schema import ModelRole
from pages.components import frames, model_form, texts, widgets
from pages.components.charts import shorten
from pages.components.session import User
from pages.components.texts import count, plain

ROLE_HELP = {
    ModelRole.TASK: "Answers every example during a run, as the agent would.",
    ModelRole.PROPOSER: "Writes new prompts from feedback and corrections. A stronger model helps here most.",
    ModelRole.JUDGE: "Scores answers where no simple comparison can.",
    ModelRole.EMBEDDING: "Scores how near two answers are in meaning. Nothing stands in for it.",
}


def show(user: User) -> None:
    """Show the models, what they are used for, and the forms that change both."""
    with db.reading_session(user.organization_id) as session:
        known = endpoints.models(session)
        used = endpoints.sources(session)
    st.caption(
        "Models try prompts out, write new ones and judge answers: any model behind an OpenAI-compatible "
        "address will do, on this machine or at a provider."
    )
    if known:
        _show_models(known, used)
        _show_tried()
        _offer(user, known)
    elif not used:
        widgets.show_empty(
            "No model yet",
            "Look for one on this machine, or add one below. The first one is used for everything.",
        )
    if used:
        _show_roles(user, known, used)
    model_form.look_around(user, known)
    model_form.show(user, known)


def _show_models(known: Sequence[Saved], used: Mapping[ModelRole, Source]) -> None:
    st.dataframe(
        pd.DataFrame([_row(one.model, used) for one in known]),
        hide_index=True,
        alt="Language models",
        placeholder="unknown",
        column_config={
            "Price in": st.column_config.NumberColumn(
                format="$%.2f", help="US dollars per million tokens of question"
            ),
            "Price out": st.column_config.NumberColumn(
                format="$%.2f", help="US dollars per million tokens of answer"
            ),
            "At once": st.column_config.NumberColumn(help="Calls on their way at the same time, at most"),
        },
    )


def _row(model: Model, used: Mapping[ModelRole, Source]) -> dict[str, Any]:
    roles = [role.words for role, source in used.items() if source.model == model]
    return {
        "Name": model.name,
        "Provider": model.provider,
        "Address": model.base_url,
        "Model": model.model,
        "Price in": _amount(model.input_usd_per_million),
        "Price out": _amount(model.output_usd_per_million),
        "Key": model.key_name or "none",
        "At once": model.max_concurrency,
        "Used for": roles or ["nothing"],
    }


def _amount(price: Decimal | None) -> float | None:
    return None if price is None else float(price)


# ---------------------------------------------------------------- trying and retiring


def _offer(user: User, known: Sequence[Saved]) -> None:
    named = {one.model.name: one for one in known}
    with st.container(horizontal=True, vertical_alignment="bottom"):
        chosen = named[st.selectbox("Model", list(named), key="chosen_model", width=280)]
        if st.button("Try it", key="try_model"):
            _try(user, chosen.model)
        with st.popover("Retire"):
            st.text("It is used for nothing any more. Runs that used it still name it.")
            if st.button("Retire it", key="retire_model", type="primary"):
                with widgets.reporting():
                    with db.organization_session(user.organization_id) as session:
                        endpoints.retire_model(session, user.caller, chosen.id)
                    frames.forget()
                    st.rerun()


def _try(user: User, model: Model) -> None:
    with widgets.reporting():
        with st.spinner(f"Asking {plain(model.name)} to say ok …"):
            answer = endpoints.try_model(user.caller, model)
        st.session_state["tried_model"] = (model.name, answer)
        st.rerun()


def _show_tried() -> None:
    tried: tuple[str, Answer] | None = st.session_state.pop("tried_model", None)
    if tried is None:
        return
    name, answer = tried
    with st.container(border=True):
        if answer.error:
            st.badge("No answer", color="red")
            st.text(f"{shorten(name, 80)}: {shorten(answer.error, 500)}")
            return
        st.badge("It answers", color="green")
        tokens = count(answer.prompt_tokens + answer.completion_tokens, "token", "tokens")
        st.text(f"{shorten(name, 80)} said this after {answer.latency_ms / 1000:.1f} s, {tokens}:")
        texts.as_written(answer.text or "(nothing)")


# ---------------------------------------------------------------- what each is used for


def _show_roles(user: User, known: Sequence[Saved], used: Mapping[ModelRole, Source]) -> None:
    st.header("What each is used for", anchor=False)
    names = [one.model.name for one in known]
    with st.form("assign_models"):
        chosen = {}
        for role, place in zip(ModelRole, st.columns(len(ModelRole)), strict=True):
            own = used.get(role)
            held = own.model.name if own and own.through == role else None
            with place:
                chosen[role] = st.selectbox(
                    role.words,
                    names,
                    index=names.index(held) if held in names else None,
                    placeholder=_substitute(own),
                    help=ROLE_HELP[role],
                    key=f"role_{role}",
                )
        if st.form_submit_button("Save", type="primary"):
            _assign(user, {one.model.name: one for one in known}, chosen)


def _substitute(source: Source | None) -> str:
    if source is None:
        return "None"
    return (
        f"As above: {shorten(source.model.name, 30)}" if source.through else f"{source.model.name} (settings)"
    )


def _assign(user: User, known: Mapping[str, Saved], chosen: Mapping[ModelRole, str | None]) -> None:
    with widgets.reporting():
        with db.organization_session(user.organization_id) as session:
            for role, name in chosen.items():
                endpoints.assign(session, user.caller, role, known[name].id if name else None)
        frames.forget()
        st.rerun()
