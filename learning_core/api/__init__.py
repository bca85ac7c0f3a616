"""The HTTP door: how agents report, ask and are told, under /api. Needs no Streamlit and runs alone too:
`uvicorn learning_core.api:api --workers 4`.
"""

from __future__ import annotations

import gc
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import version

from fastapi import FastAPI
from sqlalchemy import text
from starlette.concurrency import run_in_threadpool
from starlette.middleware import Middleware
from starlette.types import ASGIApp, Receive, Scope, Send

from learning_core import perimeter
from learning_core.api import (
    datasets,
    docs,
    experiments,
    feedback,
    impact,
    optimization,
    problems,
    prompts,
    releases,
    review,
    widget,
)
from learning_core.db import migrate, shared_session
from learning_core.feedback.intake import intake

log = logging.getLogger(__name__)


@asynccontextmanager
async def lifespan(_: FastAPI) -> AsyncIterator[None]:
    """Meet a migrated database, and store what is on its way before leaving."""
    await run_in_threadpool(migrate)
    gc.collect()
    gc.freeze()  # what is here now stays; looking through it again and again cost a fifth of each request
    yield
    await intake.close()


class UnderApi:
    """Answer under /api when running alone, as when mounted there beside the pages."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Name /api as the root of paths that begin with it."""
        if scope["type"] == "http" and not scope["root_path"] and scope["path"].startswith("/api/"):
            scope = {**scope, "root_path": "/api"}
        await self.app(scope, receive, send)


api = FastAPI(
    title="Afterglow",
    version=version("afterglow"),
    description="Report what your agent answered and what its users thought of it.",
    docs_url=None,
    redoc_url=None,
    lifespan=lifespan,
    middleware=[
        Middleware(UnderApi),
        *perimeter.middleware(),
        Middleware(widget.CrossOrigin),
        Middleware(perimeter.BodyLimit),
    ],
    separate_input_output_schemas=False,
)
for kind, handler in problems.HANDLERS.items():
    api.add_exception_handler(kind, handler)
api.add_route(
    "/learning/feedback", feedback.give_feedback, methods=["POST"], include_in_schema=False
)  # first, so that the busiest route skips what FastAPI does for routes that declare their input
api.include_router(feedback.router)
api.include_router(review.router)
api.include_router(datasets.router)
api.include_router(prompts.router)
api.include_router(optimization.router)
api.include_router(experiments.router)
api.include_router(releases.router)
api.include_router(impact.router)
api.include_router(widget.router)
api.include_router(docs.router)


@api.get("/health", tags=["health"], responses=problems.responses(503))
def health() -> dict[str, str]:
    """Tell whether the server and its database answer. Needs no key."""
    with shared_session() as session:
        session.execute(text("SELECT 1"))
    return {"status": "ok", "version": api.version}
