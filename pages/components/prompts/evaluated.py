"""What a version scored on a dataset, alone or beside another evaluation of the same examples."""

from __future__ import annotations

import streamlit as st

from learning_core.background import Run
from learning_core.datasets.splits import Split
from learning_core.prompts.queries import Standing
from learning_core.schema import RunKind
from pages.components import frames, widgets
from pages.components.prompts import answers, leaderboard, settings
from pages.components.prompts.answers import Side
from pages.components.session import User


def show(user: User, told: Run, board: list[Standing]) -> None:
    """Show what a version scored and answered, alone or beside another evaluation."""
    if not board:
        settings.show(user, told)
        return
    leaderboard.show_figures(board[0])
    compared, setup = st.tabs(["Answers", "Settings"], key="about_evaluation", bind="query-params")
    with compared:
        _compare_evaluations(user, told, board[0])
    with setup:
        settings.show(user, told)


def _compare_evaluations(user: User, told: Run, scored: Standing) -> None:
    part = answers.UNSEEN if told.settings.get("split") == Split.TEST else answers.SEARCHED
    mine = Side(scored.id, _named(scored))
    others = [
        other
        for other in frames.prompt_runs(user.organization_id, told.agent)
        if other.kind == RunKind.EVALUATION
        and other.id != told.id
        and other.values
        and other.settings.get("split") == told.settings.get("split")
        and other.dataset_id == told.dataset_id
    ]
    named = {f"Version {other.version}, {other.created_at:%d %b %H:%M}": other for other in others}
    chosen = widgets.choose("Compare with", list(named), "Another evaluation", key="other")
    if chosen is None:
        answers.show(user, told.dataset_id, mine, mine, [part], f"alone_{told.id}")
        return
    found = frames.run(user.organization_id, named[chosen].id)
    if found and found[1]:
        other = Side(found[1][0].id, _named(found[1][0]))
        answers.show(user, told.dataset_id, other, mine, [part], f"beside_{named[chosen].id}")


def _named(scored: Standing) -> str:
    return f"version {scored.version}" if scored.version else "the prompt"
