"""Add rules: those that people accepted, and what corrections of the same kind come to."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from learning_core.feedback.themes import STOP_WORDS
from learning_core.prompts.evidence import Pair, quoted, shorten, words
from learning_core.prompts.shapes import label_key
from learning_core.prompts.strategies.briefs import Ask, Brief, Proposal, Question, Refused, learnt
from learning_core.prompts.strategies.guard import line_refusal
from learning_core.prompts.strategies.layout import joined, one_line, task_of, with_rules
from learning_core.prompts.strategies.replies import line_in
from learning_core.prompts.strategies.strategy import Strategy

ALIKE = 0.25
"""Jaccard's index (0-1) of their words from which two corrections are of one kind."""

MOST_PAIRS, MOST_CLUSTERS, QUOTED_PAIRS = 500, 6, 4
QUOTED_CHARACTERS = 300
RULE_TOKENS, RULE_WORDS = 60, 32


class Mined(NamedTuple):
    """A rule that a model found in corrections of one kind."""

    statement: str
    pairs: tuple[Pair, ...]


def drafts(brief: Brief, ask: Ask, rng: random.Random) -> Iterator[Proposal | Refused]:
    """Yield the baseline with accepted and mined rules, then with the accepted ones alone."""
    accepted = [rule.statement for rule in brief.evidence.rules]
    mined = _mine(brief, ask)
    if mined:
        yield _proposal(brief, mined)
    if accepted:
        yield _proposal(brief, [])
    if not (accepted or mined):
        yield Refused("corrections", "There is neither an accepted rule nor a correction that led to one.")


def clusters(pairs: Sequence[Pair], *, of_labels: bool) -> list[tuple[Pair, ...]]:
    """Return the corrections by kind, the most frequent first.

    For labels a kind is the wrong label with the right one. Otherwise a correction joins the first kind whose
    first correction shares enough words with it.
    """
    kinds: list[tuple[object, list[Pair]]] = []
    for pair in pairs[:MOST_PAIRS]:
        mark = (label_key(pair.given), label_key(pair.corrected)) if of_labels else _telling(pair)
        same = next((members for other, members in kinds if _is_same(mark, other)), None)
        if same is None:
            kinds.append((mark, [pair]))
        else:
            same.append(pair)
    return sorted((tuple(members) for _, members in kinds), key=len, reverse=True)


def corrections_in(brief: Brief) -> list[Pair]:
    """Return the corrections that are known: from feedback, and from examples that keep a worse answer."""
    of_examples = (
        Pair(example.id, example.input_text, example.rejected_output, example.expected_output)
        for example in brief.examples
        if example.rejected_output
    )
    known = {pair.example_id: pair for pair in (*brief.evidence.corrections, *of_examples)}
    return [pair for pair in known.values() if label_key(pair.given) != label_key(pair.corrected)]


def _mine(brief: Brief, ask: Ask) -> list[Mined]:
    found = clusters(corrections_in(brief), of_labels=brief.shape.kind == "labels")[:MOST_CLUSTERS]
    answers = ask([_question(brief, pairs) for pairs in found]) if found else []
    lines = [line_in(answer, most_words=RULE_WORDS) for answer in answers]
    known = {" ".join(words(rule.statement)) for rule in brief.evidence.rules}
    mined: list[Mined] = []
    for line, pairs in zip(lines, found, strict=True):
        key = " ".join(words(line))
        if key and key not in known and not line_refusal(line, brief):
            known.add(key)
            mined.append(Mined(line[:1].upper() + line[1:].rstrip(".") + ".", pairs))
    return mined


def _question(brief: Brief, pairs: Sequence[Pair]) -> Question:
    records = [
        {
            "question": shorten(pair.question, QUOTED_CHARACTERS),
            "wrong": shorten(pair.given, QUOTED_CHARACTERS),
            "right": shorten(pair.corrected, QUOTED_CHARACTERS),
        }
        for pair in pairs[:QUOTED_PAIRS]
    ]
    content = joined(
        f"Task: {shorten(one_line(task_of(brief.baseline)), QUOTED_CHARACTERS)}",
        joined("Answers that experts corrected:", quoted(records)),
        "Write the one rule that would have led to the right answers: one sentence that starts with a verb "
        'or "If", in general words, at most 25. Do not copy the questions or answers.',
    )
    system = "You turn corrections into one short, general rule, and write nothing else."
    return Question("a rule from corrections", (("system", system), ("user", content)), RULE_TOKENS)


def _proposal(brief: Brief, mined: Sequence[Mined]) -> Proposal:
    rules = brief.evidence.rules
    statements = [*(rule.statement for rule in rules), *(found.statement for found in mined)]
    counted = ([f"{len(rules)} accepted"] if rules else []) + (
        [f"{len(mined)} found in corrections"] if mined else []
    )
    examples = [
        *(id_ for rule in rules for id_ in rule.example_ids),
        *(pair.example_id for found in mined for pair in found.pairs),
    ]
    learnt_from = learnt(rules=(rule.id for rule in rules), examples=examples)
    if mined:
        learnt_from["mined"] = [
            {"statement": found.statement, "examples": [pair.example_id for pair in found.pairs]}
            for found in mined
        ]
    return Proposal(
        "corrections",
        with_rules(brief.baseline, statements),
        f"Adds rules at the end of the instruction: {' and '.join(counted)}.",
        learnt_from=learnt_from,
    )


def _telling(pair: Pair) -> frozenset[str]:
    return frozenset(words(f"{pair.question[:1000]} {pair.corrected[:1000]}")) - STOP_WORDS


def _is_same(one: object, other: object) -> bool:
    if isinstance(one, frozenset) and isinstance(other, frozenset):
        return len(one & other) >= ALIKE * max(1, len(one | other))
    return one == other


CORRECTIONS = Strategy(
    "corrections",
    "Rules from corrections",
    "Adds a list of rules: those that people accepted, and what experts corrected again and again.",
    None,
    drafts,
)
