"""Few rows to read, not to sort: a table that wraps on a small screen, and badges for it.

Cells are HTML: whoever passes a stranger's text escapes it first.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

import streamlit as st

COLORS = {"green": "#2E8B6F", "red": "#C0392B", "orange": "#C77700", "gray": "#7A7A7A", "blue": "#3B6FB5"}


def show(head: Sequence[str], cells: Sequence[Sequence[str]], alt: str) -> None:
    """Show rows under a head; on a small screen each row becomes a block with the head's words beside it."""
    titles = "".join(f'<th scope="col">{escape(title)}</th>' for title in head)
    body = "".join(_row(head, row) for row in cells)
    table = f'<table aria-label="{escape(alt)}"><thead><tr>{titles}</tr></thead><tbody>{body}</tbody></table>'
    st.html(f'<style>{STYLE}</style><div class="rows">{table}</div>')


def _row(head: Sequence[str], row: Sequence[str]) -> str:
    return f"<tr>{''.join(_cell(title, cell) for title, cell in zip(head, row, strict=True))}</tr>"


def _cell(title: str, cell: str) -> str:
    return f'<td data-title="{escape(title)}"><div>{cell}</div></td>'


def badge(name: str, color: str) -> str:
    """Return a badge for a cell."""
    return f'<span class="rows-badge" style="--tint:{COLORS[color]}">{escape(name)}</span>'


STYLE = """
.rows { overflow-x: auto; font-size: .93rem; }
.rows table { border-collapse: collapse; width: 100%; }
.rows th { text-align: left; font-weight: 400; opacity: .75; font-size: .87em; padding: 0 .9rem .3rem 0; }
.rows td { vertical-align: top; padding: .5rem .9rem .5rem 0; font-variant-numeric: tabular-nums;
  border-top: 1px solid color-mix(in srgb, currentColor 14%, transparent); }
.rows small { opacity: .8; font-size: .87em; white-space: nowrap; }
.rows-badge { display: inline-block; padding: .05rem .5rem; border-radius: .5rem; white-space: nowrap;
  background: color-mix(in srgb, var(--tint) 20%, transparent); }
@media (max-width: 640px) {
  .rows thead { display: none; }
  .rows tr { display: block; padding: .4rem 0;
    border-top: 1px solid color-mix(in srgb, currentColor 14%, transparent); }
  .rows td { display: grid; grid-template-columns: 6.5rem 1fr; border: 0; padding: .15rem 0; }
  .rows td::before { content: attr(data-title); opacity: .75; font-size: .87em; }
  .rows td[data-title=""] { display: block; }
}
"""
