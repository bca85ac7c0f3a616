"""What a served answer is worth where nobody said what was expected: the part of an evaluator that can tell.

An answer that refuses, repeats the prompt, holds what is forbidden, or is longer than the bound set for it
is worth nothing. Of the checks those count that look at the answer alone.
"""

from __future__ import annotations

from learning_core.datasets.content import DatasetExample
from learning_core.evaluation.checks import Check, Evaluator, score
from learning_core.evaluation.safety import Finding, inspect
from learning_core.llm.templates import Prompt

UNEXPECTED = ("refusal", "leak", "forbidden")
"""Findings that need no expected answer."""


def score_alone(evaluator: Evaluator, prompt: Prompt, asked: str, output: str) -> float:
    """Return what an answer is worth (0-1), from the answer alone."""
    served = DatasetExample(
        id="", agent_id="", example_type="positive", split="", group="", input_text=asked, expected_output=""
    )
    if any(finding.kind in UNEXPECTED for finding in _findings(evaluator, prompt, served, output)):
        return 0.0
    if evaluator.gate.longest is not None and len(output.strip()) > evaluator.gate.longest:
        return 0.0
    checks = tuple(check for check in evaluator.checks if looks_at_the_answer_alone(check))
    return score(Evaluator(checks, evaluator.gate), output, served).value if checks else 1.0


def looks_at_the_answer_alone(check: Check) -> bool:
    """Return whether a check says something about an answer without an expected one."""
    if check.kind == "json":
        return True
    return check.kind == "pattern" or (check.kind == "contains" and bool(check.options.get("phrases")))


def _findings(evaluator: Evaluator, prompt: Prompt, served: DatasetExample, output: str) -> list[Finding]:
    return inspect(evaluator.gate, prompt, [(served, output)])
