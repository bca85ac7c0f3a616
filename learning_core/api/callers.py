"""Who is calling the API: the key in the Authorization header, looked up and remembered for a moment."""

from __future__ import annotations

import time
from typing import Annotated, NamedTuple

from fastapi import Depends
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from starlette.concurrency import run_in_threadpool

from learning_core.access import Caller, organization_of_key, require, verify_key
from learning_core.db import reading_session
from learning_core.errors import NotSignedIn

REMEMBERED_S = 5.0
"""How long a verified key is believed: a revoked one works at most this much longer."""

bearer = HTTPBearer(
    auto_error=False,
    scheme_name="API key",
    description="Made with `afterglow key create` or on the Admin page.",
)
Credentials = Annotated[HTTPAuthorizationCredentials | None, Depends(bearer)]


class _Remembered(NamedTuple):
    caller: Caller
    until: float


_remembered: dict[str, _Remembered] = {}


async def caller(credentials: Credentials) -> Caller:
    """Return who calls, for routes that declare it.

    Raises:
        NotSignedIn: there is no key, or none in force.
    """
    return await identify(f"Bearer {credentials.credentials}" if credentials else "")


async def identify(authorization: str) -> Caller:
    """Return who calls, from the header of that name.

    Raises:
        NotSignedIn: there is no key in it, or none in force.
    """
    scheme, _, key = authorization.partition(" ")
    if scheme.lower() != "bearer" or not key:
        raise NotSignedIn("Send an API key: Authorization: Bearer afg_...")
    known = _remembered.get(key)
    if known and known.until > time.monotonic():
        return known.caller
    found = await run_in_threadpool(_look_up, key)
    if len(_remembered) >= MOST_REMEMBERED:
        _remembered.clear()
    _remembered[key] = _Remembered(found, time.monotonic() + REMEMBERED_S)
    return found


MOST_REMEMBERED = 10_000


async def reporter(known: Annotated[Caller, Depends(caller)]) -> Caller:
    """Return who calls, if they may report executions and feedback.

    Raises:
        NotPermitted: the key's role may only read.
    """
    require(known, "report")
    return known


async def reviewer(known: Annotated[Caller, Depends(caller)]) -> Caller:
    """Return who calls, if they may judge examples.

    Raises:
        NotPermitted: the key's role may not review.
    """
    require(known, "review")
    return known


async def engineer(known: Annotated[Caller, Depends(caller)]) -> Caller:
    """Return who calls, if they may make prompt versions.

    Raises:
        NotPermitted: the key's role may not optimize.
    """
    require(known, "optimize")
    return known


async def experimenter(known: Annotated[Caller, Depends(caller)]) -> Caller:
    """Return who calls, if they may decide by experiments which prompt users meet.

    Raises:
        NotPermitted: the key's role may not experiment.
    """
    require(known, "experiment")
    return known


async def releaser(known: Annotated[Caller, Depends(caller)]) -> Caller:
    """Return who calls, if they may send prompt versions to users and take them back.

    Raises:
        NotPermitted: the key's role may not release.
    """
    require(known, "release")
    return known


def _look_up(key: str) -> Caller:
    with reading_session(organization_of_key(key)) as session:
        return verify_key(session, key)


Reader = Annotated[Caller, Depends(caller)]
Reporter = Annotated[Caller, Depends(reporter)]
Reviewer = Annotated[Caller, Depends(reviewer)]
Engineer = Annotated[Caller, Depends(engineer)]
Experimenter = Annotated[Caller, Depends(experimenter)]
Releaser = Annotated[Caller, Depends(releaser)]
