import streamlit as st

from pages.components import example, frames, session, widgets
from pages.components.review import (
    agreement,
    browse,
    disputes,
    flags,
    gold,
    guidelines,
    judge,
    reviewers,
)

VIEWS = ["Judge", "Compare", "Disputed", "Flagged", "Examples", "Agreement", "Team", "Guidelines"]

user = session.require_user()

if example_id := st.query_params.get("example"):
    example.show(user, example_id)
    st.stop()

with widgets.header("Review"):
    view = st.segmented_control(
        "View",
        VIEWS,
        default="Judge" if user.may("review") else "Examples",
        required=True,
        label_visibility="collapsed",
        key="view_of_review",
        bind="query-params",
    )

if view not in ("Judge", "Compare") or not user.may("review"):
    judge.leave(user)

match view:
    case "Judge" | "Compare" if not user.may("review"):
        widgets.show_empty(
            "Experts judge here",
            "Your role reads: see what was judged under Examples, and how far the experts agree under "
            "Agreement.",
        )
    case "Judge":
        judge.show(user, "review")
    case "Compare":
        judge.show(user, "compare")
    case "Disputed":
        disputes.show(user)
    case "Flagged":
        flags.show(user)
    case "Agreement":
        agreement.show(user, widgets.choose_agent(frames.agents_ever(user.organization_id)))
    case "Team":
        reviewers.show(user)
        gold.show(user)
    case "Guidelines":
        guidelines.show(user)
    case _:
        browse.show(user)
