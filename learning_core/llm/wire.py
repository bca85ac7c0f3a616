"""How a request is written in OpenAI's HTTP API, and how its answer is read; servers differ, so both bend."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from typing import Any, NamedTuple

from learning_core.llm.requests import Request, storable

LARGEST_COUNT = 2**31 - 1
BYTES_PER_TOKEN = 3
"""By which tokens are estimated where a server does not report them; real texts have three to five."""

OBJECTIONS: dict[str, tuple[str, ...]] = {
    "max_tokens": ("max_completion_tokens",),
    "response_format": ("response_format", "json_schema", "schema", "grammar", "structured"),
    "temperature": ("temperature",),
    "seed": ("seed",),
}
"""A part of a request that not every server takes -> words by which a refusal names it."""


def path(request: Request) -> str:
    """Return where the request goes, below the model's address."""
    return "/embeddings" if request.role == "embedding" else "/chat/completions"


def body(request: Request, refused: frozenset[str] = frozenset()) -> dict[str, Any]:
    """Return the request as JSON, without the parts that the endpoint is known to refuse."""
    if request.role == "embedding":
        return {"model": request.model.model, "input": request.messages[0][1]}
    messages = [{"role": speaker, "content": content} for speaker, content in request.messages]
    limit = "max_completion_tokens" if "max_tokens" in refused else "max_tokens"
    written: dict[str, Any] = {"model": request.model.model, "messages": messages, limit: request.max_tokens}
    if "temperature" not in refused:
        written["temperature"] = request.temperature
    if request.seed is not None and "seed" not in refused:
        written["seed"] = request.seed
    if request.schema and request.model.structured_output and "response_format" not in refused:
        written["response_format"] = {
            "type": "json_schema",
            "json_schema": {"name": "answer", "strict": True, "schema": request.schema},
        }
    return written


def objection(refusal: str, sent: Mapping[str, Any]) -> str | None:
    """Return the part of what was sent that a refusal names, where the request can do without it."""
    words = refusal.lower()
    named = (part for part, signs in OBJECTIONS.items() if any(sign in words for sign in signs))
    return next((part for part in named if part in sent), None)


class Reading(NamedTuple):
    """What an answer says, and what it took; `estimated` where the server did not report the tokens."""

    text: str = ""
    embedding: list[float] | None = None
    finish_reason: str | None = None
    prompt_tokens: int = 0
    completion_tokens: int = 0
    estimated: bool = False
    error: str | None = None


STRANGE = Reading(error="The address does not answer like an OpenAI-compatible server.")


def read(request: Request, answer: object) -> Reading:
    """Return what a server's JSON says; one that is no answer is read as an error."""
    try:
        found = _read_embedding(answer) if request.role == "embedding" else _read_chat(request, answer)
    except (LookupError, TypeError, ValueError, AttributeError):
        return STRANGE
    return STRANGE if found is STRANGE else _with_tokens(found, request, answer)


def _read_chat(request: Request, answer: Any) -> Reading:
    choice = answer["choices"][0]
    content, finish = choice["message"].get("content"), choice.get("finish_reason")
    if isinstance(content, list):
        content = "".join(part.get("text", "") for part in content)
    if content is None:
        refusal = choice["message"].get("refusal")
        error = f"The model refused: {storable(str(refusal))[:200]}" if refusal else NO_ANSWER
        return Reading(finish_reason=finish, error=error)
    if not content and finish == "length":
        return Reading(
            finish_reason=finish,
            error=f"The model used up its {request.max_tokens:,} tokens before it answered.",
        )
    return Reading(text=storable(str(content)), finish_reason=finish)


NO_ANSWER = "The model answered nothing."


def _read_embedding(answer: Any) -> Reading:
    vector = [float(value) for value in answer["data"][0]["embedding"]]
    return Reading(embedding=vector) if vector and all(map(math.isfinite, vector)) else STRANGE


def _with_tokens(found: Reading, request: Request, answer: Any) -> Reading:
    usage = answer.get("usage") or {}
    prompt, completion = _count(usage.get("prompt_tokens")), _count(usage.get("completion_tokens"))
    if prompt is not None and (completion is not None or request.role == "embedding"):
        return found._replace(prompt_tokens=prompt, completion_tokens=completion or 0)
    return found._replace(
        prompt_tokens=-(-request.prompt_bytes // BYTES_PER_TOKEN),
        completion_tokens=-(-len(found.text.encode()) // BYTES_PER_TOKEN),
        estimated=True,
    )


def _count(told: object) -> int | None:
    return told if isinstance(told, int) and 0 <= told <= LARGEST_COUNT else None


# ---------------------------------------------------------------- no answer


class Failure(Exception):
    """A call was not answered.

    Attributes:
        again: How often it may be sent in all before this counts as final.
        overload: Whether the endpoint could not bear it.
        closed_for_s: For how long the endpoint asks to be left alone.
    """

    def __init__(
        self, words: str, again: int = 1, *, overload: bool = False, closed_for_s: float = 0.0
    ) -> None:
        self.again = again
        self.overload = overload
        self.closed_for_s = closed_for_s
        super().__init__(words)


ALWAYS = 1_000_000
PASSING = (408, 409, 429)
"""Refusals that may pass by themselves, beside a server's own errors; 501 says that it never will."""
LONGEST_CLOSED_S = 60.0


def refusal(status: int, words: str, headers: Mapping[str, str]) -> Failure:
    """Return what a status other than success means, with the server's own words."""
    own = words.removeprefix(f"Error code: {status}").lstrip(" -")
    said = f"The model's server answered {status}{': ' if own else '.'}{storable(own)}"
    if not (status in PASSING or status >= 500) or status == 501 or "insufficient_quota" in words:
        return Failure(said)
    overload = status == 429 or status >= 500
    return Failure(said, ALWAYS, overload=overload, closed_for_s=_retry_after_s(headers))


def too_slow(timeout_s: int) -> Failure:
    """Return what silence means: the call may be paid for, so it is sent just once more."""
    return Failure(f"The model did not answer within {timeout_s} s.", 2, overload=True)


def unreachable(base_url: str) -> Failure:
    """Return what a connection means that was not made, or broke."""
    return Failure(f"{base_url} cannot be reached.", ALWAYS, overload=True)


def _retry_after_s(headers: Mapping[str, str]) -> float:
    value = headers.get("retry-after", "")
    try:
        wished = float(value)
    except ValueError:
        try:
            wished = parsedate_to_datetime(value).timestamp() - time.time()
        except ValueError:
            return 0.0
    return min(max(wished, 0.0), LONGEST_CLOSED_S)
