"""Adding a language model, found on this machine or named by its address; and changing one."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

import streamlit as st

from learning_core import db
from learning_core.llm import endpoints
from learning_core.llm.endpoints import Found, Saved
from learning_core.llm.requests import Model
from learning_core.schema import ModelRole
from pages.components import frames, widgets
from pages.components.session import User

PROVIDERS = ["OpenAI", "Ollama", "llama.cpp", "LM Studio", "vLLM", "Another"]
NEW = "A new model"
NO_KEY = "None"
DEAREST = 99_999.0


def look_around(user: User, known: Sequence[Saved]) -> None:
    """Look for servers of models on this machine, and offer what they have."""
    st.header("On this machine", anchor=False)
    if st.button("Look for local servers", key="discover"):
        with st.spinner("Looking for Ollama, llama.cpp, LM Studio and vLLM …"):
            st.session_state["found_models"] = endpoints.discover()
    found: list[Found] | None = st.session_state.get("found_models")
    if found is None:
        st.caption("Ollama, llama.cpp, LM Studio and vLLM are found at their usual ports.")
    elif not found:
        st.caption("No server of models answers at a usual port. Start one, or add one by its address.")
    for server in found or ():
        _show_server(user, server, known)


def _show_server(user: User, server: Found, known: Sequence[Saved]) -> None:
    have = {(one.model.base_url, one.model.model) for one in known}
    offered = [name for name in server.models if (server.base_url, name) not in have]
    with st.container(horizontal=True, vertical_alignment="bottom"):
        st.text(f"{server.provider} at {server.base_url}", width=260)
        if not offered:
            st.caption("All of its models are added.", width="content")
            return
        key = f"server_{server.base_url}"
        name = st.selectbox("Its models", offered, label_visibility="collapsed", key=key, width=280)
        if st.button("Add", key=f"add_{key}", type="primary"):
            save(user, known, Model(name[:80], server.provider, server.base_url, name))


def show(user: User, known: Sequence[Saved]) -> None:
    """Show the form for a new model, or for one that there is."""
    st.header("Add or change a model", anchor=False)
    named = {one.model.name: one.model for one in known}
    which = st.selectbox("Which", [NEW, *named], key="edited_model", width=280) if named else NEW
    before = named.get(which)
    key = f"model_{which}"
    with st.form(key):
        fields = _ask(before, key)
        if st.form_submit_button("Save", type="primary"):
            save(user, known, fields)


def _ask(before: Model | None, key: str) -> Model:
    known = before or Model("", PROVIDERS[0], "", "")
    one, other = st.columns(2)
    with one:
        name = st.text_input(
            "Name",
            known.name,
            max_chars=80,
            disabled=before is not None,
            key=f"{key}_name",
            placeholder="fast",
        )
        address = st.text_input(
            "Address",
            known.base_url,
            max_chars=300,
            key=f"{key}_address",
            placeholder="http://127.0.0.1:11434/v1",
        )
        model = st.text_input(
            "Model", known.model, max_chars=200, key=f"{key}_model", help="What the server calls it."
        )
        provider = _ask_provider(before, key)
    with other:
        key_name = _ask_key(before, key)
        asked = _ask_price(
            "US dollars per million tokens of question", known.input_usd_per_million, f"{key}_in"
        )
        answered = _ask_price(
            "US dollars per million tokens of answer", known.output_usd_per_million, f"{key}_out"
        )
        at_once = st.number_input(
            "Calls at the same time", 1, 512, known.max_concurrency, key=f"{key}_at_once"
        )
    with st.expander("Advanced"):
        timeout = st.number_input(
            "Seconds to wait for an answer", 1, 3600, known.timeout_s, key=f"{key}_timeout"
        )
        structured = st.checkbox(
            "It can be held to a JSON schema", known.structured_output, key=f"{key}_structured"
        )
    name = known.name or name
    return Model(
        name, provider, address, model, key_name, asked, answered, int(at_once), int(timeout), structured
    )


def _ask_price(label: str, known: Decimal | None, key: str) -> Decimal | None:
    """Ask for a price; nothing means that it is not known."""
    held = None if known is None else float(known)
    amount = st.number_input(label, 0.0, DEAREST, held, key=key, placeholder="unknown; 0 is free")
    return None if amount is None else Decimal(str(amount))


def _ask_provider(before: Model | None, key: str) -> str:
    offered = PROVIDERS if before is None or before.provider in PROVIDERS else [before.provider, *PROVIDERS]
    place = offered.index(before.provider) if before else 0
    return str(st.selectbox("Provider", offered, index=place, key=f"{key}_provider"))


def _ask_key(before: Model | None, key: str) -> str | None:
    known = endpoints.key_names()
    offered = [NO_KEY, *known]
    if before and before.key_name and before.key_name not in offered:
        offered.append(before.key_name)
    place = offered.index(before.key_name) if before and before.key_name else 0
    chosen = st.selectbox(
        "Key",
        offered,
        index=place,
        format_func=lambda name: f"{name}, for {known[name]}" if name in known else name,
        key=f"{key}_key",
        help="Keys are never entered here. Whoever runs Afterglow sets AFTERGLOW_MODEL_KEY_<NAME> to the "
        "address and the secret, with a space between; the name then appears here.",
    )
    return None if chosen == NO_KEY else str(chosen)


def save(user: User, known: Sequence[Saved], model: Model) -> None:
    """Save a model; the first one answers like the agent, and stands in for all else."""
    with widgets.reporting():
        with db.organization_session(user.organization_id) as session:
            saved = endpoints.save_model(session, user.caller, **vars(model))
            if not known:
                endpoints.assign(session, user.caller, ModelRole.TASK, saved)
        frames.forget()
        st.rerun()
