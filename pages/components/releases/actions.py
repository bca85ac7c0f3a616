"""What a person may do to a release under way; each asks why, and is done at once."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Literal

import streamlit as st

from learning_core import db
from learning_core.releases import rollout
from learning_core.releases.queries import Found
from learning_core.releases.starting import LONGEST_REASON
from learning_core.schema import ReleaseStatus
from pages.components import frames, widgets
from pages.components.charts import shorten
from pages.components.session import User


def offer(user: User, found: Found) -> None:
    """Offer what the release's state allows: above all to roll it back."""
    if not user.may("release"):
        return
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        match found.status:
            case ReleaseStatus.WAITING:
                _ask(user, found, "Approve", rollout.approve, APPROVE, kind="primary")
                _ask(user, found, "Cancel it", rollout.cancel, CANCEL)
            case ReleaseStatus.ROLLING_OUT:
                _roll_back(user, found)
                _hold(user, found)
                if not found.approved_by:
                    _ask(user, found, "Approve", rollout.approve, APPROVE)
                _ask(user, found, "Promote now", rollout.promote, PROMOTE)
            case ReleaseStatus.WATCHING:
                _roll_back(user, found)
                _hold(user, found)
            case ReleaseStatus.COMPLETED if found.previous_id and found.production == found.version:
                _roll_back(user, found)


def _hold(user: User, found: Found) -> None:
    if not found.held_by:
        _ask(user, found, "Hold", rollout.hold, HOLD)
    elif st.button("Go on", key=f"go_on_{found.id}"):
        _do(user, lambda session, at: rollout.go_on(session, user.caller, found.id, at))


APPROVE = (
    "Approving lets it go on past half of all users, once its guardrails are shown to hold. Why do you?",
    "Approve it",
)
CANCEL = ("Nobody meets it, and nothing changes. Why is it cancelled?", "Cancel the release")
HOLD = ("It stays at the share it has until somebody lets it go on. Why?", "Hold it here")
PROMOTE = (
    "It goes on to the next stage at once, without waiting for time or proof. Guardrails keep watching. Why?",
    "Promote it now",
)


def _roll_back(user: User, found: Found) -> None:
    back = shorten(found.previous_version or "what was there before", 40)
    what = f"From the next request on everybody gets {back} again, in under a second. Why?"
    _ask(user, found, "Roll back", rollout.roll_back, (what, "Roll back now"), kind="primary")


def _ask(
    user: User,
    found: Found,
    label: str,
    verb: Callable[..., Any],
    words: tuple[str, str],
    *,
    kind: Literal["primary", "secondary"] = "secondary",
) -> None:
    what, confirm = words
    name = verb.__name__
    with st.popover(label, type=kind):
        st.text(what)
        reason = st.text_input(
            "Reason", max_chars=LONGEST_REASON, key=f"{name}_reason_{found.id}", placeholder="For the record"
        )
        if st.button(confirm, type="primary", key=f"{name}_{found.id}"):
            if not reason.strip():
                st.error("Say why, in a few words: it stays on record.")
                return
            _do(user, lambda session, at: verb(session, user.caller, found.id, reason.strip(), at))


def _do(user: User, work: Callable[[Any, datetime], Any]) -> None:
    with widgets.reporting():
        db.in_transaction(user.organization_id, lambda session: work(session, datetime.now(UTC)))
        frames.forget()
        st.rerun()
