"""Where a run asks models: what is stored is not asked again, what does not fit the budget is never asked.

A courier makes the calls, in a process of its own, and stores each answer before it is seen here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from types import TracebackType
from uuid import UUID, uuid4

from learning_core import db
from learning_core.llm import dispatch, ledger
from learning_core.llm.asking import Asking
from learning_core.llm.ledger import NOTHING, Spend
from learning_core.llm.requests import Answer, Model, Request, as_messages


class Exchange:
    """Asks models on behalf of one run, or of nobody, who has no cap. Any number of threads may use one.

    Args:
        reuse: Whether an answer at temperature 0 may come from another run. A run's own answers, at whatever
            temperature, are its own again when it is resumed.
        interrupted: Whether to stop for now; looked at twice a second.
        attempts: How often a call is sent before it counts as failed; None: as the settings say.
    """

    def __init__(
        self,
        organization_id: UUID,
        run_id: UUID | None = None,
        *,
        reuse: bool = True,
        interrupted: Callable[[], bool] = lambda: False,
        attempts: int | None = None,
    ) -> None:
        self.organization_id = organization_id
        self.run_id = run_id
        self.interrupted = interrupted
        self.attempts = attempts
        self._reuse = reuse
        self._own = run_id or uuid4()
        dispatch.line()  # starts while the caller prepares its questions

    def __enter__(self) -> Exchange:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Leave; what is on its way is answered and stored all the same."""

    def ask(
        self,
        requests: Sequence[Request],
        *,
        leaving: Spend = NOTHING,
        noticed: Callable[[Answer], None] | None = None,
    ) -> list[Answer]:
        """Return the answers in the order of the requests; one that failed for good says so itself.

        Requests go out together, as many at a time as their models bear. Identical ones are asked once.

        Args:
            requests: Questions, to one model or to several.
            leaving: What the run must still be able to spend afterwards.
            noticed: Told of each answer, new or reused, as soon as it is stored, in the caller's thread.

        Raises:
            BudgetSpent: a request does not fit into what the run may spend.
            Interrupted: `interrupted` said so.
            ModelFailed: the process that makes the calls died again and again.
            The first two come once all that was on its way is stored; asked again, that costs nothing.
        """
        hashes = self._hashes(requests)
        asking = Asking(self, str(self._own), dict(zip(hashes, requests, strict=True)), leaving)
        answers: dict[str, Answer] = {}
        for content_hash, answer in asking.answers():
            answers[content_hash] = answer
            if noticed:
                noticed(answer)
        first = {content_hash: i for i, content_hash in reversed(list(enumerate(hashes)))}
        return [
            answers[content_hash] if first[content_hash] == i else replace(answers[content_hash], reused=True)
            for i, content_hash in enumerate(hashes)
        ]

    def embed(self, texts: Sequence[str], model: Model) -> list[Answer]:
        """Return the embeddings of texts, in their order."""
        requests = [
            Request("embedding", model, as_messages([{"role": "user", "content": text}])) for text in texts
        ]
        return self.ask(requests)

    def fits(self, requests: Sequence[Request], leaving: Spend = NOTHING) -> bool:
        """Return whether all that is not stored yet would fit into what the run may spend, at its most."""
        if self.run_id is None:
            return True
        wanted = dict(zip(self._hashes(requests), requests, strict=True))
        with db.organization_session(self.organization_id) as session:
            stored = ledger.look_up(session, list(wanted))
            new = ledger.most(request for key, request in wanted.items() if key not in stored)
            return ledger.shortage(ledger.room(session, self.run_id), new, leaving) is None

    def _hashes(self, requests: Sequence[Request]) -> list[str]:
        return [request.content_hash(self._scope(request)) for request in requests]

    def _scope(self, request: Request) -> UUID | None:
        is_settled = request.role == "embedding" or request.temperature == 0
        return None if is_settled and self._reuse else self._own
