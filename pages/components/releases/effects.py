"""What became of the metrics with a release: in a line, and in full with what each figure can prove."""

from __future__ import annotations

from html import escape

import streamlit as st

from learning_core.experiments import amounts
from learning_core.releases import impact, ledger
from learning_core.releases.impact import MEASURES, Change, Comparison, Direction, Impact, Way
from learning_core.releases.ledger import Entry, Shipped
from learning_core.schema import ReleaseStatus
from pages.components import rows
from pages.components.charts import span
from pages.components.releases import open_release, telling
from pages.components.texts import plain

LATEST = 4

DIRECTIONS = {
    Direction.BETTER: ("Better", "green"),
    Direction.WORSE: ("Worse", "red"),
    Direction.UNCLEAR: ("No clear change", "gray"),
}


def headline(found: Entry) -> str:
    """Say in a line what became of the metric that a release is judged by."""
    best = ledger.effect(found, found.measures)
    if best is None:
        return "Not measured yet" if found.impact is None else "Too little feedback to compare"
    told = impact.sentence(best[1])
    return told[0].upper() + told[1:]


def _story(found: Entry) -> str:
    best = ledger.effect(found, found.measures)
    standing = f": {DIRECTIONS[best[1].direction][0].lower()}" if best else ""
    return f"{headline(found)}{standing}."


def show_latest(found: list[Entry]) -> None:
    """Show the newest releases with their effect in words."""
    st.caption("The newest releases, and what users said before and since. Choose one for the whole story.")
    for entry in found:
        _show_entry(entry)


def _show_entry(entry: Entry) -> None:
    release = entry.release
    name, color = telling.STATUS[ReleaseStatus(release.status)]
    with st.container(gap=None):
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            label = f"{plain(release.agent, 40)} · {plain(release.version, 20)}"
            if st.button(label, type="tertiary", key=f"latest_{release.id}"):
                open_release(release.id)
            st.badge(name, color=color)
        st.text(_story(entry))
        best = ledger.effect(entry, entry.measures)
        if best:
            st.caption(impact.basis(*best))


def show_shipped(
    shipped: list[Shipped], issues: list[str], *, is_correction: bool, rating: int | None
) -> None:
    """Show in which releases an example shipped, and what that did about what was wrong."""
    measures = ledger.measures_of(issues, is_correction=is_correction, rating=rating)
    what = "This correction" if is_correction else "This example"
    for one in shipped:
        entry = one.entry
        with st.container(border=True, gap="xsmall"):
            st.text(ledger.told(entry, measures, what))
            best = ledger.effect(entry, measures)
            notes = [impact.basis(*best)] if best else []
            if one.directly:
                notes.append("The prompt was made from it directly.")
            if notes:
                st.caption(" ".join(notes))
            if st.button("See the release", type="tertiary", key=f"shipped_{entry.release.id}"):
                open_release(entry.release.id)


# ---------------------------------------------------------------- in full


def show(found: Impact) -> None:
    """Show all that was measured: side by side where there was a canary, and by calendar."""
    if found.side_by_side:
        _show_comparison(found.side_by_side, "Side by side")
    if found.by_calendar:
        _show_comparison(found.by_calendar, "Before and after")


MEANINGS = {
    Way.SIDE_BY_SIDE: "Proof: people met {before} or {after} at the same time, chosen by lot "
    "({period}). What differs is due to the release.",
    Way.BY_CALENDAR: "A comparison of two times, not proof: {before} from {before_period}, {after} "
    "from {period}. Other things may have changed in between.",
}


def _show_comparison(comparison: Comparison, title: str) -> None:
    st.subheader(title, anchor=False)
    before, after = comparison.before, comparison.after
    st.caption(
        MEANINGS[comparison.way].format(
            before=plain(before.version, 20),
            after=plain(after.version, 20),
            before_period=span(before.since.date(), before.until.date()),
            period=span(after.since.date(), after.until.date()),
        )
    )
    known = [change for change in comparison.changes if change.before or change.after]
    if not known:
        st.caption("Nobody has said anything yet.")
        return
    main = [
        change for change in known if not change.metric.startswith("issue_") or change.metric == "issue_rate"
    ]
    _show_changes(main, f"{title}: what users said")
    issues = [change for change in known if change not in main]
    if any(has_any(change) for change in issues):
        with st.expander("By kind of issue"):
            st.caption("Eight figures at once: one of them may look clear by chance.")
            _show_changes([change for change in issues if has_any(change)], f"{title}: kinds of issues")


def has_any(change: Change) -> bool:
    """Return whether the issue was reported at all."""
    return any(side is not None and side.value > 0 for side in (change.before, change.after))


def _show_changes(changes: list[Change], alt: str) -> None:
    head = ["", "Before", "Since", "Change", "Rests on", ""]
    rows.show(head, [_row(change) for change in changes], alt)


def _row(change: Change) -> list[str]:
    measure = MEASURES[change.metric]
    name, color = DIRECTIONS[change.direction]
    users = [side.users if side else 0 for side in (change.before, change.after)]
    counts = [side.n if side else 0 for side in (change.before, change.after)]
    return [
        f"<b>{escape(measure.words)}</b>",
        _side(change, change.before),
        _side(change, change.after),
        _difference(change),
        f"{counts[0]:,} and {counts[1]:,} {escape(measure.counted)}<br>"
        f"<small>of {users[0]:,} and {users[1]:,} people</small>",
        rows.badge(name, color) if change.difference else rows.badge("Too little", "gray"),
    ]


def _side(change: Change, side: impact.Figure | None) -> str:
    if side is None:
        return "—"
    value, low, high = impact.shown(change.metric, side.value, side.low, side.high)
    return f"{value}<br><small>{low} to {high}</small>"


def _difference(change: Change) -> str:
    found, unit = change.difference, MEASURES[change.metric].unit
    if found is None:
        return "—"
    between = amounts.between(found.low, found.high, unit)
    return f"{amounts.change(found.value, unit)}<br><small>{between}</small>"
