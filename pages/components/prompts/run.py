"""One run: what came of it, what it cost, how sure that is, and everything it rests on."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Any
from uuid import UUID

import pandas as pd
import streamlit as st

from learning_core import background, db
from learning_core.background import Run
from learning_core.llm.templates import Prompt
from learning_core.prompts import runs
from learning_core.prompts.queries import Standing
from learning_core.schema import CandidateState, RunKind, RunStatus
from pages.components import frames, texts, widgets
from pages.components.prompts import (
    answers,
    changes,
    evaluated,
    go_to,
    leaderboard,
    progress,
    settings,
    sources,
    telling,
)
from pages.components.prompts.answers import Side
from pages.components.session import User
from pages.components.texts import count, plain

TABS = ["Answers", "Prompt", "Learnt from", "Settings"]


def show(user: User, run_id: str) -> None:
    """Show the run of that id, or say that there is none."""
    found = _find(user, run_id)
    if st.button("← Prompts", type="tertiary"):
        go_to(found[0].agent if found else None)
    if found is None:
        widgets.show_empty("No such run", "It may belong to another organisation, or never have existed.")
        return
    told, board, points = found
    _show_title(told)
    if told.status in telling.LIVE:
        progress.show(user, told.id)
        with st.expander("Settings"):
            settings.show(user, told)
        return
    _say(user, told, board)
    _offer(user, told, board)
    if told.kind == RunKind.EVALUATION:
        evaluated.show(user, told, board)
    else:
        _show_optimization(user, told, board, points)


def _find(user: User, run_id: str) -> tuple[Run, list[Standing], pd.DataFrame] | None:
    try:
        return frames.run(user.organization_id, UUID(run_id))
    except ValueError:
        return None


def _show_title(told: Run) -> None:
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.title(f"{telling.KIND_NAMES[told.kind]} of {plain(told.agent)}", anchor=False, width="content")
        st.badge(telling.STATUS_NAMES[told.status], color=telling.STATUS_COLORS.get(told.status, "gray"))
    dataset = told.settings.get("dataset") or {}
    on = f", on {plain(dataset['name'])} version {dataset['version']}" if dataset else ""
    done = "Proposed" if told.status == RunStatus.PROPOSED else "Started"
    st.caption(f"{done} by {plain(told.started_by, 40)}, {told.created_at:%d %b %Y, %H:%M} UTC{on}.")


# ---------------------------------------------------------------- what is said and done


def _say(user: User, told: Run, board: Sequence[Standing]) -> None:
    subject = f"Version {board[0].version}" if board and board[0].version else "It"
    words = telling.run(told, _right(user, told), subject)
    with st.container(border=True, gap="xsmall"):
        st.html(f'<p style="{LARGE}">{escape(words.headline)}</p>')
        if words.figures:
            st.text(words.figures)
        if words.advice:
            st.text(words.advice)
        _warn(told)


LARGE = "font-size:1.45rem;font-weight:600;line-height:1.3;margin:0"


def _right(user: User, told: Run) -> str:
    """Return what a score is a share of: of right answers, where an answer is either right or wrong."""
    found = frames.evaluator(user.organization_id, told.evaluator_id)
    is_plain = found and all(check.kind in settings.RIGHT_OR_WRONG for check in found.evaluator.checks)
    return " right" if is_plain else ""


def _warn(told: Run) -> None:
    result = told.result or {}
    gate = result.get("gate") or {}
    if gate and not gate.get("passed"):
        st.error("Held back by the safety checks. " + plain(_findings(gate), 900))
    found = result.get("verdict") or {}
    if result.get("regressions") and found.get("kind") == "improved":
        worse = count(int(result["regressions"]), "unseen example", "unseen examples")
        st.warning(
            f"It fails on {worse} that the current prompt gets right. Before it ships, see which under "
            "Answers."
        )
    if judge := result.get("judge"):
        (st.caption if judge.get("trusted") else st.warning)(f"The judge: {plain(judge['words'], 400)}")
    if result.get("test_uses"):
        times = count(int(result["test_uses"]), "time", "times")
        st.caption(
            f"The unseen examples had been used {times} before this run: the more often, the less they prove."
        )


def _findings(gate: dict[str, Any]) -> str:
    told = gate.get("words")
    if told:
        return str(told)
    listed = gate.get("findings") or []
    return " ".join(str(one.get("detail", one) if isinstance(one, dict) else one) for one in listed[:10])


def _offer(user: User, told: Run, board: Sequence[Standing]) -> None:
    if not user.may("optimize"):
        return
    match told.status:
        case RunStatus.PROPOSED:
            with st.container(horizontal=True):
                progress.act(user, "Start it", progress.resume(told.kind), told, "start", primary=True)
                progress.act(user, "Dismiss", background.cancel, told, "dismiss")
        case RunStatus.PAUSED:
            _offer_to_go_on(user, told)
        case RunStatus.SUCCEEDED if told.kind == RunKind.PROMPT_OPTIMIZATION:
            winner = next((one for one in board if one.state == CandidateState.WINNER), None)
            if winner:
                _offer_version(user, told, winner, primary=True)


def _offer_to_go_on(user: User, told: Run) -> None:
    with st.container(horizontal=True, vertical_alignment="bottom"):
        progress.act(user, "Go on", progress.resume(told.kind), told, "resume", primary=True)
        progress.act(user, "Cancel", background.cancel, told, "cancel")
        with st.popover("Change what it may spend"):
            settings.ask_cap(user, told)


def _offer_version(user: User, told: Run, candidate: Standing, *, primary: bool = False) -> None:
    if candidate.version is not None:
        label = f"It is version {candidate.version}"
        if st.button(label, key=f"version_{candidate.number}", type="tertiary"):
            go_to(told.agent, version=str(candidate.version))
        return
    number = candidate.number
    what = "it" if primary else f"candidate {number}"
    with st.container(horizontal=True, width="content"):
        if primary and st.button("Start an experiment with this", key=f"try_{number}", type="primary"):
            query = {"make": "experiment", "run": str(told.id), "candidate": str(number)}
            st.switch_page("experiments.py", query_params=query)
        if st.button(f"Make {what} a version", key=f"make_{number}_{primary}"):
            with widgets.reporting():
                with db.organization_session(user.organization_id) as session:
                    made = runs.make_version(session, user.caller, told.id, number)
                frames.forget()
                go_to(told.agent, version=str(made.number))


# ---------------------------------------------------------------- an optimization


def _show_optimization(user: User, told: Run, board: list[Standing], points: pd.DataFrame) -> None:
    if not board:
        settings.show(user, told)
        return
    if not points.empty:
        with widgets.card("Best score over what was spent"):
            progress.show_score(told, board, points)
    st.header("Candidates", anchor=False)
    st.caption("Choose a row to see what it answered, what it says and what it learnt from.")

    def choose() -> None:
        rows = st.session_state[f"board_{told.id}"]["selection"]["rows"]
        if rows:
            st.query_params["candidate"] = str(board[rows[0]].number)

    leaderboard.show(board, f"board_{told.id}", choose)
    _show_refused(told)
    _show_chosen(user, told, board)


def _show_refused(told: Run) -> None:
    refused = told.progress.get("refused") or []
    if refused:
        with st.expander(f"{count(len(refused), 'proposal was', 'proposals were')} not tried"):
            for one in refused:
                st.text(f"{leaderboard.strategy(str(one.get('strategy')))}: {one.get('reason')}")


def _show_chosen(user: User, told: Run, board: list[Standing]) -> None:
    chosen = _chosen(board)
    if chosen is None:
        settings.show(user, told)
        return
    with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"):
        st.header(f"Candidate {plain(leaderboard.name(chosen))}", anchor=False)
        if user.may("optimize") and chosen.number and chosen.state != CandidateState.WINNER:
            _offer_version(user, told, chosen)
    compared, prompt, learnt, setup = st.tabs(TABS, key="about_run", on_change="rerun", bind="query-params")
    if compared.open:
        with compared:
            _show_answers(user, told, board, chosen)
    if prompt.open:
        with prompt:
            _show_prompt(board, chosen)
    if learnt.open:
        with learnt:
            sources.show(user, chosen, board)
    if setup.open:
        with setup:
            settings.show(user, told)


def _chosen(board: list[Standing]) -> Standing | None:
    """Return the candidate of the address, or else the one that leads; None where there is none."""
    wanted = st.query_params.get("candidate", "")
    by_number = {str(one.number): one for one in board}
    leading = [one for one in board if one.number]
    return by_number.get(wanted) or (leading[0] if leading else None)


def _show_answers(user: User, told: Run, board: list[Standing], chosen: Standing) -> None:
    against = _ask_against(board, chosen)
    if against is None:
        st.caption("There is no other candidate to compare with.")
        return
    parts = [answers.SEARCHED, *([answers.UNSEEN] if chosen.proof and against.proof else [])]
    sides = (_side(against), _side(chosen))
    answers.show(user, told.dataset_id, *sides, parts, f"answers_{chosen.number}_{against.number}")


def _side(one: Standing) -> Side:
    return Side(one.id, "the current prompt" if one.number == 0 else f"candidate {one.number}")


def _ask_against(board: list[Standing], chosen: Standing) -> Standing | None:
    others = sorted((one for one in board if one.number != chosen.number), key=lambda one: one.number)
    if len(others) < 2:
        return others[0] if others else None
    named = {leaderboard.name(one): one for one in others}
    wanted = st.selectbox("Compared with", list(named), key=f"against_{chosen.number}", width=280)
    return named[wanted]


def _show_prompt(board: list[Standing], chosen: Standing) -> None:
    against = next((one for one in board if one.number == 0 and chosen.number), None)
    prompt = Prompt.parse(chosen.messages)
    if against is None:
        texts.framed(prompt.text, missing="It is empty.")
        return
    changes.show(Prompt.parse(against.messages), prompt)
    with st.expander("The whole prompt"):
        st.code(prompt.text, language=None, wrap_lines=True)
