import re
from dataclasses import replace
from datetime import UTC, datetime
from html.parser import HTMLParser
from xml.etree import ElementTree

import pytest

from learning_core.experiments.analysis import Look
from learning_core.experiments.guardrails import GuardrailResult, State
from learning_core.experiments.metrics import METRICS
from learning_core.experiments.reports import drawings, report, telling
from learning_core.experiments.reports.report import Header
from tests.experiments.reports.test_telling import DESIGN, START, Direction, decided
from tests.pages.experiment_story import make_look

HEADER = Header(
    organization="Northwind",
    agent="ticket-router",
    name="Shorter answers",
    hypothesis="Fewer words,\nfewer mistakes.",
    status="Running",
    started_at=START,
    ended_at=None,
    made_at=datetime(2026, 3, 20, tzinfo=UTC),
)
RAIL = GuardrailResult(
    "error_rate", "Failed answers", State.OK, 0.01, None, 0.05, 0.03, 400, 200, "Failed answers: 1.0 %."
)


def looks(days: int = 14, effect: float = 0.3) -> list[Look]:
    made = [make_look(DESIGN, day, START, effect) for day in range(1, days + 1)]
    return [decided(Direction.BETTER, look) if look.number >= 12 else look for look in made]


def made(header: Header = HEADER, **how: int) -> str:
    taken = looks(**how)
    return report.html(header, DESIGN, taken, telling.verdict(DESIGN, taken[-1]), [RAIL])


def drawn(page: str) -> list[ElementTree.Element]:
    return [ElementTree.fromstring(svg) for svg in re.findall(r"<svg.*?</svg>", page, re.DOTALL)]


def test_a_report_holds_the_verdict_the_figures_and_the_method() -> None:
    page = made()
    for words in (
        "Treatment is better: satisfaction +0.21 stars.",
        "Decided on day 12",
        "Fewer words,\nfewer mistakes.",
        "1,540 users",
        "Failed answers: 1.0 %.",
        "Users arrive as planned",
        "confidence sequence",
        "Made by Afterglow on 20 Mar 2026",
    ):
        assert words in page, words
    assert "Simulated data" not in page
    assert "Simulated data" in made(replace(HEADER, simulated=True))


def test_a_report_needs_nothing_else() -> None:
    assert not re.search(r"(src|href)=|url\(|<script|@import", made())


def test_a_report_prints_on_a_page() -> None:
    assert "@page" in report.STYLE
    assert "break-inside: avoid" in report.STYLE


def test_a_report_before_the_first_look_says_so() -> None:
    page = report.html(HEADER, DESIGN, [], telling.verdict(DESIGN, None))
    assert "No look yet." in page
    assert "<svg" not in page


@pytest.mark.parametrize("text", ["<script>alert(1)</script>", '"><img src=x onerror=alert(1)>', "</style>"])
def test_strangers_text_stays_text(text: str) -> None:
    page = made(replace(HEADER, name=text, hypothesis=text, agent=text, organization=text))
    seen: list[str] = []

    class Tags(HTMLParser):
        def handle_starttag(self, tag: str, attrs: object) -> None:
            seen.append(tag)

    Tags().feed(page)
    assert not {"script", "img"} & set(seen)
    assert seen.count("style") == 1


def test_the_pictures_say_in_words_what_they_show() -> None:
    over_time, effects = drawn(made())
    assert over_time.get("aria-label") == "Satisfaction under Treatment less control, over 14 days"
    assert "Satisfaction: Better, +0.30" in str(effects.get("aria-label"))


def test_the_picture_over_time_shows_the_gate_the_band_and_the_decision() -> None:
    svg = drawings.over_time(looks(), "treatment", METRICS["satisfaction"])
    assert svg.count("<circle") == 6  # days before the gate
    assert svg.count("<polygon") == 1
    assert "Too early to judge" in svg
    assert "Decided on day 12" in svg
    assert "<polygon" not in drawings.over_time(looks(days=4), "treatment", METRICS["satisfaction"])


def test_nothing_is_drawn_outside_its_frame() -> None:
    wild = [make_look(DESIGN, day, START, effect) for day, effect in ((1, 3.0), (2, -3.0), (9, 0.1))]
    for svg in (
        drawings.over_time(wild, "treatment", METRICS["satisfaction"]),
        drawings.effects(telling.effects(wild[0])),
    ):
        picture = ElementTree.fromstring(svg)
        _, _, width, height = map(float, str(picture.get("viewBox")).split())
        for shape in picture.iter():
            for name, most in (
                ("x", width),
                ("cx", width),
                ("x1", width),
                ("x2", width),
                ("y", height),
                ("cy", height),
            ):
                if name in shape.attrib:
                    assert -1 <= float(shape.attrib[name]) <= most + 1, (shape.tag, shape.attrib)


def test_better_is_right_also_where_less_is_better() -> None:
    look = make_look(DESIGN, 14, START, 0.9)
    effects = [one for one in telling.effects(look) if one.metric.key == "issue_rate"]
    assert effects[0].relative < 0
    picture = ElementTree.fromstring(drawings.effects(effects))
    middle = float(picture.findall("line")[0].attrib["x1"])
    shape = next(part for part in picture if part.tag in ("polygon", "circle"))
    place = float(shape.attrib.get("cx") or shape.attrib["points"].split(",")[0])
    assert place > middle
