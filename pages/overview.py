import streamlit as st

from learning_core.feedback.queries import Window
from learning_core.feedback.trends import Standout
from learning_core.schema import ExampleType
from learning_core.settings import settings
from pages.components import cards, first_steps, frames, frames_releases, session, tables, widgets
from pages.components.releases import effects
from pages.components.texts import EXAMPLE_NAMES, count, percent, plain, stars

user = session.require_user()
targets = settings()

with widgets.header("Overview"):
    window = widgets.choose_window()

if not frames.agents(user.organization_id, window):
    first_steps.show(user)
    st.stop()

now, change = frames.measured(user.organization_id, None, window)
if not now.feedback_count and not now.execution_count:
    widgets.show_empty("Nothing in this window", "Choose a longer one.")
    st.stop()

quality, quality_change = frames.judged_quality(user.organization_id, window)
improvements = frames.prompt_improvements(user.organization_id, Window.last(365, window.until))
st.caption(f"All agents, {widgets.describe_window(window)}.")

with st.grid(3, gap="small"):
    cards.show_metric(
        "Feedback rate",
        now.feedback_rate,
        "share",
        "answers",
        change["feedback_rate"],
        target=targets.target_feedback_rate,
        missing="It starts when agents report every answer they give, not only those with feedback.",
        help="Pieces of feedback per answer that the agents reported.",
    )
    cards.show_metric(
        "Satisfaction",
        now.satisfaction,
        "stars",
        "ratings",
        change["satisfaction"],
        target=targets.target_satisfaction,
        missing="It starts with the first star rating.",
        help="Mean overall rating, 1 to 5 stars.",
    )
    cards.show_metric(
        "Correction rate",
        now.correction_rate,
        "share",
        "pieces of feedback",
        change["correction_rate"],
        falling_is_good=True,
        help="Share of feedback that came with a corrected answer. It should fall.",
    )
    cards.show_improvement(improvements, targets.target_prompt_improvement)
    cards.show_metric(
        "Retrieval success",
        None,
        "share",
        "",
        missing="It needs the documents that agents found for an answer; those are not recorded yet.",
        help=f"Share of questions whose answer was among the documents found. Target: over "
        f"{percent(targets.target_retrieval_success, 0)}.",
    )
    cards.show_metric(
        "Quality score",
        quality,
        "score",
        "judgements with scores",
        quality_change,
        missing="It starts with the first answer that an expert scores, under Review.",
        help="Mean quality, 0 to 1, that experts saw in the answers they judged. It should rise.",
    )

MEASURES = {"satisfaction": "rated", "error_rate": "errors in", "issue_rate": "issues in"}


def show_standout(found: Standout) -> None:
    show = stars if found.measure == "satisfaction" else percent
    what = f"{MEASURES[found.measure]} {show(found.value.value)}, usually {show(found.usual)}"
    if st.button(
        f"{found.day:%d %b} · {plain(found.agent, 28)}",
        type="tertiary",
        key=f"standout_{found.day}_{found.measure}_{found.agent}",
    ):
        query = {"agent": found.agent, "period": f"{found.day}..{found.day}"}
        st.switch_page("feedback.py", query_params=query)
    st.caption(f"{what} (n {found.value.n:,})")


left, right = st.columns([2, 1])
with left, widgets.card("Satisfaction over time"):
    st.caption(widgets.describe_ratings(one=True))
    figure = frames.satisfaction_of_all(user.organization_id, window)
    widgets.drill_down(figure, "satisfaction", "Satisfaction of all agents over time")
with right, widgets.card("Days that stand out"):
    standouts = frames.standouts(user.organization_id, None, window)
    st.caption("Worse than usual for that agent, beyond chance." if standouts else "None in this window.")
    for standout in standouts:
        show_standout(standout)

if releases := frames_releases.latest_releases(user.organization_id, effects.LATEST):
    with widgets.card("What learning changed"):
        effects.show_latest(releases)

st.header("Agents", anchor=False)
st.caption("Most feedback first. Choose a row for the agent's feedback.")
agents = frames.by_agent(user.organization_id, window)


def open_agent() -> None:
    rows = st.session_state["agents"]["selection"]["rows"]
    if rows:
        st.switch_page("feedback.py", query_params={"agent": agents["agent"].iloc[rows[0]]})


tables.show_agents(agents, "agents", open_agent)

pending = frames.pending_examples(user.organization_id)
st.header("Waiting for review", anchor=False)
if pending.empty:
    st.caption("No example waits. Corrections, reported issues and a sample of praise become examples.")
else:
    st.caption(
        f"{count(pending['example_count'].sum(), 'example', 'examples')}, collected at any time. "
        "Revisions that reviewers asked for come on top."
    )
    if user.may("review") and st.button("Review them", type="primary"):
        st.switch_page("review.py")
    st.dataframe(
        pending.assign(example_type=[EXAMPLE_NAMES[ExampleType(kind)] for kind in pending["example_type"]]),
        hide_index=True,
        width=560,
        alt="Examples waiting for review by agent and type",
        column_config={
            "agent": "Agent",
            "example_type": "Type",
            "example_count": st.column_config.NumberColumn("Examples", format="localized"),
        },
    )
