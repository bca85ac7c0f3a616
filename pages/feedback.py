import streamlit as st

from learning_core.schema import FeedbackType
from pages.components import cards, charts, execution, first_steps, frames, session, tables, widgets
from pages.components.texts import TYPE_NAMES, pieces, plain

user = session.require_user()

if key := st.query_params.get("execution"):
    execution.show(user, key)
    st.stop()

period = widgets.read_period(st.query_params.get("period"))

with widgets.header("Feedback"):
    window = widgets.choose_window()
    agents = frames.agents(user.organization_id, window)
    agent = widgets.choose_agent(agents)

if not agents:
    first_steps.show(user)
    st.stop()

if period:
    window = period
    if st.button(f"{charts.span(*period)}   ✕", help="Back to the whole window"):
        del st.query_params["period"]
        st.rerun()

now, change = frames.measured(user.organization_id, agent, window)
if not now.feedback_count:
    widgets.show_empty("No feedback here", "Choose a longer window or another agent.")
    st.stop()

whose = plain(agent) if agent else "All agents"
st.caption(f"{whose}, {widgets.describe_window(window)}. {pieces(now.feedback_count)}.")

with st.grid(4, gap="small"):
    cards.show_metric(
        "Satisfaction",
        now.satisfaction,
        "stars",
        "ratings",
        change["satisfaction"],
        missing="Nobody gave stars.",
        help="Mean overall rating, 1 to 5 stars.",
    )
    cards.show_metric(
        "Thumbs up",
        now.thumbs_up_share,
        "share",
        "thumbs",
        change["thumbs_up_share"],
        missing="Nobody gave a thumb.",
        help="Thumbs up among all thumbs.",
    )
    cards.show_metric(
        "Correction rate",
        now.correction_rate,
        "share",
        "pieces of feedback",
        change["correction_rate"],
        falling_is_good=True,
        help="Share of feedback that came with a corrected answer.",
    )
    cards.show_metric(
        "Issue rate",
        now.issue_rate,
        "share",
        "pieces of feedback",
        change["issue_rate"],
        falling_is_good=True,
        help="Share of feedback that named an issue.",
    )

if not period:
    volume, satisfaction = frames.over_time(user.organization_id, agent, window)
    left, right = st.columns(2)
    with left, widgets.card("Feedback over time"):
        st.caption(widgets.describe_points(window))
        widgets.drill_down(volume, "volume", "Pieces of feedback over time")
    with right, widgets.card("Satisfaction over time"):
        st.caption(widgets.describe_ratings(one=agent is not None))
        widgets.drill_down(satisfaction, "satisfaction", "Satisfaction over time")

    left, right = st.columns(2)
    with left, widgets.card("Stars"):
        st.caption("Share of each star on the scales that were rated, from 1 (left) to 5 (right).")
        widgets.draw(
            frames.stars(user.organization_id, agent, window), "stars", "Share of each star per scale"
        )
    with right, widgets.card(f"Prompt versions of {plain(agent, 30)}" if agent else "Agents compared"):
        if agent is None:
            st.caption("Mean rating with its 95 % interval; the eight agents with the most feedback.")
            compared = frames.compared_agents(user.organization_id, window)
            widgets.draw(compared, "agents", "Mean rating of each agent")
        elif versions := frames.versions(user.organization_id, agent, window):
            st.caption("Mean rating under each prompt version with its 95 % interval, oldest first.")
            widgets.draw(versions, "versions", "Mean rating under each prompt version")
        else:
            st.caption("One rated prompt version in this window; with two they are compared here.")

st.header("Latest feedback", anchor=False)
types = st.pills(
    "Type",
    list(FeedbackType),
    selection_mode="multi",
    format_func=TYPE_NAMES.__getitem__,
    label_visibility="collapsed",
    key="type",
    bind="query-params",
)
rows = frames.latest(user.organization_id, agent, window, tuple(types))


def open_execution() -> None:
    chosen = st.session_state["latest"]["selection"]["rows"]
    if chosen:
        st.query_params["execution"] = rows["execution"].iloc[chosen[0]]


if rows.empty:
    st.caption("No such feedback.")
else:
    st.caption(f"The latest {len(rows):,}, newest first. Choose a row for question, answer and correction.")
    tables.show_feedback(rows, "latest", open_execution)
    st.download_button(
        "Download as CSV",
        lambda: tables.csv(frames.export(user.organization_id, agent, window, tuple(types))),
        file_name=f"feedback-{window.since}-{window.until}.csv",
        mime="text/csv",
        on_click="ignore",
        help=f"All rows of this selection, at most the latest {frames.EXPORTED_ROWS:,}.",
    )
