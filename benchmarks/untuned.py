"""`afterglow serve` with what was tuned in Streamlit put back to its defaults: the baseline of `sessions`.

A full garbage collection after every script run, nothing frozen out of it, and a watcher of source files.
"""

from __future__ import annotations

import gc
from typing import Any

import streamlit as st

from learning_core import serving

DEFAULTS = {"runner.postScriptGC": True, "server.fileWatcherType": "auto"}


def main() -> None:
    """Serve, untuned."""
    run = st.App.run

    def run_with_defaults(app: st.App, *, config: dict[str, Any]) -> None:
        run(app, config=config | DEFAULTS)

    st.App.run = run_with_defaults  # type: ignore[method-assign]
    gc.freeze = lambda: None  # type: ignore[assignment]
    serving.serve()


if __name__ == "__main__":
    main()
