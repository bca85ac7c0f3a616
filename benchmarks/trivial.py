"""What asking for a prompt is compared with: the API with one route more, which checks the key and says so.

`uvicorn benchmarks.trivial:api` runs both in the same process: the same middleware is passed, and keys are
looked up in the same way.
"""

from __future__ import annotations

from learning_core.api import api
from learning_core.api.callers import Reader


@api.get("/learning/benchmark/trivial", include_in_schema=False)
async def trivial(caller: Reader) -> dict[str, str]:
    """Answer who calls."""
    return {"name": caller.name}
