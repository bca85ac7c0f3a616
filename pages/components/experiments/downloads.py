"""What can be taken away: all looks as CSV, and the result as a page that prints well."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime

import streamlit as st

from learning_core.experiments.analysis import Look
from learning_core.experiments.queries import Found
from learning_core.experiments.reports import report
from learning_core.experiments.reports.report import Header
from pages.components.experiments import looks as looks_of
from pages.components.experiments import rows
from pages.components.experiments.rows import STATUS_NAMES
from pages.components.session import User


def offer(user: User, found: Found, looks: Sequence[Look]) -> None:
    """Offer the downloads; each is made when it is asked for."""
    name = re.sub(r"[^a-z0-9]+", "-", found.name.lower()).strip("-")[:60] or "experiment"
    with st.container(horizontal=True, vertical_alignment="center"):
        st.download_button(
            "Report to print",
            lambda: page(user, found, looks),
            file_name=f"{name}.html",
            mime="text/html",
            key="report",
            on_click="ignore",
            help="One file that needs nothing else: open it in a browser, print it, or send it on.",
        )
        st.download_button(
            "All looks as CSV",
            lambda: looks_of.looks_frame(looks).to_csv(index=False).encode("utf-8-sig"),
            file_name=f"{name}.csv",
            mime="text/csv",
            key="csv",
            on_click="ignore",
        )
        st.caption("A chart becomes a picture by the camera in its corner.", width="content")


def page(user: User, found: Found, looks: Sequence[Look]) -> str:
    """Return the report."""
    last = looks[-1] if looks else None
    header = Header(
        organization=user.organization_name,
        agent=found.agent,
        name=found.name,
        hypothesis=found.hypothesis,
        status=STATUS_NAMES[found.status],
        started_at=found.started_at,
        ended_at=found.ended_at,
        made_at=datetime.now(UTC),
        simulated=user.simulated,
    )
    return report.html(header, found.design, looks, rows.words(found, last), found.guardrails)
