"""Explain each label, field or complaint in one short line, put together by a fixed template.

Small models fail at rewriting an instruction and succeed at one line. A line that cannot be used, or that no
model is there to write, is made from what the examples tell.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from learning_core.prompts.evidence import words
from learning_core.prompts.strategies.answers import contract
from learning_core.prompts.strategies.briefs import Ask, Brief, Proposal, Refused, learnt
from learning_core.prompts.strategies.guard import line_refusal
from learning_core.prompts.strategies.layout import bullets, plain, rewritten, with_lists_of
from learning_core.prompts.strategies.points import Point, points
from learning_core.prompts.strategies.replies import line_in
from learning_core.prompts.strategies.restructured import own_task
from learning_core.prompts.strategies.strategy import Strategy

LINE_WORDS = 22


class Lines(NamedTuple):
    """What a model wrote: the usable lines by name, and why others are not."""

    used: dict[str, str]
    refused: list[Refused]


def drafts(brief: Brief, ask: Ask, rng: random.Random) -> Iterator[Proposal | Refused]:
    """Yield the task with the model's lines, then with those that need no model."""
    found = points(brief)
    if not found:
        yield Refused("scaffolded", "No complaint is known that a guideline could answer.")
        return
    lines = _written(brief, found, ask)
    yield from lines.refused
    if lines.used:
        yield _proposal(brief, found, lines.used)
    yield _proposal(brief, found, {})


def _written(brief: Brief, found: Sequence[Point], ask: Ask) -> Lines:
    asked = [(point.name, point.question) for point in found if point.question]
    answers = ask([question for _, question in asked]) if asked else []
    lines = Lines({}, [])
    said = set()
    for (name, _), answer in zip(asked, answers, strict=True):
        line = line_in(answer, name, most_words=LINE_WORDS)
        reason = _reason_against(line, name, brief) if line else None
        if reason:
            lines.refused.append(Refused("scaffolded", f"The line for {name!r} is left out. {reason}"))
        elif line and " ".join(words(line)) not in said:
            said.add(" ".join(words(line)))
            lines.used[name] = line
    return lines


def _reason_against(line: str, name: str, brief: Brief) -> str | None:
    start = line.casefold()
    for other in brief.shape.labels:
        if other != name and re.match(rf"\W*{re.escape(other.casefold())}\W*(?::|=|\u2013|-\s)", start):
            return f"It is about {other!r}."
    return line_refusal(line, brief)


def _proposal(brief: Brief, found: Sequence[Point], lines: Mapping[str, str]) -> Proposal:
    told = [_explained(point, lines.get(point.name) or point.fallback, brief) for point in found]
    heading, each = _WORDS[brief.shape.kind]
    parts = (own_task(brief), f"{heading}\n{bullets(told)}", contract(brief.shape, brief.examples))
    used = [point for point in found if point.name in lines]
    by = f"{len(used)} of {len(found)} lines by a model" if lines else "without a model"
    return Proposal(
        "scaffolded",
        with_lists_of(brief.baseline, rewritten(brief.baseline, *parts)),
        f"One short line for each {each}, {by}, and an exact form of the answer.",
        learnt_from=learnt(
            examples=(id_ for point in used for id_ in point.example_ids),
            feedback=(id_ for point in used for id_ in point.feedback_ids),
            issues=(point.name for point in found) if brief.shape.kind == "text" else (),
        ),
    )


def _explained(point: Point, line: str, brief: Brief) -> str:
    if brief.shape.kind == "text":
        return f"{line[:1].upper()}{line[1:].rstrip('.')}."
    told = "; ".join(filter(None, (line, point.known)))
    return f"{plain(point.name)}: {told}" if told else plain(point.name)


_WORDS = {
    "labels": ("What the labels mean:", "label"),
    "fields": ("The fields:", "field"),
    "text": ("Guidelines:", "kind of complaint"),
}

SCAFFOLDED = Strategy(
    "scaffolded",
    "Definitions",
    "Explains each label, field or complaint in one short line, followed by a strict form of the answer.",
    None,
    drafts,
)
