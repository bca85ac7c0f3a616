"""Prompts as templates: messages with named variables, filled in one pass.

What is filled in is never read as a template again, and a literal message is never read as one at all: text
from users and examples cannot name variables.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from learning_core.errors import InvalidInput

Speaker = Literal["system", "user", "assistant"]

VARIABLE = re.compile(r"\{\{\s*([A-Za-z_][A-Za-z0-9_]*)\s*\}\}")
LONGEST = 200_000
"""Characters a prompt may have."""


@dataclass(frozen=True)
class Message:
    """One message of a prompt. A literal one, such as an example's question, holds no variables."""

    role: Speaker
    text: str
    literal: bool = False


@dataclass(frozen=True)
class Prompt:
    """A sequence of messages with variables such as ``{{input}}``.

    >>> prompt = Prompt.from_text("Answer in one word.")
    >>> prompt.render({"input": "Is {{input}} safe?"})[1]
    {'role': 'user', 'content': 'Is {{input}} safe?'}
    """

    messages: tuple[Message, ...]

    @classmethod
    def from_text(cls, text: str) -> Prompt:
        """Return the prompt that a plain instruction stands for: without variables, the input follows it."""
        instruction = Message("system", text)
        if "input" in _variables_in(text):
            return cls((Message("user", text),))
        return cls((instruction, Message("user", "{{input}}")))

    @classmethod
    def parse(cls, messages: object) -> Prompt:
        """Return the prompt that its JSON form stands for.

        Raises:
            InvalidInput: it is no list of messages with role and text (or content), or is too long.
        """
        if not isinstance(messages, Sequence) or isinstance(messages, str) or not messages:
            raise InvalidInput("A prompt is a list of at least one message.", field="messages")
        parsed = cls(tuple(map(_message, messages)))
        if sum(len(message.text) for message in parsed.messages) > LONGEST:
            raise InvalidInput(f"A prompt has at most {LONGEST:,} characters.", field="messages")
        return parsed

    def told(self) -> list[dict[str, Any]]:
        """Return the JSON form that `parse` reads."""
        return [
            {"role": message.role, "text": message.text} | ({"literal": True} if message.literal else {})
            for message in self.messages
        ]

    @property
    def variables(self) -> tuple[str, ...]:
        """Return the names that are filled in, in the order of their first use."""
        open_messages = (message.text for message in self.messages if not message.literal)
        return tuple(dict.fromkeys(name for text in open_messages for name in _variables_in(text)))

    @property
    def content_hash(self) -> str:
        """Return the hash by which two prompts are known to be the same."""
        line = json.dumps(self.told(), sort_keys=True, ensure_ascii=False, separators=(",", ":"))
        return hashlib.sha256(line.encode()).hexdigest()

    @property
    def text(self) -> str:
        """Return the whole prompt as one text for people to read and compare."""
        if [message.role for message in self.messages] == ["system", "user"] and (
            self.messages[1].text == "{{input}}"
        ):
            return self.messages[0].text
        return "\n\n".join(f"[{message.role}]\n{message.text}" for message in self.messages)

    @property
    def instruction(self) -> str:
        """Return the system message, or the first message where there is none."""
        system = (message.text for message in self.messages if message.role == "system")
        return next(system, self.messages[0].text)

    def with_instruction(self, text: str) -> Prompt:
        """Return the same prompt with another instruction."""
        at = next((i for i, message in enumerate(self.messages) if message.role == "system"), None)
        if at is None:
            return Prompt((Message("system", text), *self.messages))
        return Prompt((*self.messages[:at], Message("system", text), *self.messages[at + 1 :]))

    def with_examples(self, examples: Iterable[tuple[str, str]]) -> Prompt:
        """Return the same prompt with questions and answers shown, literally, before the last message."""
        shown = [
            message
            for question, answer in examples
            for message in (Message("user", question, True), Message("assistant", answer, True))
        ]
        return Prompt((*self.messages[:-1], *shown, self.messages[-1]))

    @property
    def examples(self) -> tuple[tuple[str, str], ...]:
        """Return the literal questions and answers that the prompt shows."""
        literal = [message for message in self.messages if message.literal]
        return tuple((one.text, other.text) for one, other in zip(literal[::2], literal[1::2], strict=False))

    def without_examples(self) -> Prompt:
        """Return the same prompt without the questions and answers that it shows."""
        return Prompt(tuple(message for message in self.messages if not message.literal))

    def render(self, values: Mapping[str, str | None]) -> list[dict[str, str]]:
        """Return the messages as a model is sent them, with each variable filled in.

        Raises:
            InvalidInput: there is no value for a variable; one that is None is filled in as nothing.
        """
        if missing := [name for name in self.variables if name not in values]:
            raise InvalidInput(f"There is no value for {{{{{missing[0]}}}}}.", field="variables")
        return [
            {
                "role": message.role,
                "content": message.text
                if message.literal
                else VARIABLE.sub(lambda found: values[found.group(1)] or "", message.text),
            }
            for message in self.messages
        ]


def require_known(prompt: Prompt, inputs: Sequence[str]) -> None:
    """Refuse a prompt that an agent with these inputs cannot fill in, or that would not pass the input on.

    Raises:
        InvalidInput: naming the variable, and those that there are.
    """
    for name in prompt.variables:
        if name not in inputs:
            known = ", ".join(f"{{{{{known}}}}}" for known in inputs)
            raise InvalidInput(f"The agent has no input {{{{{name}}}}}; it has {known}.", field="messages")
    if inputs and inputs[0] not in prompt.variables:
        raise InvalidInput(f"The prompt does not use {{{{{inputs[0]}}}}}.", field="messages")


def _variables_in(text: str) -> list[str]:
    return VARIABLE.findall(text)


def _message(told: object) -> Message:
    if not isinstance(told, Mapping):
        raise InvalidInput("A message has a role and a text.", field="messages")
    role, text = told.get("role"), told.get("text", told.get("content"))
    if role not in ("system", "user", "assistant"):
        raise InvalidInput(f"A message's role is system, user or assistant, not {role!r}.", field="messages")
    if not isinstance(text, str) or re.search(r"[\x00\ud800-\udfff]", text):
        raise InvalidInput("A message's text is a text without NUL and lone surrogates.", field="messages")
    return Message(role, text, told.get("literal") is True)
