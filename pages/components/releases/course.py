"""The stages of a release as a line: what is done, where it is now, what comes."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import NamedTuple

import streamlit as st


class Stop(NamedTuple):
    """One stage on the line.

    Attributes:
        title: What happens there: "5 % of users".
        lines: How long, since when.
        done: How much of it is over (0-1).
        is_now: Whether the release is here.
        broken: Whether it ended here, badly.
    """

    title: str
    lines: Sequence[str]
    done: float
    is_now: bool = False
    broken: bool = False


def draw(stops: Sequence[Stop]) -> None:
    """Draw the stages beside each other; on a small screen below each other."""
    st.html(f'<style>{STYLE}</style><ol class="course">{"".join(map(_stop, stops))}</ol>')


def _stop(stop: Stop) -> str:
    kind = "broken" if stop.broken else "now" if stop.is_now else "done" if stop.done >= 1 else "next"
    lines = "".join(f"<div>{escape(line)}</div>" for line in stop.lines)
    here = ' aria-current="step"' if stop.is_now else ""
    return (
        f'<li class="course-{kind}"{here}>'
        f'<div class="course-bar"><div style="width:{stop.done:.0%}"></div></div>'
        f"<b>{escape(stop.title)}</b>{lines}</li>"
    )


STYLE = """
.course { list-style: none !important; margin: 0 !important; padding: 0 !important; display: grid; gap: .9rem;
  grid-template-columns: repeat(auto-fit, minmax(11rem, 1fr)); }
.course li { margin: 0 !important; padding: 0 !important; font-size: .93rem; line-height: 1.45; }
.course li div { opacity: .85; }
.course-bar { height: 8px; border-radius: 4px; margin-bottom: .4rem; opacity: 1 !important;
  background: color-mix(in srgb, currentColor 14%, transparent); overflow: hidden; }
.course-bar div { height: 100%; border-radius: 4px; background: #2E8B6F; opacity: 1 !important; }
.course-now .course-bar div { background: #B3460E; }
.course-broken .course-bar div { background: #C0392B; }
.course-next b { font-weight: 400; }
"""
