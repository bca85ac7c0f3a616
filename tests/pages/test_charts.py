from datetime import date

import pandas as pd
import pytest

from learning_core.feedback.intervals import Estimate
from pages.components import charts


def periods(agents: list[str | None]) -> pd.DataFrame:
    days = [date(2026, 1, 10), date(2026, 1, 11)]
    rows = [
        {
            "agent": agent,
            "first_day": day,
            "last_day": day,
            "feedback_count": 3,
            "rating_count": 2,
            "satisfaction": 4.0,
            "satisfaction_low": 3.0,
            "satisfaction_high": 4.6,
            "week_satisfaction": 3.9,
            "week_low": 3.5,
            "week_high": 4.2,
            "week_count": 9,
        }
        for agent in agents
        for day in days
    ]
    return pd.DataFrame(rows)


def test_a_point_knows_its_days_and_its_agent() -> None:
    bars = charts.volume(periods(["one", "two"]), date(2026, 1, 11)).data
    assert bars[0].customdata[0][0] == "2026-01-10..2026-01-10"
    assert [bar.customdata[0][-1] for bar in bars] == ["one", "two"]


def test_the_day_that_is_not_over_is_paler() -> None:
    bar = charts.volume(periods(["one"]), date(2026, 1, 11)).data[0]
    assert bar.marker.opacity[0] == 1
    assert bar.marker.opacity[1] < 1
    assert bar.customdata[1][1].endswith("(so far)")


def test_one_agent_alone_gets_its_interval_and_single_days() -> None:
    assert len(charts.satisfaction(periods(["one"]), date(2026, 1, 12)).data) == 3
    assert len(charts.satisfaction(periods(["one", "two"]), date(2026, 1, 12)).data) == 2


def test_the_nameless_rest_is_called_others() -> None:
    names = [bar.name for bar in charts.volume(periods(["one", None]), date(2026, 1, 12)).data]
    assert names == ["one", charts.OTHERS]


def test_empty_frames_draw_empty_charts() -> None:
    nothing = periods(["one"]).iloc[:0]
    assert not charts.volume(nothing, date(2026, 1, 12)).data
    assert [len(trace.x or ()) for trace in charts.satisfaction(nothing, date(2026, 1, 12)).data] in (
        [],
        [0, 0],
    )


def test_stars_are_drawn_as_shares_of_rated_scales_only() -> None:
    counts = pd.DataFrame(
        {
            "scale": ["rating", "clarity"],
            "star_1": [1, 0],
            "star_2": [0, 0],
            "star_3": [0, 0],
            "star_4": [0, 0],
            "star_5": [3, 0],
        }
    )
    bars = charts.stars(counts).data
    assert [list(bar.x) for bar in bars] == [[0.25], [0], [0], [0], [0.75]]
    assert list(bars[0].y) == ["Overall (n 4)"]


def test_compared_figures_keep_their_order_and_interval() -> None:
    dots = charts.compare([("v1", Estimate(3.0, 2.5, 3.4, 20)), ("v2", Estimate(4.0, 3.8, 4.3, 30))]).data[0]
    assert list(dots.y) == ["v1 (n 20)", "v2 (n 30)"]
    assert list(dots.error_x.arrayminus) == pytest.approx([0.5, 0.2])
