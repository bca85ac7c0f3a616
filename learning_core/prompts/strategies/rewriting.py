"""How a model is asked for a new instruction, and what becomes of the one it writes."""

from __future__ import annotations

import random

from learning_core.llm.templates import Prompt
from learning_core.prompts.strategies.answers import contract
from learning_core.prompts.strategies.briefs import Brief, Question
from learning_core.prompts.strategies.layout import joined, rewritten, task_of, with_lists_of
from learning_core.prompts.strategies.replies import CLOSING, OPENING

WRITER = (
    "You write instructions for a language model. Yours are short, plain and strict: one task, clear rules, "
    "an exact form of the answer."
)
BETWEEN = f"between {OPENING} and {CLOSING}"
FEWEST_TOKENS, MOST_TOKENS = 320, 1_500
WARMTH = 0.7
"""Temperature of all draws but the first."""

NO_INSTRUCTION = "The model's answer holds no instruction that can be told from what stands around it."

_KEEP = {
    "labels": "Keep the task and every label, spelled as now.",
    "fields": "Keep the task and every JSON key, spelled as now.",
    "text": "Keep the task.",
}


def question(
    purpose: str, brief: Brief, prompt: Prompt, *parts: str, draw: int, rng: random.Random
) -> Question:
    """Return the question for another instruction of a prompt; the first draw takes the likeliest answer.

    Args:
        purpose: For people.
        brief: What it is about.
        prompt: Its instruction is shown, less its examples and places for input.
        parts: What is to be learnt from; the last says what to write.
        draw: Number of the question, of those that are alike.
        rng: Where the seeds of the other draws come from.
    """
    task = task_of(prompt)
    goal = f"What it should be better at: {brief.goals.strip()}" if brief.goals.strip() else ""
    shown = f"The instruction now:\n{OPENING}\n{task}\n{CLOSING}"
    return Question(
        purpose,
        (("system", WRITER), ("user", joined(shown, goal, *parts[:-1], _demands(brief, task), parts[-1]))),
        max_tokens=min(MOST_TOKENS, max(FEWEST_TOKENS, len(task) // 2)),
        temperature=WARMTH if draw else 0.0,
        seed=rng.randrange(2**31) if draw else None,
    )


def renewed(brief: Brief, prompt: Prompt, text: str) -> Prompt:
    """Return a prompt with an instruction that a model wrote; lists and examples of the prompt stay.

    How to answer is said again at its end, exactly, whatever the model made of it.
    """
    form = contract(brief.shape, brief.examples) if brief.shape.kind != "text" else ""
    return with_lists_of(prompt, rewritten(prompt, *filter(None, (text, form))))


def _demands(brief: Brief, task: str) -> str:
    most_words = max(120, 3 * len(task.split()) // 2)
    return (
        f"{_KEEP[brief.shape.kind]} Turn what you learn into general rules: quote nothing, name nobody, "
        f"give no examples. The input is added later; write no place for it. At most {most_words} words."
    )
