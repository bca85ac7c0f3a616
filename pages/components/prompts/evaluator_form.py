"""Changing how an agent's answers are scored: a draft of checks and gate, until it is saved as a version."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NoReturn

import streamlit as st

from learning_core import db
from learning_core.errors import InvalidInput
from learning_core.evaluation import evaluators, safety
from learning_core.evaluation.checks import MOST_CHECKS, Check, Evaluator
from learning_core.evaluation.evaluators import Version
from learning_core.evaluation.kinds import KINDS
from learning_core.evaluation.safety import Gate
from pages.components import frames, widgets
from pages.components.prompts import evaluator_trial, go_to
from pages.components.prompts.evaluator_options import ALLOWED, FIELDS, GATE, Field, field_of, share
from pages.components.session import User
from pages.components.texts import plain


def show(user: User, agent: str, known: Sequence[Version]) -> None:
    """Show the form: checks and gate on the left, what an answer would score on the right."""
    name = _name(user, agent)
    if st.button("← How it is scored now", type="tertiary", key="leave_evaluator"):
        go_to(agent, evaluator="1")
    st.title(f"Change how answers of {plain(agent)} are scored", anchor=False)
    st.caption("Nothing changes before you save. Runs under way keep the version they began with.")
    draft = _draft(name, known)
    if known and draft["number"] != known[0].number:
        st.warning(f"Version {known[0].number} was saved since you began. Saving puts yours in its place.")
    left, right = st.columns([3, 2], gap="medium")
    with left:
        _offer_suggestion(user, agent, draft)
        evaluator = _ask(draft)
    with right:
        evaluator_trial.show(user, agent, evaluator)
        _offer_save(user, agent, evaluator, known, name)


def is_begun(user: User, agent: str) -> bool:
    """Return whether this person has begun to change it, and neither saved nor cancelled."""
    return _name(user, agent) in st.session_state


def _name(user: User, agent: str) -> str:
    return f"evaluator_{user.organization_id}_{agent}"


def _leave(agent: str, name: str) -> NoReturn:
    st.session_state.pop(name, None)
    go_to(agent, evaluator="1")


def _draft(name: str, known: Sequence[Version]) -> dict[str, Any]:
    """Return what is being changed: checks and gate by what their widgets hold."""
    if name not in st.session_state:
        last = known[0] if known else None
        gate = (last.evaluator.gate if last else Gate()).told()
        draft = {"name": name, "number": last.number if last else 0, "made": 0, "checks": {}}
        draft["limits"] = {kind: ALLOWED[kind].write(share) for kind, share in gate.pop("limits").items()}
        draft["gate"] = {field: FIELDS[field].write(value) for field, value in gate.items()}
        for check in last.evaluator.checks if last else ():
            _add(draft, check.kind, check.weight, check.options)
        st.session_state[name] = draft
    return st.session_state[name]


def _add(
    draft: dict[str, Any], kind: str, weight: float = 1.0, told: Mapping[str, Any] | None = None
) -> None:
    """Put a check into a draft under a number of its own, from which the keys of its widgets are made."""
    options = KINDS[kind].options
    given = {name: option.default for name, option in options.items()} | dict(told or {})
    given["weight"] = weight
    held = {name: field_of(kind, name).write(value) for name, value in given.items()}
    draft["checks"][draft["made"]] = {"kind": kind, "held": held}
    draft["made"] += 1


def _ask(draft: dict[str, Any]) -> Evaluator | None:
    """Ask for checks and gate; return the evaluator, None where something in it has to be mended."""
    st.header("What a good answer is", anchor=False)
    asked = [_ask_check(draft, number) for number in list(draft["checks"])]
    checks = tuple(check for _, check in asked if check)
    for place, check in asked:
        if check:
            place.badge(share(check, checks), color="gray")
    below = st.container()
    _offer_check(draft)
    gate = _ask_gate(draft)
    if gate is None or len(checks) < len(asked):
        return None
    if not checks:
        below.caption("Nothing is scored yet. Add the first check.")
        return None
    with _mending({}, below):
        return Evaluator(checks, gate)
    return None


def _ask_check(draft: dict[str, Any], number: int) -> tuple[Any, Check | None]:
    """Ask for a check; return the place for its share of the score, and None where it has to be mended."""
    kind, held = draft["checks"][number]["kind"], draft["checks"][number]["held"]
    with st.container(border=True, gap="xsmall") as whole:
        with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"):
            with st.container(horizontal=True, vertical_alignment="center", gap="small", width="content"):
                st.markdown(f"**{KINDS[kind].title}**", width="content")
                place = st.container(width="content")
            st.button(
                "Remove",
                type="tertiary",
                key=f"{draft['name']}_{number}_remove",
                on_click=draft["checks"].pop,
                args=(number,),
            )
        st.text(KINDS[kind].words)
        fields = {name: field_of(kind, name) for name in ("weight", *KINDS[kind].options)}
        helps = {name: option.words for name, option in KINDS[kind].options.items()}
        places = _draw(fields, held, helps, f"{draft['name']}_{number}")
        with _mending(places, whole):
            told = {name: field.read(held[name]) for name, field in fields.items()}
            return place, Check(kind, told.pop("weight"), told)
    return place, None


def _draw(
    fields: Mapping[str, Field], held: dict[str, Any], helps: Mapping[str, str], key: str
) -> dict[str, Any]:
    """Draw the widgets of options, keep what they hold, and return the place of each."""
    places = {}
    for name, field in fields.items():
        places[name] = st.container(gap="xsmall")
        st.session_state.setdefault(f"{key}_{name}", held[name])
        help_ = plain(helps[name], 300) if name in helps else None
        with places[name]:
            held[name] = field.draw(field.label, key=f"{key}_{name}", help=help_)
    return places


@contextmanager
def _mending(places: Mapping[str, Any], otherwise: Any) -> Iterator[None]:
    """Say below a field what is wrong with it."""
    try:
        yield
    except InvalidInput as error:
        places.get(error.field or "", otherwise).error(plain(error.message, 300))


def _offer_check(draft: dict[str, Any]) -> None:
    if len(draft["checks"]) >= MOST_CHECKS:
        st.caption(f"These are {MOST_CHECKS} checks, as many as there can be.")
        return
    with st.container(border=True, gap="xsmall"):
        kind = st.selectbox(
            "Add a check",
            list(KINDS),
            format_func=lambda one: KINDS[one].title,
            key=f"{draft['name']}_kind",
        )
        st.text(KINDS[kind].words)
        st.button("Add", key=f"{draft['name']}_add", on_click=_add, args=(draft, kind))


def _ask_gate(draft: dict[str, Any]) -> Gate | None:
    st.header("What holds a prompt back, whatever it scores", anchor=False)
    st.caption(
        "In percent of its answers: how many more than those of the prompt to be replaced may show it. What "
        "is forbidden counts whatever the other prompt does."
    )
    key = f"{draft['name']}_gate"
    with st.container(border=True) as whole:
        with st.grid(2, gap="small", vertical_alignment="bottom"):
            _draw(ALLOWED, draft["limits"], {}, f"{key}_limit")
        fields = {name: FIELDS[name] for name in GATE}
        helps = {name: safety.OPTIONS[name].words for name in GATE}
        places = _draw(fields, draft["gate"], helps, key)
        with _mending(places, whole):
            told = {name: field.read(draft["gate"][name]) for name, field in fields.items()}
            limits = {kind: field.read(draft["limits"][kind]) for kind, field in ALLOWED.items()}
            return Gate.parse(told | {"limits": limits})
    return None


def _offer_suggestion(user: User, agent: str, draft: dict[str, Any]) -> None:
    known = frames.datasets_of(user.organization_id, agent)
    if not known:
        return
    named = {f"{one.name}, version {one.version}": one for one in known}
    with st.expander("Take what suits a dataset", expanded=not draft["checks"]):
        chosen = st.selectbox("Dataset", list(named), key=f"{draft['name']}_dataset")
        st.text("The checks below give way to those that suit what its examples expect.")
        if st.button("Take the suggestion", key=f"{draft['name']}_suggest"):
            with widgets.reporting():
                found = frames.suggested_evaluator(user.organization_id, named[chosen].id, agent)
                draft["checks"].clear()
                for check in found.checks:
                    _add(draft, check.kind, check.weight, check.options)
                st.rerun()


def _offer_save(
    user: User, agent: str, evaluator: Evaluator | None, known: Sequence[Version], name: str
) -> None:
    is_same = bool(known) and evaluator is not None and evaluator.told() == known[0].evaluator.told()
    label = f"Save as version {known[0].number + 1 if known else 1}"
    with st.container(horizontal=True, vertical_alignment="center"):
        wants_save = st.button(label, type="primary", key="save_evaluator")
        if st.button("Cancel", key="cancel_evaluator"):
            _leave(agent, name)
    if evaluator is None:
        st.caption("Something has to be mended first.")
    elif is_same:
        st.caption("Nothing is changed yet.")
    elif wants_save:
        with widgets.reporting():
            with db.organization_session(user.organization_id) as session:
                evaluators.save(session, user.caller, agent, evaluator)
            frames.forget()
            _leave(agent, name)
