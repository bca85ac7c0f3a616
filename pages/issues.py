import streamlit as st

from learning_core.schema import IssueCategory
from pages.components import cards, first_steps, frames, session, texts, widgets
from pages.components.texts import ISSUE_NAMES, percent, pieces, plain

QUOTES = 3

user = session.require_user()

with widgets.header("Common issues"):
    window = widgets.choose_window()
    agents = frames.agents(user.organization_id, window)
    agent = widgets.choose_agent(agents)

if not agents:
    first_steps.show(user)
    st.stop()

now, _ = frames.measured(user.organization_id, agent, window)
if not now.feedback_count:
    widgets.show_empty("No feedback here", "Choose a longer window or another agent.")
    st.stop()

whose = plain(agent) if agent else "All agents"
st.caption(f"{whose}, {widgets.describe_window(window)}. {pieces(now.feedback_count)}.")

st.header("What people report", anchor=False)
issues = frames.issues(user.organization_id, agent, window)
if not issues:
    st.caption("Nobody named an issue in this window.")
for issue in issues:
    with st.container(border=True):
        figures, quotes = st.columns([1, 2])
        with figures:
            cards.show_issue(ISSUE_NAMES[IssueCategory(issue.category)], issue, issues[0].share.value)
        with quotes:
            rows = frames.latest(
                user.organization_id, agent, window, category=issue.category, with_comment=True, limit=QUOTES
            )
            for row in rows.itertuples():
                source = f"{row.agent}, {row.created_at:%d %b %Y}"
                texts.quote(row.feedback_text, source, row.execution, f"{issue.category}_{row.id}")
            if rows.empty:
                st.caption("Reported without a comment.")

st.header("What complaints have in common", anchor=False)
themes, method, comments = frames.found_themes(user.organization_id, agent, window)
st.caption(f"Read from the latest {len(comments):,} comments. {method}")
if not themes:
    st.caption("No theme stands out in these comments.")
by_id = comments.set_index("id")
for theme in themes:
    with st.container(border=True):
        figures, quotes = st.columns([1, 2])
        with figures:
            st.subheader(f"“{plain(theme.phrase)}”", anchor=False)
            st.caption(
                f"{theme.complaint_count:,} complaints ({percent(theme.complaint_share)} of them), "
                f"{theme.praise_count:,} other comments"
            )
        with quotes:
            for comment in theme.comment_ids:
                row = by_id.loc[comment]
                source = f"{row.agent}, {row.created_at:%d %b %Y}"
                texts.quote(row.text, source, row.execution, f"theme_{theme.phrase}_{comment}")
