"""The server: pages and API in one ASGI application.

The Streamlit script is `pages/index.py`. Were it this file, Streamlit would serve a page beside it to whoever
asks for its address before anyone has signed in.
"""

import gc
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import streamlit as st
from starlette.routing import Mount

from learning_core import perimeter
from learning_core.api import api


@asynccontextmanager
async def lifespan(app: st.App) -> AsyncIterator[dict[str, Any]]:
    """Pay for heavy imports before the first visitor does; a mounted API gets no lifespan by itself."""
    import pandas  # noqa: F401
    import plotly.graph_objects as go

    go.Figure(go.Scatter(x=[0], y=[0]), layout={"title": ""}).to_json()
    gc.collect()
    gc.freeze()
    gc.enable()  # `serve` starts without
    async with api.router.lifespan_context(api):
        yield {}


app = st.App(
    Path(__file__).parent / "pages" / "index.py",
    routes=[Mount("/api", app=api)],
    middleware=perimeter.middleware(),
    lifespan=lifespan,
)

if __name__ == "__main__":
    app.run()
