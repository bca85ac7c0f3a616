"""What would give away the examples that proposals are chosen by and tested on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from learning_core.datasets.content import DatasetExample
from learning_core.review.likeness import clusters

READ_CHARACTERS = 4_000


class Subject(NamedTuple):
    """What somebody wrote about: an answer to a question, and the example that came of it, by its key."""

    example: str | None
    question: str | None
    conversation: str | None


def gives_away(subjects: Sequence[Subject], sealed: Sequence[DatasetExample]) -> list[bool]:
    """Return for each subject whether it is one of the sealed examples, or belongs to one.

    It does if it is of the same conversation, or if its question is alike: by the same measure that keeps
    what is alike in one split.

    >>> sealed = DatasetExample(id="e1", agent_id="a", example_type="positive", split="test", group="e1",
    ...                         input_text="What is the VAT rate for books?", expected_output="10 %")
    >>> gives_away([Subject(None, "what is the vat-rate for BOOKS", None)], [sealed])
    [True]
    """
    names = {example.id for example in sealed}
    conversations = {example.conversation for example in sealed if example.conversation}
    questions = [subject.question or "" for subject in subjects] + [example.input_text for example in sealed]
    numbers = clusters([question[:READ_CHARACTERS] for question in questions])
    closed = set(numbers[len(subjects) :])
    return [
        subject.example in names or subject.conversation in conversations or number in closed
        for subject, number in zip(subjects, numbers[: len(subjects)], strict=True)
    ]
