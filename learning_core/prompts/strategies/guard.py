"""Which proposals are worth an evaluation: what weak or misled models wrote is refused, and why is said."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from itertools import chain

from learning_core.prompts.evidence import copied, planted_passages, planted_phrases, words
from learning_core.prompts.shapes import Shape
from learning_core.prompts.strategies.answers import contract
from learning_core.prompts.strategies.briefs import Brief, Proposal
from learning_core.prompts.strategies.complaints import GUIDELINES
from learning_core.prompts.strategies.fields import kinds
from learning_core.prompts.strategies.layout import inline, instruction, open_text, without_examples
from learning_core.prompts.strategies.shown import MOST_CHARACTERS, answer_of

TIMES_AS_LONG = 4
"""How much longer than the baseline's an instruction may be."""

ALWAYS_LONG_ENOUGH = 4_000
CHARACTERS_PER_LABEL = 200
COPIED_FROM_PLANTED = 4
"""A run of so many words of a sentence that reads like an instruction is a copy of it."""

_REMNANT = re.compile(
    r"```|~~~|<\|[^|\n]{1,40}\|>|\[/?INST\]|<</?SYS>>|</?(?:s|instruction|data|system|assistant|user)\b[^>\n]*>",
    re.IGNORECASE,
)
_CHATTER = re.compile(
    r"\A\W*(?:(?:sure|certainly|of course)[,!. ]|here(?:'s|\u2019s| is) (?:the|a|an|your|my)\b|as an ai\b)",
    re.IGNORECASE,
)
_ADDRESS = re.compile(
    r"(?:https?://|www\.)[^\s<>\"']+|(?<![\w.+-])[\w.+-]{1,64}@[\w-]{1,64}\.\w[\w.-]*", re.IGNORECASE
)
_SHOUTED = re.compile(r"\b[A-Z][A-Z0-9_]{3,}\b")


def acceptable(proposal: Proposal, brief: Brief) -> bool:
    """Tell whether a proposal may be tried."""
    return refusal(proposal, brief) is None


def refusal(proposal: Proposal, brief: Brief) -> str | None:
    """Return why a proposal may not be tried, in words for people; None if it may."""
    return next((reason for reason in _reasons(proposal, brief) if reason), None)


def line_refusal(line: str, brief: Brief) -> str | None:
    """Return why a line that a model wrote may not become part of an instruction; None if it may."""
    before = open_text(brief.baseline)
    return _remnants(line, before) or _planted(line, brief) or _copies(line, brief)


def missing_labels(text: str, shape: Shape, baseline: str = "") -> list[str]:
    """Return the labels that a text leaves out, though the baseline names them or it names others anew."""
    named = {label for label in shape.labels if _names(text, label)}
    known = {label for label in shape.labels if _names(baseline, label)}
    lists_labels = len(named - known) >= 2
    return [label for label in shape.labels if label not in named and (lists_labels or label in known)]


def _reasons(proposal: Proposal, brief: Brief) -> Iterator[str | None]:
    text, before = open_text(proposal.prompt), open_text(brief.baseline)
    written = _written(text, brief)
    yield _emptiness(proposal)
    yield _length(proposal, brief)
    yield _variables(proposal, brief)
    yield _labels(without_examples(text), without_examples(before), brief.shape)
    yield _remnants(written, before)
    yield _planted(written, brief)
    yield _copies(written, brief)
    yield _repetition(proposal, brief)


def _written(text: str, brief: Brief) -> str:
    """What somebody wrote: not the train examples that stand in it exactly as they are shown."""
    if without_examples(text) == text:
        return text
    for example in brief.examples:
        text = text.replace(inline(example.input_text, answer_of(example, brief.shape)), "")
    return text


def _emptiness(proposal: Proposal) -> str | None:
    return None if words(instruction(proposal.prompt)) else "The instruction is empty."


def _length(proposal: Proposal, brief: Brief) -> str | None:
    whole = sum(len(message.text) for message in proposal.prompt.messages)
    before = sum(len(message.text) for message in brief.baseline.messages)
    longest = max(brief.longest, before + MOST_CHARACTERS)
    if whole > longest:
        return f"The prompt has {whole:,} characters; at most {longest:,} are wanted."
    own = without_examples(instruction(proposal.prompt))
    most = max(ALWAYS_LONG_ENOUGH, TIMES_AS_LONG * len(instruction(brief.baseline)))
    most += CHARACTERS_PER_LABEL * (len(brief.shape.labels) + len(brief.shape.fields))
    if len(own) > most:
        return (
            f"The instruction has {len(own):,} characters; after the one before, at most {most:,} are wanted."
        )
    return None


def _variables(proposal: Proposal, brief: Brief) -> str | None:
    old, new = set(brief.baseline.variables), set(proposal.prompt.variables)
    if lost := sorted(old - new):
        return f"It no longer passes on {{{{{lost[0]}}}}}."
    if unknown := sorted(new - old):
        return f"It asks for {{{{{unknown[0]}}}}}, which the agent's prompt does not have."
    return None


def _labels(text: str, before: str, shape: Shape) -> str | None:
    left_out = missing_labels(text, shape, before)
    return f"It leaves out the label {left_out[0]!r}." if left_out else None


def _remnants(text: str, before: str) -> str | None:
    known = {found.casefold() for found in _REMNANT.findall(before)}
    new = [found for found in _REMNANT.findall(text) if found.casefold() not in known]
    if new:
        return f"Remnants of markup are left in it: {new[0]!r}."
    return "It starts with a remark to the reader." if _CHATTER.match(text) else None


def _planted(text: str, brief: Brief) -> str | None:
    trusted = _trusted(brief)
    known = planted_phrases(trusted)
    if new := [phrase for phrase in planted_phrases(text) if phrase not in known]:
        return f"It reads as if somebody planted an instruction: {new[0][:80]!r}."
    if new := [found for found in _ADDRESS.findall(text) if found not in trusted]:
        return f"It names an address that the prompt before did not: {new[0][:80]!r}."
    planted = planted_passages(_foreign(brief))
    if run := copied(text, planted, COPIED_FROM_PLANTED, known=[trusted]):
        return f"It copies a planted instruction: {run!r}."
    shouted = set(_SHOUTED.findall(text)) & set(_SHOUTED.findall("\n".join(planted)))
    if new := sorted(shouted - set(_SHOUTED.findall(trusted))):
        return f"It copies a planted instruction: {new[0]!r}."
    return None


def _copies(text: str, brief: Brief) -> str | None:
    run = copied(text, _foreign(brief), known=[_trusted(brief)])
    return f"It copies what a user wrote: {run!r}." if run else None


def _repetition(proposal: Proposal, brief: Brief) -> str | None:
    own = proposal.prompt.content_hash
    if own == brief.baseline.content_hash:
        return "It is the prompt as it was."
    same = (tried.number for tried in brief.tried if tried.proposal.prompt.content_hash == own)
    number = next(same, None)
    return None if number is None else f"It is the same as candidate {number}."


def _trusted(brief: Brief) -> str:
    """All that may be said though a user said it too: else users could keep our own words out of prompts."""
    rules = (rule.statement for rule in brief.evidence.rules)
    fields = (f"{name}: {kind.words}" for name, kind in kinds(brief.shape, brief.examples).items())
    answer = (contract(brief.shape, brief.examples, is_listed=is_listed) for is_listed in (False, True))
    ours = (*answer, *GUIDELINES.values(), *fields, ", ".join(brief.shape.labels))
    return "\n".join((open_text(brief.baseline), brief.goals, *rules, *ours))


def _foreign(brief: Brief) -> Iterable[str]:
    """All texts that stem from users."""
    examples = chain(brief.examples, (failure.example for tried in brief.tried for failure in tried.failures))
    answers = (failure.output for tried in brief.tried for failure in tried.failures)
    of_examples = (
        text
        for example in examples
        for text in (example.input_text, example.expected_output, example.context or "")
    )
    return chain(brief.evidence.texts, of_examples, answers)


def _names(text: str, label: str) -> bool:
    return re.search(rf"(?<!\w){re.escape(label)}(?!\w)", text, re.IGNORECASE) is not None
