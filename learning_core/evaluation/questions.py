"""What scoring asks of models: the agent's question for each example, and what is asked about an answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from learning_core.datasets.content import DatasetExample
from learning_core.errors import NotEnoughData
from learning_core.evaluation import judge
from learning_core.evaluation.checks import Evaluator
from learning_core.evaluation.probes import planted
from learning_core.evaluation.texts import LONGEST
from learning_core.llm.requests import Model, Request, as_messages
from learning_core.llm.templates import Prompt
from learning_core.schema import ModelRole

CHARACTERS_PER_TOKEN = 4


@dataclass(frozen=True)
class Questions:
    """How examples and answers become requests.

    Attributes:
        models: Role -> model; task, and those that the evaluator needs.
        evaluator: How answers are scored.
        max_tokens: The longest answer of the agent.
        temperature: The agent's; 0 makes identical questions have one answer.
        seed: Sent along where the temperature is above 0.

    Raises:
        NotEnoughData: a model is missing; the message names its role.
    """

    models: Mapping[ModelRole, Model]
    evaluator: Evaluator
    max_tokens: int
    temperature: float = 0.0
    seed: int | None = None

    def __post_init__(self) -> None:
        for role in ("task", *sorted(self.evaluator.needs)):
            if role not in self.models:
                raise NotEnoughData(
                    f"Scoring these answers takes a model for the role {role!r}; there is none."
                )

    @property
    def criteria(self) -> list[str]:
        """Return what a judge is asked to look at; nothing where none is asked."""
        judged = "judge" in self.evaluator.needs
        return list(self.evaluator.options_of("rubric")["criteria"]) if judged else []

    def to_agent(self, prompt: Prompt, example: DatasetExample) -> Request:
        """Return an example as the agent is asked it; inputs that examples do not have are left empty."""
        values = dict.fromkeys(prompt.variables, "")
        values |= {"input": example.input_text, "context": example.context or ""}
        messages = as_messages(prompt.render(values))
        return Request(
            "task", self.models[ModelRole.TASK], messages, self.max_tokens, self.temperature, self.seed
        )

    def about(self, example: DatasetExample, output: str) -> list[Request]:
        """Return what is asked about an answer: the judge, then the embeddings of it and the expected one."""
        asked = []
        expected = example.expected_output
        if criteria := self.criteria:
            asked.append(
                judge.request(self.models[ModelRole.JUDGE], criteria, example.input_text, expected, output)
            )
        if "embedding" in self.evaluator.needs and output.strip() and expected.strip():
            asked += [_embedding(self.models[ModelRole.EMBEDDING], text) for text in (output, expected)]
        return asked

    def all(self, prompt: Prompt, examples: Sequence[DatasetExample]) -> list[Request]:
        """Return all that trying a prompt asks, for estimates: what is asked about answers with a stand-in.

        The stand-in has the greatest usual length of an answer.
        """
        answer = "x" * min(CHARACTERS_PER_TOKEN * self.max_tokens, LONGEST)
        asked = [self.to_agent(prompt, example) for example in examples]
        return asked + [request for example in examples for request in self.about(example, answer)]

    def probes(self, prompt: Prompt, examples: Sequence[DatasetExample]) -> list[Request]:
        """Return the planted instructions that the gate wants a prompt tried with."""
        return [
            self.to_agent(prompt, example) for _, example in planted(examples, self.evaluator.gate.probes)
        ]


def _embedding(model: Model, text: str) -> Request:
    return Request("embedding", model, as_messages([{"role": "user", "content": text[:LONGEST]}]))
