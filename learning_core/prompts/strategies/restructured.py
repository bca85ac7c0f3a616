"""Put the instruction into fixed sections: the task, the labels or fields, the rules, how to answer."""

from __future__ import annotations

import random
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from learning_core.prompts.evidence import shorten
from learning_core.prompts.strategies.answers import contract
from learning_core.prompts.strategies.briefs import Ask, Brief, Proposal, Question, Refused, learnt
from learning_core.prompts.strategies.complaints import MOST_GUIDELINES, MOST_QUOTES, guidelines, told
from learning_core.prompts.strategies.fields import kinds
from learning_core.prompts.strategies.layout import (
    bullets,
    examples_in,
    instruction,
    joined,
    one_line,
    plain,
    rewritten,
    rules_in,
    section,
    task_of,
    with_block,
)
from learning_core.prompts.strategies.replies import line_in, object_in
from learning_core.prompts.strategies.rewriting import WRITER
from learning_core.prompts.strategies.strategy import Strategy

DEFAULT_TASKS = {
    "labels": "Read the input and choose the one label that fits it best.",
    "fields": "Read the input and extract the fields below.",
    "text": "Answer the question.",
}
_ORDER = re.compile(r"\W*(?:answer|reply|respond|return|output|write|give)\b", re.IGNORECASE)
_EXACT = re.compile(r"\b(?:labels?|only|nothing else)\b", re.IGNORECASE)
_HEADING = re.compile(
    r"(?:\W|\b(?:the|possible|valid|allowed|available|these|use|choose|pick|from|one|of|are|is|following|labels?|"
    r"categor(?:y|ies)|class(?:es)?|intents?|types?|options?|answers?|topics?)\b)*\0\W*\Z",
    re.IGNORECASE,
)
_ONE_OF = re.compile(
    r"(?:exactly |only )?(?:one )?of(?: the| these)?(?: following)?(?: \w+)?[\s:(\[]*\0[)\]]*", re.IGNORECASE
)

MOST_RULES, RULE_WORDS = 6, 24
TASK_CHARACTERS = 600

SECTIONS = {
    "type": "object",
    "properties": {
        "role": {"type": "string"},
        "task": {"type": "string"},
        "rules": {"type": "array", "items": {"type": "string"}, "maxItems": MOST_RULES},
    },
    "required": ["role", "task", "rules"],
    "additionalProperties": False,
}


def drafts(brief: Brief, ask: Ask, rng: random.Random) -> Iterator[Proposal | Refused]:
    """Yield the baseline in sections, then with sections that a model wrote."""
    yield _proposal(brief, *own_sections(brief), "The instruction stands in fixed sections")
    if brief.room < 2:
        return
    told_by_model = object_in(ask([_question(brief)])[0])
    task, rules = _read(told_by_model)
    if not task:
        yield Refused("restructured", "The model's answer holds no sections.")
    else:
        yield _proposal(brief, task, rules, "A model sorted the instruction into fixed sections")


def own_sections(brief: Brief) -> tuple[str, list[str]]:
    """Return the task as the baseline tells it, and the rules that it lists and that issues ask for."""
    own = rules_in(instruction(brief.baseline))
    asked_for = guidelines(brief.evidence) if brief.shape.kind == "text" else []
    return own_task(brief), list(dict.fromkeys((*own, *asked_for)))


def own_task(brief: Brief) -> str:
    """Return the task as the baseline tells it, less its lists."""
    return without_lists(task_of(brief.baseline), brief.shape.labels) or DEFAULT_TASKS[brief.shape.kind]


def sections(brief: Brief, task: str, rules: Sequence[str], described: Mapping[str, str]) -> tuple[str, ...]:
    """Return the sections of an instruction; the last says how to answer."""
    listed = {"labels": "Labels", "fields": "Fields", "text": ""}[brief.shape.kind]
    names = (
        bullets(
            f"{plain(name)}: {described[name]}" if described.get(name) else plain(name)
            for name in _names(brief)
        )
        if listed
        else ""
    )
    answer = contract(brief.shape, brief.examples, is_listed=True)
    return (
        section("Task", task),
        section(listed, names),
        section("Rules", bullets(rules)),
        section("Answer", answer),
    )


def without_lists(text: str, labels: Sequence[str]) -> str:
    """Return a task without the lists of labels in it: sections list them again, once.

    >>> without_lists("Sort the mail into one of: spam, ham. Answer with spam or ham only.", ["ham", "spam"])
    'Sort the mail into one of the labels below.'
    """
    if len(labels) < 2:
        return text
    marked = re.sub(r":\s*\0", ": \0", _described(labels).sub("", _run(labels).sub("\0", text)))
    lines = (_without_run(line) for line in marked.splitlines())
    return re.sub(r"\n{3,}", "\n\n", "\n".join(line for line in lines if line is not None)).strip()


def descriptions(text: str, labels: Sequence[str]) -> dict[str, str]:
    """Return what a text says about labels, where it has a line for each of them."""
    return (
        {found["label"]: found["told"].strip() for found in _described(labels).finditer(text)}
        if labels
        else {}
    )


def _proposal(brief: Brief, task: str, rules: Sequence[str], how: str) -> Proposal:
    own = instruction(brief.baseline)
    described = descriptions(own, brief.shape.labels) or {
        name: kind.words for name, kind in kinds(brief.shape, brief.examples).items()
    }
    prompt = rewritten(brief.baseline, *sections(brief, task, rules, described))
    issues = [issue.category for issue in brief.evidence.issues[:MOST_GUIDELINES]]
    used = issues if brief.shape.kind == "text" or how.startswith("A model") else []
    quotes = brief.evidence.quotes[:MOST_QUOTES] if how.startswith("A model") else ()
    return Proposal(
        "restructured",
        with_block(prompt, examples_in(own)) if examples_in(own) else prompt,
        f"{how}, and says exactly how to answer.",
        learnt_from=learnt(issues=used, feedback=(quote.feedback_id for quote in quotes)),
    )


def _names(brief: Brief) -> tuple[str, ...]:
    return brief.shape.labels or brief.shape.fields


def _question(brief: Brief) -> Question:
    data = told(brief.evidence)
    content = joined(
        f"The instruction now:\n<instruction>\n{task_of(brief.baseline)}\n</instruction>",
        f"What it should be better at: {brief.goals.strip()}" if brief.goals.strip() else "",
        data,
        "Sort it into sections. role: who answers, in one sentence. task: what to do with the input, in one "
        f"or two sentences. rules: at most {MOST_RULES} short rules, each starting with a verb, that are in "
        f"the instruction{' or prevent these complaints' if data else ''}. Quote nothing, give no examples. "
        "How to answer is added later.",
        'Write only JSON: {"role": "...", "task": "...", "rules": ["..."]}',
    )
    return Question("write the sections", (("system", WRITER), ("user", content)), 320, schema=SECTIONS)


def _read(told_by_model: Mapping[str, Any]) -> tuple[str, list[str]]:
    role, task, rules = (told_by_model.get(name) for name in ("role", "task", "rules"))
    said = [one_line(part) for part in (role, task) if isinstance(part, str) and part.strip()]
    lines = (
        [line_in(rule, most_words=RULE_WORDS) for rule in rules if isinstance(rule, str)]
        if isinstance(rules, list)
        else []
    )
    if not (isinstance(task, str) and len(task.split()) > 2):
        return "", []
    return shorten("\n".join(dict.fromkeys(said)), TASK_CHARACTERS), list(dict.fromkeys(filter(None, lines)))[
        :MOST_RULES
    ]


def _without_run(line: str) -> str | None:
    """A line less its list of labels; None if nothing is left of it."""
    sentences = re.split(r"(?<=[.!?])[ \t]+", line)
    kept = [_named_below(sentence) for sentence in sentences if not _is_about_the_answer(sentence)]
    return " ".join(kept) if kept else None


def _is_about_the_answer(sentence: str) -> bool:
    """Whether a sentence only lists the labels, or says how to answer: both is said anew."""
    if _HEADING.match(sentence):
        return True
    is_order = _ORDER.match(sentence) is not None
    return is_order and ("\0" in sentence or _EXACT.search(sentence) is not None)


def _named_below(sentence: str) -> str:
    told = _ONE_OF.sub("one of the labels below", sentence)
    return re.sub(r"[\s:]*\0", " the labels below", re.sub(r"[(\[]\0[)\]]", "(the labels below)", told))


def _run(labels: Sequence[str]) -> re.Pattern[str]:
    """A list of at least half of the labels."""
    one = rf"['\"`]*{_any(labels)}['\"`]*"
    between = r"(?:[\s,;/|*\u2022-]|\d+[.)]){0,6}(?:and |or )?"
    return re.compile(
        rf"(?:[-*\u2022]\s*)?{one}(?:{between}{one}){{{max(1, (len(labels) + 1) // 2 - 1)},}}", re.IGNORECASE
    )


def _described(labels: Sequence[str]) -> re.Pattern[str]:
    """A line that says what a label means."""
    return re.compile(
        rf"^[^\w\n]*(?P<label>{_any(labels)})[^\w\n]{{0,6}}?(?:[:=\u2013\u2014]|\s-)\s+(?P<told>\S.*)$\n?",
        re.MULTILINE,
    )


def _any(labels: Sequence[str]) -> str:
    longest_first = sorted(labels, key=len, reverse=True)
    return rf"(?<!\w)(?:{'|'.join(map(re.escape, longest_first))})(?!\w)"


RESTRUCTURED = Strategy(
    "restructured",
    "Clear structure",
    "Puts the instruction into fixed sections: task, labels or fields, rules, and exactly how to answer.",
    None,
    drafts,
)
