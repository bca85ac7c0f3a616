"""What there is to explain in one line each: labels, fields or complaints; and how a model is asked."""

from __future__ import annotations

import random
import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from learning_core.datasets.content import DatasetExample
from learning_core.prompts.evidence import Issue, quoted, shorten
from learning_core.prompts.shapes import as_object, label_key
from learning_core.prompts.strategies.answers import named
from learning_core.prompts.strategies.briefs import Brief, Question
from learning_core.prompts.strategies.complaints import GUIDELINES, MOST_GUIDELINES, answers_are, of_quotes
from learning_core.prompts.strategies.fields import kinds
from learning_core.prompts.strategies.layout import instruction, joined, one_line, plain
from learning_core.prompts.strategies.restructured import descriptions, own_task
from learning_core.prompts.strategies.telling import telling_words

WRITER = "You write one short, plain line and nothing else."
LINE_TOKENS = 48
QUOTED_EXAMPLES, QUOTED_CHARACTERS = 4, 300
TASK_CHARACTERS = 300
ASIDE_CHARACTERS = 600
MOST_QUESTIONS = 80
"""More labels than these are not asked for, but explained by their words."""


class Point(NamedTuple):
    """One thing to explain.

    Attributes:
        name: The label, field or issue category.
        question: What a model is asked; None where there is nothing to show it.
        fallback: What is said without its answer.
        known: What is said after either.
        example_ids: Examples that the question quotes.
        feedback_ids: Feedback that it quotes.
    """

    name: str
    question: Question | None
    fallback: str
    known: str = ""
    example_ids: tuple[str, ...] = ()
    feedback_ids: tuple[str, ...] = ()


def points(brief: Brief) -> list[Point]:
    """Return what there is to explain; nothing where free text was never complained about."""
    found = {"labels": _labels, "fields": _fields, "text": _complaints}[brief.shape.kind](brief)
    return [*found[:MOST_QUESTIONS], *(point._replace(question=None) for point in found[MOST_QUESTIONS:])]


def _labels(brief: Brief) -> list[Point]:
    groups: dict[str, list[DatasetExample]] = {label_key(label): [] for label in brief.shape.labels}
    for example in brief.examples:
        groups.setdefault(label_key(example.expected_output), []).append(example)
    marks = telling_words({key: [example.input_text for example in group] for key, group in groups.items()})
    described = descriptions(instruction(brief.baseline), brief.shape.labels)
    return [
        _label(
            label, _sample(groups[key], label), described.get(label) or _in_words(label, marks[key]), brief
        )
        for label, key in zip(brief.shape.labels, map(label_key, brief.shape.labels), strict=True)
    ]


def _label(label: str, shown: Sequence[DatasetExample], fallback: str, brief: Brief) -> Point:
    others = shorten(named([other for other in brief.shape.labels if other != label]), ASIDE_CHARACTERS)
    question = _question(
        f"define the label {label}",
        f"Task: {_task(brief)}\nLabel to define: {plain(label)}\nOther labels: {others}",
        "Inputs with this label:",
        [{"input": shorten(example.input_text, QUOTED_CHARACTERS)} for example in shown],
        f"Define the label {plain(label)} in one short line: which inputs get it, and no other label? "
        "General words, at most 15, no quotes.",
    )
    return Point(
        label, question if shown else None, fallback, example_ids=tuple(example.id for example in shown)
    )


def _in_words(label: str, marks: Sequence[str]) -> str:
    """A label's own words, and those that its inputs typically hold."""
    own = " ".join(re.split(r"[\W_]+", re.sub(r"(?<=[a-z])(?=[A-Z])", " ", label))).strip().lower()
    others = [word for word in marks if word not in own.split()]
    typical = f"typical words are {', '.join(others)}" if others else ""
    return "; ".join(filter(None, (own if own != label.lower() else "", typical)))


def _fields(brief: Brief) -> list[Point]:
    shown = _sample(brief.examples, "fields")
    objects = [as_object(example.expected_output) or {} for example in shown]
    found = []
    for name, kind in kinds(brief.shape, brief.examples).items():
        records = [
            {"input": shorten(example.input_text, QUOTED_CHARACTERS), "value": told.get(name)}
            for example, told in zip(shown, objects, strict=True)
        ]
        question = _question(
            f"define the field {name}",
            f"Task: {_task(brief)}\nField to define: {plain(name)}",
            "Inputs with the value of this field:",
            records,
            f"Define the field {plain(name)} in one short line: which value of the input goes there? "
            "General words, at most 15, no quotes.",
        )
        found.append(Point(name, question, "", kind.words, tuple(example.id for example in shown)))
    return found


def _complaints(brief: Brief) -> list[Point]:
    known = [issue for issue in brief.evidence.issues if issue.category in GUIDELINES]
    return [_complaint(issue, brief) for issue in known[:MOST_GUIDELINES]]


def _complaint(issue: Issue, brief: Brief) -> Point:
    shown = issue.quotes[:QUOTED_EXAMPLES]
    question = _question(
        f"a guideline against {issue.category}",
        f"Task: {_task(brief)}\nUsers complain that answers are: {answers_are(issue.category)}",
        "What they say:",
        of_quotes(shown),
        "Write one guideline for the answers that prevents this complaint: one line that starts with a verb, "
        "in general words, at most 20, no quotes.",
    )
    return Point(
        issue.category,
        question if shown else None,
        GUIDELINES[issue.category],
        feedback_ids=tuple(quote.feedback_id for quote in shown),
    )


def _question(
    purpose: str, about: str, heading: str, records: Sequence[Mapping[str, object]], wish: str
) -> Question:
    content = joined(about, heading, quoted(records), wish)
    return Question(purpose, (("system", WRITER), ("user", content)), LINE_TOKENS)


def _sample(examples: Sequence[DatasetExample], name: str) -> list[DatasetExample]:
    """Some examples, always the same of the same: a question that was asked before is not paid for again."""
    return random.Random(name).sample(examples, min(QUOTED_EXAMPLES, len(examples)))


def _task(brief: Brief) -> str:
    return shorten(one_line(own_task(brief)), TASK_CHARACTERS)
