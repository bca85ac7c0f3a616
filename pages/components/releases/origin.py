"""What a release was made from: the way from what users said to the prompt that they get."""

from __future__ import annotations

from typing import Any

import streamlit as st

from learning_core.schema import ExperimentDecision
from pages.components.charts import shorten
from pages.components.prompts import leaderboard, telling
from pages.components.texts import count, pieces


def show(chain: Any, agent: str) -> None:
    """Show each step with what it counted, and the way to it."""
    if chain.run_id is None:
        st.text(
            f"{shorten(chain.version, 40)} was written by {shorten(chain.author, 40)}: "
            f"{shorten(chain.reason, 300)}"
        )
        if chain.experiment_id is None:
            st.caption("No optimization, no dataset and no experiment led to it.")
    with st.grid(3, gap="small"):
        if chain.run_id is not None:
            _show_feedback(chain, agent)
            _show_dataset(chain)
            _show_run(chain)
        if chain.experiment_id is not None:
            _show_experiment(chain)


def _step(title: str, *lines: str) -> Any:
    box = st.container(border=True, height="stretch", gap="xsmall")
    with box:
        st.caption(title)
        for line in lines:
            st.text(line)
    return box


def _show_feedback(chain: Any, agent: str) -> None:
    others = chain.example_count - chain.feedback_count
    became = "became an example" if chain.feedback_count == 1 else "became examples"
    came = f"{pieces(chain.feedback_count)} {became}." if chain.feedback_count else "None came from users."
    more = f"{count(others, 'example', 'examples')} came from experts or files." if others > 0 else ""
    with _step("Feedback", came, *([more] if more else [])):
        if chain.feedback_count and st.button("See the feedback", type="tertiary", key="to_feedback"):
            st.switch_page("feedback.py", query_params={"agent": agent})


def _show_dataset(chain: Any) -> None:
    name = f"{shorten(chain.dataset, 40)}, version {chain.dataset_version}"
    learnt = (
        f"{count(chain.example_count, 'approved example', 'approved examples')} to learn from, "
        f"{chain.choosing_count:,} to choose by, {chain.proving_count:,} kept back for the proof."
    )
    with _step("Dataset", name, learnt):
        if st.button("See the dataset", type="tertiary", key="to_dataset"):
            st.switch_page("datasets.py", query_params={"dataset": str(chain.dataset_id)})


def _show_run(chain: Any) -> None:
    way = leaderboard.strategy(chain.strategy) if chain.strategy else "A better prompt was found."
    gained = telling.gain(chain.run_result)
    lines = [way, *([f"{gained} points on unseen examples."] if gained else [])]
    if chain.taught_count:
        lines.append(f"The prompt names {count(chain.taught_count, 'source', 'sources')} it was made from.")
    with _step("Optimization", *lines):
        if st.button("See the run", type="tertiary", key="to_run"):
            st.switch_page("prompts.py", query_params={"run": str(chain.run_id)})


DECISIONS = {
    ExperimentDecision.ADOPT_TREATMENT: "Decided: adopt the new version.",
    ExperimentDecision.KEEP_CONTROL: "Decided: keep the version before.",
    ExperimentDecision.INCONCLUSIVE: "Ended as inconclusive.",
    ExperimentDecision.ROLLBACK: "Taken back.",
}


def _show_experiment(chain: Any) -> None:
    decided = DECISIONS[ExperimentDecision(chain.decision)] if chain.decision else "Not decided yet."
    with _step("Experiment", shorten(chain.experiment, 80), decided):
        if st.button("See the result", type="tertiary", key="to_experiment"):
            st.switch_page("experiments.py", query_params={"experiment": str(chain.experiment_id)})
