"""The history of an example, told from the answer by feedback and judgements into datasets."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any

import streamlit as st

from learning_core.review.trace import Step, Trace
from learning_core.review.verdicts import APPROVED_AS_IS, WEIGHTS, Verdict
from learning_core.schema import Decision, ExampleStatus, ExampleType, FeedbackType, IssueCategory
from pages.components import texts
from pages.components.charts import SPLIT_NAMES, shorten
from pages.components.review import judgement
from pages.components.texts import ISSUE_NAMES, SCORE_NAMES, STATUS_NAMES, TYPE_NAMES, percent

QUALITY_HELP = (
    "Of each approval the weighted mean of its scores: "
    + ", ".join(f"{SCORE_NAMES[scale].lower()} {percent(weight, 0)}" for scale, weight in WEIGHTS.items())
    + ". The weight of a score not given goes to the others; an approval without scores counts "
    f"{APPROVED_AS_IS:.2f}. The quality is the mean over those who approved, 0 to 1."
)


def show(found: Trace, versions: list[Any]) -> None:
    """Show each step with its time, the earliest first."""
    example = found.example
    st.header("History", anchor=False)
    st.html(f"<style>{LINE}</style>")
    with st.container(key="timeline", gap="medium"):
        _tell_answer(example)
        for row in found.feedback:
            if row.created_at <= example.created_at:
                _tell_feedback(row)
        _tell_beginning(example)
        for happened in found.later():
            if isinstance(happened, Step):
                _tell_judgement(example, happened)
            else:
                _tell_feedback(happened)
        _tell_flag(example)
        _tell_standing(found)
        for version in versions:
            _tell_version(version)


@contextmanager
def _step(key: str, title: str, at: datetime | None = None) -> Iterator[None]:
    with st.container(key=f"step_{key}", gap="xsmall"):
        st.caption(f"{at:%d %b %Y, %H:%M} UTC" if at else "Now")
        st.text(title)
        yield


def _tell_answer(example: Any) -> None:
    if not example.execution:
        return
    version = f" under prompt {shorten(example.prompt_version)}" if example.prompt_version else ""
    with _step("answer", f"{shorten(example.agent, 60)} answered a user{version}.", example.answered_at):
        if st.button("See the execution", type="tertiary", key="to_execution"):
            st.switch_page("feedback.py", query_params={"execution": example.execution})


def _tell_feedback(row: Any) -> None:
    said = [TYPE_NAMES[FeedbackType(row.feedback_type)].lower()]
    if row.rating is not None:
        said.append(f"{row.rating} of 5 stars")
    said += [ISSUE_NAMES[IssueCategory(issue)].lower() for issue in row.issue_categories]
    title = f"{_who(row.user_id)} gave feedback: {', '.join(said)}."
    with _step(f"feedback_{row.id}", title, row.created_at):
        if row.feedback_text:
            texts.as_written(row.feedback_text)
        if row.correction_text:
            with st.expander("Their corrected answer"):
                texts.as_written(row.correction_text)


BEGINNINGS = {
    ExampleType.CORRECTION: "The corrected answer is proposed as what the agent should have said.",
    ExampleType.FAILURE: "The reported answer waits for a reviewer to write a better one.",
    ExampleType.POSITIVE: "The praised answer is proposed as one to give again.",
}


def _tell_beginning(example: Any) -> None:
    with _step("beginning", _beginning(example), example.created_at):
        if example.execution and (why := BEGINNINGS.get(ExampleType(example.example_type))):
            st.text(why)
        if example.overlap > 1:
            st.text(f"{example.overlap} people judge it without seeing each other's judgement.")


def _beginning(example: Any) -> str:
    if example.execution:
        return "It became an example."
    if example.example_type == ExampleType.DEMONSTRATION and example.author:
        return f"{_who(example.author)} showed how it is done."
    came = "from a file" if example.source == "import" else f"from {shorten(example.source)}"
    return f"It was brought in {came}" + (f", written by {_who(example.author)}." if example.author else ".")


DEEDS = {
    None: "left a remark",
    Decision.APPROVE: "approved it",
    Decision.NEEDS_REVISION: "asked for a revision",
    Decision.REJECT: "rejected it",
}


def _tell_judgement(example: Any, step: Step) -> None:
    row = step.annotation
    did = "chose between the two" if row.preference else DEEDS[row.decision]
    if row.corrected_output:
        did += " with a new text"
    with _step(str(row.id), f"{_who(row.annotator)} {did}.", row.created_at):
        if row.preference:
            judgement.badge(row)
        judgement.show(row, example.expected_output)
        if row.undone_at:
            st.text(f"Undone on {row.undone_at:%d %b %Y, %H:%M} UTC: it counts no more.")
        if row.on_gold:
            st.text("Measured against the known decision; it changed nothing about the example.")
        if step.verdict:
            st.caption(f"So far: {_outcome(step.verdict)}.")
        if row.verified_by:
            st.text(f"Later confirmed by {_who(row.verified_by)}.")


def _outcome(verdict: Verdict) -> str:
    status = verdict.status
    if status is ExampleStatus.PENDING:
        return "another judgement is needed"
    if status is ExampleStatus.NEEDS_REVISION:
        return "somebody has to write the revision"
    if status is ExampleStatus.DISPUTED:
        return "disputed, somebody new has to decide"
    if status is ExampleStatus.APPROVED and not verdict.is_verified:
        return "approved; the new text waits for somebody else to confirm it"
    return STATUS_NAMES[status].lower() + (" and human-verified" if verdict.is_verified else "")


def _tell_flag(example: Any) -> None:
    if example.flagged_by:
        with st.container(key="step_flag", gap="xsmall"):
            st.text(f"{_who(example.flagged_by)} flagged it.")
            texts.as_written(example.flag_reason or "")


def _tell_standing(found: Trace) -> None:
    example = found.example
    title = STATUS_NAMES[ExampleStatus(example.status)].lower()
    title = f"Settled: {title}." if example.settled_at else f"Its status: {title}."
    with _step("standing", title, example.settled_at):
        if found.is_blind:
            st.text("What others said of it is kept back until you have judged it, so that you judge freely.")
        if example.quality_score is not None:
            verified = "human-verified" if example.human_verified else "not verified by a second person"
            st.caption(f"Quality {example.quality_score:.2f} of 1, {verified}.", help=QUALITY_HELP)


def _tell_version(version: Any) -> None:
    name = shorten(version.name, 60)
    split = SPLIT_NAMES[version.split].lower()
    title = f"It was frozen into {name}, version {version.version}, in the {split} split."
    with _step(f"version_{version.dataset_id}", title, version.created_at):
        if st.button("See the dataset", type="tertiary", key=f"dataset_{version.dataset_id}"):
            st.switch_page("datasets.py", query_params={"dataset": str(version.dataset_id)})


def _who(name: str | None) -> str:
    return shorten(name, 60) if name else "Someone not named"


LINE = """
.st-key-timeline { border-left: 2px solid color-mix(in srgb, currentColor 18%, transparent);
  margin-left: .4rem; padding-left: 1.3rem; width: calc(100% - .4rem); }
.st-key-timeline [class*="st-key-step_"] { position: relative; }
.st-key-timeline [class*="st-key-step_"]::before { content: ""; position: absolute;
  left: calc(-1.3rem - 6px); top: .35rem; width: 10px; height: 10px; border-radius: 50%;
  background: #B3460E; }
"""
