"""What an answer that somebody writes would score, without asking a model."""

from __future__ import annotations

from dataclasses import replace

import streamlit as st

from learning_core.datasets.content import DatasetExample
from learning_core.evaluation import safety
from learning_core.evaluation.checks import Evaluator, score
from learning_core.evaluation.kinds import KINDS
from learning_core.evaluation.safety import WORDS
from learning_core.llm.templates import Prompt
from learning_core.schema import ExampleStatus
from pages.components import frames, texts, widgets
from pages.components.charts import shorten
from pages.components.prompts import telling
from pages.components.prompts.evaluator_options import line, sentence
from pages.components.session import User

EXAMPLES_OFFERED = 20
LONGEST_ANSWER = 20_000
NEEDED = {"judge": "a model that judges", "embedding": "a model that compares meanings"}


def show(user: User, agent: str, evaluator: Evaluator | None) -> None:
    """Let somebody try an answer to an approved example; nothing is scored where there is no evaluator."""
    with st.container(border=True, gap="small"):
        st.header("Try it", anchor=False)
        example = _choose_example(user, agent)
        if example is None:
            st.text("As soon as an example of this agent is approved, answers can be tried on it here.")
            return
        texts.as_written(example.input_text)
        st.caption("Expected")
        texts.framed(example.expected_output, missing="")
        key = f"tried_{example.id}"
        st.session_state.setdefault(key, example.expected_output[:LONGEST_ANSWER])
        output = st.text_area(
            "An answer, at first the expected one",
            key=key,
            height=120,
            max_chars=LONGEST_ANSWER,
            help="Change it and leave the field: it is scored at once, and no model is asked.",
        )
        if evaluator is None:
            st.caption("It is scored here as soon as nothing is left to mend.")
            return
        with widgets.reporting():
            _show_score(evaluator, example, output or "")


def _choose_example(user: User, agent: str) -> DatasetExample | None:
    """Ask for one of the newest approved examples, and return it in full; None where there is none."""
    rows = frames.newest_examples(
        user.organization_id, ExampleStatus.APPROVED, agent, EXAMPLES_OFFERED
    ).dropna(subset=["input_text", "output"])
    if rows.empty:
        return None
    named = dict(zip(rows["id"], rows["input_text"], strict=True))
    chosen = st.selectbox(
        "Approved example", list(named), format_func=lambda one: shorten(named[one], 80), key=f"try_{agent}"
    )
    found = frames.sources(user.organization_id, (), (chosen,), ()).examples
    if not found or not found[0].expected_output:
        return None
    told = {"id": chosen, "agent_id": agent, "example_type": "positive", "split": "train", "group": chosen}
    one = found[0]
    return DatasetExample(**told, input_text=one.input_text, expected_output=one.expected_output)


def _show_score(evaluator: Evaluator, example: DatasetExample, output: str) -> None:
    own = [check for check in evaluator.checks if KINDS[check.kind].measure]
    scored = score(replace(evaluator, checks=tuple(own)), output, example) if own else None
    if scored:
        asked = "By the checks that need no model, this" if evaluator.needs else "This"
        st.markdown(f"{asked} answer would score **{telling.score(scored.value)}**.")
    values = iter(scored.parts.values() if scored else ())
    with st.container(gap="xsmall"):
        for check in evaluator.checks:
            needed = NEEDED.get(KINDS[check.kind].needs)
            told = f"takes {needed}; a run asks it" if needed else telling.score(float(next(values)))
            line(KINDS[check.kind].title, told)
        for finding in safety.inspect(evaluator.gate, Prompt(()), [(example, output)]):
            line("The gate", sentence(f"{WORDS[finding.kind]}: {finding.detail}"))
