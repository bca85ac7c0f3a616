"""How an agent's answers are scored: read in words, changed in a draft, and tried on an approved example."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import streamlit as st

from learning_core.errors import NotEnoughData
from learning_core.evaluation.checks import Evaluator
from learning_core.evaluation.evaluators import Version
from learning_core.evaluation.kinds import KINDS
from learning_core.evaluation.safety import ABSOLUTE, WORDS, Gate
from learning_core.feedback.intervals import Estimate
from learning_core.schema import ModelRole
from pages.components import frames, widgets
from pages.components.prompts import address, evaluator_form, evaluator_trial, go_to
from pages.components.prompts.evaluator_options import FIELDS, GATE, field_of, line, percents, sentence, share
from pages.components.session import User
from pages.components.texts import plain

CHANGE = "change"
"""What stands in the URL while somebody changes it; v3 shows version 3, and all else the newest."""


def show(user: User, agent: str) -> None:
    """Show how an agent's answers are scored, or the form that changes it."""
    known = frames.evaluators_of(user.organization_id, agent)
    if st.query_params.get("evaluator") == CHANGE and user.may("optimize"):
        evaluator_form.show(user, agent, known)
    else:
        _read(user, agent, known)


def _read(user: User, agent: str, known: Sequence[Version]) -> None:
    if st.button("← Prompts", type="tertiary"):
        go_to(agent)
    with widgets.header(f"How answers of {plain(agent)} are scored"):
        shown = _choose_version(agent, known)
        begin = "Change it" if known else "Set it"
        label = "Go on changing it" if evaluator_form.is_begun(user, agent) else begin
        if user.may("optimize") and st.button(label, type="primary", key="change_evaluator"):
            go_to(agent, evaluator=CHANGE)
    evaluator = _say_who(shown) if shown else _stand_in(user, agent)
    if evaluator is None:
        return
    left, right = st.columns([3, 2], gap="medium")
    with left:
        _tell_checks(evaluator)
        if "judge" in evaluator.needs:
            _tell_judge(user, agent)
        _tell_gate(evaluator.gate)
    with right:
        evaluator_trial.show(user, agent, evaluator)


def _choose_version(agent: str, known: Sequence[Version]) -> Version | None:
    """Ask which version to show where there are several; the choice lives in the URL."""
    named = {f"v{one.number}": one for one in known}
    asked = str(st.query_params.get("evaluator"))
    shown = named.get(asked, known[0] if known else None)
    if shown is None or len(known) == 1:
        return shown
    key = f"evaluator_shown_{agent}"
    st.session_state[key] = f"v{shown.number}"
    st.selectbox(
        "Version",
        list(named),
        format_func=lambda name: f"Version {name[1:]}{', the newest' if named[name] is known[0] else ''}",
        label_visibility="collapsed",
        key=key,
        on_change=lambda: address(agent, evaluator=st.session_state[key]),
        width=240,
    )
    return shown


def _say_who(shown: Version) -> Evaluator:
    day = f"{shown.created_at:%d %b %Y, %H:%M} UTC"
    st.caption(
        f"Version {shown.number}, set {day} by {plain(shown.created_by, 40)}. Every run names the version it "
        "was scored by."
    )
    return shown.evaluator


def _stand_in(user: User, agent: str) -> Evaluator | None:
    """Return what a run would use where nobody has set anything; say so."""
    for dataset in frames.datasets_of(user.organization_id, agent)[:1]:
        with _without_examples():
            found = frames.suggested_evaluator(user.organization_id, dataset.id, agent)
            st.caption(
                f"Nobody has set it yet. A run on {plain(dataset.name)}, version {dataset.version}, would "
                "score like this, because it suits what the examples expect."
            )
            return found
    widgets.show_empty(
        "Nobody has set it yet",
        "The first run on a dataset then takes what suits its examples: labels and numbers are compared, "
        "JSON field by field, prose by the words it shares. ML engineers may set it before.",
    )
    return None


@contextmanager
def _without_examples() -> Iterator[None]:
    try:
        yield
    except NotEnoughData as lacking:
        st.caption(plain(lacking.message, 200))


def _tell_checks(evaluator: Evaluator) -> None:
    st.header("What a good answer is", anchor=False)
    for check in evaluator.checks:
        with st.container(border=True, gap="xsmall"):
            with st.container(horizontal=True, horizontal_alignment="distribute"):
                st.markdown(f"**{KINDS[check.kind].title}**", width="content")
                st.badge(share(check, evaluator.checks), color="gray")
            st.text(check.words)
            for name, value in check.options.items():
                if value:
                    field = field_of(check.kind, name)
                    line(field.label, field.tell(value))


def _tell_gate(gate: Gate) -> None:
    st.header("What holds a prompt back, whatever it scores", anchor=False)
    st.caption("How many of its answers may show it, above those of the prompt that it is to replace.")
    with st.container(border=True, gap="xsmall"):
        for kind, words in WORDS.items():
            limit = gate.limits[kind]
            allowed = f"up to {percents(limit)}" if limit else "none"
            line(sentence(words), f"{allowed}, whatever the other does" if kind in ABSOLUTE else allowed)
    with st.container(gap="xsmall"):
        for name in GATE:
            if value := getattr(gate, name):
                line(FIELDS[name].label, FIELDS[name].tell(value))


def _tell_judge(user: User, agent: str) -> None:
    """Say who judges, and how far that agreed with the experts when it was last compared with them."""
    st.header("Whether to trust the judge", anchor=False)
    models = frames.assigned_models(user.organization_id)
    judge = models.get(ModelRole.JUDGE)
    if judge is None:
        st.warning("No model judges yet. An administrator names one under Administration, Models.")
    elif judge == models.get(ModelRole.TASK):
        st.warning(
            f"Nobody judges their own answers: here {plain(judge.name)} answers and judges. An administrator "
            "names another model for it under Administration, Models."
        )
    runs = frames.prompt_runs(user.organization_id, agent)
    compared = next((run for run in runs if (run.result or {}).get("judge")), None)
    if compared is None:
        st.caption("No run has compared a judge with your experts yet. The next one that asks a judge does.")
        return
    _tell_trust(compared.result["judge"], _judge_of(compared))


def _judge_of(run: Any) -> str:
    model = (run.settings.get("models") or {}).get("judge") or {}
    return f"{plain(str(model.get('name') or 'The judge'))}, in the run of {run.created_at:%d %b %Y}"


def _tell_trust(told: Mapping[str, Any], judge: str) -> None:
    if told.get("trusted"):
        st.text(told["words"])
    else:
        st.warning(plain(str(told["words"]), 400))
    for label, name in (
        ("Rank correlation with the experts' scores", "rho"),
        ("Kappa of approving", "kappa"),
    ):
        if figure := told.get(name):
            found = Estimate(**figure)
            between = f"95 % interval {found.low:.2f} to {found.high:.2f}, n {found.n:,}"
            line(label, f"{found.value:.2f} ({between})")
    st.caption(f"{judge}. From 0.40 on, both are taken to agree.")
