"""Any two versions of a prompt side by side."""

from __future__ import annotations

import streamlit as st

from learning_core.prompts.history import Version
from pages.components import frames, widgets
from pages.components.prompts import changes, go_to, version
from pages.components.session import User
from pages.components.texts import plain


def show(user: User, agent: str) -> None:
    """Ask for two versions and show in what they differ; both stand in the address."""
    if st.button("← Prompts", type="tertiary"):
        go_to(agent)
    st.title(f"Two prompts of {plain(agent)}", anchor=False)
    known = frames.prompt_versions(user.organization_id, agent)
    if not known:
        widgets.show_empty("No version yet", "There is nothing to compare.")
        return
    labels = {str(one.number): _label(one) for one in known}
    one, other = st.columns(2)
    with one:
        before = _choose("Before", "before", labels, default=min(1, len(labels) - 1))
    with other:
        after = _choose("After", "after", labels, default=0)
    found = [frames.prompt_version(user.organization_id, agent, int(number)) for number in (before, after)]
    sides = [side for side in found if side]
    if len(sides) == 2:
        _show(user, *sides)


def _choose(label: str, name: str, labels: dict[str, str], default: int) -> str:
    """Ask for a version; the numbers stand in the address, which is read first."""
    numbers = list(labels)
    wanted = st.query_params.get(name)
    place = numbers.index(wanted) if wanted in numbers else default

    def keep() -> None:
        st.query_params[name] = st.session_state[f"choose_{name}"]

    chosen = st.selectbox(
        label, numbers, index=place, format_func=labels.__getitem__, key=f"choose_{name}", on_change=keep
    )
    return str(chosen)


def _label(one: object) -> str:
    labels = f" ({', '.join(one.labels)})" if one.labels else ""
    return f"Version {one.number}{labels}"


def _show(user: User, before: Version, after: Version) -> None:
    changes.show(before.prompt, after.prompt)
    for column, side in zip(st.columns(2), (before, after), strict=True):
        with column:
            st.header(f"Version {side.number}", anchor=False)
            st.caption(f"{len(side.prompt.text):,} characters. {plain(side.reason, 300)}")
            version.show_figures(user, side)
