"""Briefs of three kinds of tasks, and a model that answers as a script says."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

from learning_core.datasets.content import DatasetExample
from learning_core.llm.templates import Message, Prompt
from learning_core.prompts.evidence import Evidence, Issue, Pair, Quote, Rule
from learning_core.prompts.shapes import shape
from learning_core.prompts.strategies import Brief, Failure, Proposal, Question, Tried

LATER = "On the tenth of the following month, or with an extension on that of the next."
LABELS = ("balance", "freeze_account", "transfer")
ROUTED = {
    "balance": ("how much is in savings", "what do i own in total", "show me how much money is left"),
    "freeze_account": ("block my card right now", "my account must be locked", "stop all payments at once"),
    "transfer": ("send money to my sister", "move fifty to checking", "wire cash to another bank"),
}
TAXED = (
    ("When is the VAT return due?", "On the tenth of the following month."),
    ("How is rent taxed?", "Rent is income from letting; deduct depreciation, interest and repairs first."),
    ("Can I deduct a home office?", "Yes, within limits, if no other place of work is there for that task."),
    ("What is the small business threshold?", "Sales of at most 25,000 euros in the year before."),
    ("Is a gift to my daughter taxed?", "Not below the allowance, which renews itself every ten years."),
    ("Do I owe tax on coins?", "No, once you held them for more than one year."),
)


def example(name: str, question: str, answer: str, **more: Any) -> DatasetExample:
    given = {"agent_id": "a", "example_type": "positive", "split": "train", "group": name} | more
    return DatasetExample(id=name, input_text=question, expected_output=answer, **given)


def routing(**more: Any) -> Brief:
    """A task with three labels that its baseline names."""
    examples = [
        example(f"{label}-{number}", question, label)
        for label, questions in ROUTED.items()
        for number, question in enumerate(questions)
    ]
    baseline = Prompt.from_text(
        "Classify the banking message into one of: balance, freeze_account, transfer."
    )
    return brief(baseline, examples, **more)


def invoices(**more: Any) -> Brief:
    """A task whose answers are JSON objects."""
    examples = [
        example(
            f"invoice-{number}",
            f"Invoice of Acme {number} over {number}.50 EUR dated 2024-01-1{number}",
            json.dumps(
                {"vendor": f"Acme {number}", "total": number + 0.5, "due": None if number % 2 else "x"}
            ),
        )
        for number in range(6)
    ]
    return brief(Prompt.from_text("Extract the invoice."), examples, **more)


def taxes(**more: Any) -> Brief:
    """A task in free text with a context, complaints, corrections and an accepted rule."""
    examples = [example(f"tax-{number}", *told) for number, told in enumerate(TAXED)]
    system = "You are a tax adviser. Answer with the help of the context.\n\nContext:\n{{context}}"
    baseline = Prompt((Message("system", system), Message("user", "{{input}}")))
    return brief(baseline, examples, **({"evidence": evidence()} | more))


def evidence(**more: Any) -> Evidence:
    late = Quote("f1", "It forgot the extension entirely.", "incomplete", 2, "x1")
    old = Quote("f2", "That limit was changed last year.", "outdated", 1)
    given = {
        "issues": (Issue("incomplete", 0.4, 12, (late,)), Issue("outdated", 0.2, 6, (old,))),
        "feedback": (late, old),
        "corrections": (
            Pair("c1", "When is the VAT return due?", "On the 15th.", LATER),
            Pair("c2", "When is the annual VAT return due?", "In May.", "By the end of July."),
        ),
        "rules": (Rule("r1", "State every deadline as a date.", ("c0",)),),
    }
    return Evidence(**given | more)


def brief(baseline: Prompt, examples: Sequence[DatasetExample], /, **more: Any) -> Brief:
    given = {"baseline": baseline, "examples": tuple(examples), "evidence": Evidence()}
    given |= {"shape": shape(examples), "goals": "", "tried": (), "room": 3}
    return Brief(**given | more)


def tried(number: int, prompt: Prompt, mean: float | None, failures: Sequence[Failure] = ()) -> Tried:
    return Tried(number, Proposal("a_strategy", prompt, "a try"), mean, 20, tuple(failures))


class Scripted:
    """Answers every question by a function of it, and remembers what was asked."""

    def __init__(self, answer: Callable[[Question], str] | str = "") -> None:
        self.answer = answer
        self.calls: list[list[Question]] = []

    def __call__(self, questions: Sequence[Question]) -> list[str]:
        self.calls.append(list(questions))
        return [self.answer if isinstance(self.answer, str) else self.answer(q) for q in questions]

    @property
    def questions(self) -> list[Question]:
        return [question for call in self.calls for question in call]


def able(question: Question) -> str:
    """What a model that does as it is told answers."""
    if question.purpose == "write the sections":
        return json.dumps(
            {"role": "You are a clerk.", "task": "Do what the input asks.", "rules": ["Be exact."]}
        )
    if question.purpose.startswith(("define", "a guideline", "a rule")):
        return f"Something general to be said about {question.purpose.split()[-1]} here."
    draw = question.seed or 0
    return f"<instruction>\nRead the message and do your work, variant {draw}.\n</instruction>"
