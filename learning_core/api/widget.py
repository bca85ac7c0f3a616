"""Routes of the embeddable widget: its script, its tokens, and the feedback it sends from other sites.

A token is a signed, short-lived right to rate one execution as one person. It names its organisation, whose
own secret signs it, so it opens nothing else.
"""

from __future__ import annotations

import base64
import hashlib
import json
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Response
from fastapi.responses import FileResponse
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import OctKey
from pydantic import BaseModel, Field
from starlette.concurrency import run_in_threadpool
from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp, Receive, Scope, Send

from learning_core import access
from learning_core.access import Caller
from learning_core.api import problems
from learning_core.api.callers import Credentials, Reporter
from learning_core.api.feedback import Accepted, answer
from learning_core.db import organization_session
from learning_core.errors import NotFound, NotPermitted, NotSignedIn
from learning_core.feedback.collect import withdraw
from learning_core.feedback.entries import FeedbackEntry, Key
from learning_core.feedback.intake import intake
from learning_core.schema import Role
from learning_core.settings import settings

router = APIRouter(tags=["widget"])

SCRIPT = Path(__file__).parent.parent / "widget" / "afterglow-feedback.js"
ISSUER = "afterglow-widget"


class TokenRequest(BaseModel):
    """Which execution a browser may rate, and as whom."""

    execution_id: Key
    agent_id: Key
    user_id: Key | None = None
    minutes: Annotated[int, Field(ge=1, le=24 * 60)] | None = None


class Token(BaseModel):
    """A right to rate one execution, to be handed to the browser."""

    token: str
    expires_at: datetime


class Right(BaseModel):
    """What a verified token allows."""

    organization_id: UUID
    execution_id: str
    agent_id: str
    user_id: str | None

    @property
    def feedback_id(self) -> str:
        """Return the id of the one piece of feedback that this person may give on this execution."""
        person = f"{self.agent_id}\0{self.execution_id}\0{self.user_id or ''}"
        return f"widget-{hashlib.sha256(person.encode()).hexdigest()[:40]}"


@router.post(
    "/learning/widget/tokens",
    status_code=201,
    responses=problems.responses(401, 403, 413, 422, 503),
)
def make_token(request: TokenRequest, caller: Reporter) -> Token:
    """Make a token for one execution; your server asks for it with its key and puts it into the page."""
    expires_at = datetime.now(UTC) + timedelta(minutes=request.minutes or settings().widget_token_minutes)
    claims = {
        "iss": ISSUER,
        "org": caller.organization_id.hex,
        "execution_id": request.execution_id,
        "agent_id": request.agent_id,
        "user_id": request.user_id,
        "exp": int(expires_at.timestamp()),
    }
    with organization_session(caller.organization_id) as session:
        secret = access.signing_secret(session)
    token = jwt.encode({"alg": "HS256"}, claims, OctKey.import_key(secret))
    return Token(token=token, expires_at=expires_at)


async def right(credentials: Credentials) -> Right:
    """Return what the token in the Authorization header allows.

    Raises:
        NotSignedIn: it is missing, forged or expired.
    """
    if credentials is None:
        raise NotSignedIn("The widget needs a token; see `POST /api/learning/widget/tokens`.")
    return await run_in_threadpool(_verify, credentials.credentials)


def _verify(token: str) -> Right:
    try:
        organization_id = UUID(_unverified_claims(token)["org"])
        with organization_session(organization_id) as session:
            secret = access.existing_signing_secret(session)
        if secret is None:
            raise NotSignedIn("This token was not made here.")
        claims = jwt.decode(token, OctKey.import_key(secret), algorithms=["HS256"]).claims
        jwt.JWTClaimsRegistry(iss={"essential": True, "value": ISSUER}, exp={"essential": True}).validate(
            claims
        )
        allowed = {name: claims[name] for name in ("execution_id", "agent_id", "user_id")}
        return Right(organization_id=organization_id, **allowed)
    except (JoseError, LookupError, ValueError, TypeError) as error:
        raise NotSignedIn("This token has expired or is not valid; ask for a fresh one.") from error


RightOfCaller = Annotated[Right, Depends(right)]


@router.post(
    "/learning/widget/feedback",
    status_code=201,
    response_model=Accepted,
    responses={
        200: {"description": "Changed what this person said before", "model": Accepted},
        **problems.responses(401, 403, 409, 413, 422, 429, 503),
    },
)
async def give_feedback(entry: FeedbackEntry, allowed: RightOfCaller) -> Response:
    """Store what a person said in the widget; sending again replaces it."""
    if (entry.execution_id, entry.agent_id) != (allowed.execution_id, allowed.agent_id):
        raise NotPermitted("This token is for another execution or agent.")
    own = entry.model_copy(update={"id": allowed.feedback_id, "user_id": allowed.user_id, "created_at": None})
    outcome = await intake.submit(allowed.organization_id, "widget", f"widget {allowed.feedback_id}", own)
    return answer(outcome)


@router.delete("/learning/widget/feedback", status_code=204, responses=problems.responses(401, 503))
def withdraw_feedback(allowed: RightOfCaller) -> None:
    """Take back what this person said in the widget; once more changes nothing."""
    person = Caller(allowed.organization_id, f"user {allowed.user_id or 'unknown'}", Role.VIEWER)
    with suppress(NotFound), organization_session(allowed.organization_id) as session:
        withdraw(session, allowed.feedback_id)
        access.audit(session, person, "feedback.withdrawn", allowed.feedback_id)


@router.get("/widget.js", response_class=FileResponse, include_in_schema=False)
def script() -> FileResponse:
    """Return the widget's script."""
    return FileResponse(
        SCRIPT,
        media_type="text/javascript",
        headers={"Cache-Control": "public, max-age=3600", "Cross-Origin-Resource-Policy": "cross-origin"},
    )


class CrossOrigin:
    """Let pages of any origin talk to the widget's routes, which take tokens and no cookies; to no others."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app
        self.open = CORSMiddleware(
            app,
            allow_origins=["*"],
            allow_methods=["POST", "DELETE"],
            allow_headers=["authorization", "content-type"],
            expose_headers=["retry-after"],
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, with CORS where it belongs."""
        path = scope.get("path", "")
        is_widget = path.endswith(("/learning/widget/feedback", "/widget.js"))
        await (self.open if is_widget else self.app)(scope, receive, send)


def _unverified_claims(token: str) -> dict[str, Any]:
    payload = token.split(".")[1]
    found = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    if not isinstance(found, dict):
        raise ValueError("claims are not an object")
    return found
