from typing import Any

import pandas as pd
import streamlit as st

from learning_core import db
from learning_core.datasets import proposals
from learning_core.datasets.curation import Gate, Statistics
from learning_core.feedback.intervals import Estimate
from pages.components import frames, session, tables, widgets
from pages.components.charts import shorten
from pages.components.datasets import go_to, making, version
from pages.components.session import User
from pages.components.texts import count, plain

user = session.require_user()

if dataset := st.query_params.get("dataset"):
    version.show(user, dataset)
    st.stop()
approved, _, _ = frames.approved_examples(user.organization_id)
if approved and (make := st.query_params.get("make")) and user.may("curate"):
    making.show(user, make)
    st.stop()

known = frames.datasets(user.organization_id)

with widgets.header("Datasets"):
    offered = approved and known and user.may("curate")
    if offered and st.button("New dataset", type="primary", key="new_dataset"):
        go_to(make="new")

if not approved and not known:
    widgets.show_empty(
        "No example is approved yet",
        "A dataset is frozen from examples that experts approved under Review.",
    )
    if user.may("review") and st.button("Go to Review", type="primary"):
        st.switch_page("review.py")
    st.stop()

st.caption(
    f"{count(approved, 'example is', 'examples are')} approved. A dataset freezes those that fit its rules, "
    "as numbered versions that never change."
)


def show_proposal(user: User, proposal: Any) -> None:
    """Show that enough is new for a next version, and let a curator decide."""
    told = proposal.summary
    with st.container(border=True, horizontal=True, vertical_alignment="center"):
        st.markdown(
            f"The weekly look found {count(told['added'], 'new example', 'new examples')} for "
            f"“{plain(proposal.name)}” since version {told['after']}."
        )
        if user.may("curate"):
            key = f"{proposal.id}"
            if st.button(f"Freeze version {told['after'] + 1}", type="primary", key=f"accept_{key}"):
                with widgets.reporting():
                    doing = "Looking for near-duplicates, splitting and freezing …"
                    with st.spinner(doing), db.organization_session(user.organization_id) as writing:
                        frozen = proposals.accept(writing, user.caller, proposal.id)
                    frames.forget()
                    go_to(dataset=str(frozen.id))
            if st.button("Not now", key=f"dismiss_{key}"):
                with widgets.reporting():
                    with db.organization_session(user.organization_id) as writing:
                        proposals.dismiss(writing, user.caller, proposal.id)
                    frames.forget()
                    st.rerun()


for proposal in frames.dataset_proposals(user.organization_id):
    show_proposal(user, proposal)

if not known:
    widgets.show_empty(
        "No dataset yet",
        "Name what it is for, say which examples go in, see what they come to, and freeze version 1. "
        "Training, testing and comparing always name one version, so results can be repeated."
        if user.may("curate")
        else "Experts, ML engineers and administrators make one from approved examples.",
    )
    if user.may("curate") and st.button("Make the first dataset", type="primary"):
        go_to(make="new")
    st.stop()

OUTCOMES = {"failed": "missed", "not enough data": "unknown"}


def row(one: Any) -> dict[str, Any]:
    figures = Statistics.read(one.statistics)
    gates = [Gate(**gate) for gate in one.gates]
    open_gates = [f"{gate.name}: {OUTCOMES[gate.outcome]}" for gate in gates if gate.outcome in OUTCOMES]
    return {
        "Dataset": shorten(one.name, 60),
        "Version": one.version,
        "Examples": one.example_count,
        "Quality": figures.quality,
        "Verified": figures.verified.value if figures.verified else None,
        "Agreement": figures.agreement.value if isinstance(figures.agreement, Estimate) else None,
        "For training": open_gates or ["ready"],
        "Test uses": one.test_uses,
        "Frozen": one.created_at,
    }


def open_version() -> None:
    rows = st.session_state["versions"]["selection"]["rows"]
    if rows:
        st.query_params["dataset"] = str(known[rows[0]].id)


st.caption("Newest first. Choose a row for what it holds, to compare it or to download it.")
versions = pd.DataFrame([row(one) for one in known])
for share in ("Verified", "Agreement"):
    versions[share] = tables.percents(versions[share].astype(float))
st.dataframe(
    versions,
    hide_index=True,
    key="versions",
    on_select=open_version,
    selection_mode="single-row",
    alt="Versions of datasets",
    placeholder="—",
    column_config={
        "Dataset": st.column_config.TextColumn(width=132),
        "Version": st.column_config.NumberColumn(width=64),
        "Examples": st.column_config.NumberColumn(format="localized", width=76),
        "Quality": st.column_config.NumberColumn(
            format="%.2f", width=64, help="Mean over its examples, 0 to 1"
        ),
        "Verified": tables.percent_column(
            width=72, help="Share approved by a person who did not write the answer"
        ),
        "Agreement": tables.percent_column(
            width=86, help="Share of pairs of independent reviewers who decided alike"
        ),
        "For training": st.column_config.ListColumn(
            width=140, help="Requirements of training that are missed, or unknown for want of data"
        ),
        "Test uses": st.column_config.NumberColumn(
            width=78, help="How often somebody looked at the test split"
        ),
        "Frozen": st.column_config.DatetimeColumn(
            "Frozen (UTC)", format="YYYY-MM-DD", timezone="UTC", width=100
        ),
    },
)
