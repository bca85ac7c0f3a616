"""Agreement is what the papers published, what the definitions say, and silent where too little is known."""

import doctest
from collections import Counter
from itertools import combinations, permutations, product

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from learning_core import errors
from learning_core.feedback.intervals import Estimate, share
from learning_core.review import agreement, bootstrap
from learning_core.review.agreement import (
    GateResult,
    Level,
    Outcome,
    check_gate,
    cohen_kappa,
    fleiss_kappa,
    krippendorff_alpha,
    pairwise,
    percent_agreement,
    weighted_kappa,
)
from learning_core.review.bootstrap import TooLittle
from learning_core.review.tallies import Opinion

FOUR_OBSERVERS = {
    "A": [1, 2, 3, 3, 2, 1, 4, 1, 2, None, None, None],
    "B": [1, 2, 3, 3, 2, 2, 4, 1, 2, 5, None, None],
    "C": [None, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, 3],
    "D": [1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, None],
}
FOURTEEN_RATERS = [
    [0, 0, 0, 0, 14],
    [0, 2, 6, 4, 2],
    [0, 0, 3, 5, 6],
    [0, 3, 9, 2, 0],
    [2, 2, 8, 1, 1],
    [7, 7, 0, 0, 0],
    [3, 2, 6, 3, 0],
    [2, 5, 3, 2, 2],
    [6, 5, 2, 1, 0],
    [0, 2, 2, 3, 7],
]
TWO_READERS = [[20, 5], [10, 15]]
TWO_JUDGES = [[88, 14, 18], [10, 40, 10], [2, 6, 12]]
COUPLES = [[7, 7, 2, 3], [2, 8, 3, 7], [1, 5, 4, 9], [2, 8, 9, 14]]

MEASURES = {
    "percent agreement": percent_agreement,
    "Fleiss' kappa": fleiss_kappa,
    **{
        f"{level} alpha": lambda opinions, level=level: krippendorff_alpha(opinions, level) for level in Level
    },
}
STARS = st.integers(1, 5)
TABLES = st.dictionaries(st.tuples(st.sampled_from("ABCD"), st.sampled_from("123456")), STARS).map(
    lambda values: [Opinion(*key, value) for key, value in values.items()]
)
PAIRS = st.lists(st.tuples(STARS, STARS), min_size=1, max_size=12)


def opinions_of(columns):
    return [
        Opinion(annotator, str(item), value)
        for annotator, values in columns.items()
        for item, value in enumerate(values)
        if value is not None
    ]


def opinions_by_counts(rows):
    return [
        Opinion(str(annotator), str(item), value)
        for item, row in enumerate(rows)
        for annotator, value in enumerate(np.repeat(range(len(row)), row).tolist())
    ]


def both_sides(pairs):
    return tuple({str(item): pair[side] for item, pair in enumerate(pairs)} for side in (0, 1))


def sides_of(table):
    return both_sides(
        [
            (row, column)
            for row, counts in enumerate(table)
            for column, n in enumerate(counts)
            for _ in range(n)
        ]
    )


def noisy_stars(n_items, seed=1, missing=0.2):
    rng = np.random.default_rng(seed)
    truth = rng.integers(1, 6, n_items)
    return [
        Opinion(annotator, str(item), int(np.clip(truth[item] + rng.integers(-1, 2), 1, 5)))
        for annotator in ("Ann", "Ben", "Cem")
        for item in range(n_items)
        if rng.random() > missing
    ]


def defined(statistic):
    try:
        return statistic.value()
    except errors.NotEnoughData:
        assume(False)


def values_of_shared_items(opinions):
    by_item = {}
    for _, item, value in opinions:
        by_item.setdefault(item, []).append(value)
    return [values for values in by_item.values() if len(values) > 1]


def alpha_by_definition(opinions, level):
    """Krippendorff's disagreements, pair by pair, with his own distance of ordinal values."""
    items = values_of_shared_items(opinions)
    pooled = [value for values in items for value in values]
    times = Counter(pooled)

    def distance(one, other):
        if level is Level.NOMINAL:
            return float(one != other)
        if level is Level.INTERVAL:
            return (one - other) ** 2
        low, high = sorted((one, other))
        between = sum(n for value, n in times.items() if low <= value <= high)
        return (between - (times[low] + times[high]) / 2) ** 2

    observed = sum(
        distance(one, other) / (len(values) - 1) for values in items for one, other in permutations(values, 2)
    )
    expected = sum(distance(one, other) for one, other in permutations(pooled, 2)) / (len(pooled) - 1)
    return 1 - observed / expected


def kappa_by_definition(pairs, power):
    observed = sum(abs(one - other) ** power for one, other in pairs if one != other) / len(pairs)
    expected = sum(
        abs(one - other) ** power for (one, _), (_, other) in product(pairs, pairs) if one != other
    )
    return 1 - observed / (expected / len(pairs) ** 2)


def test_the_examples_in_the_docstrings_hold():
    assert doctest.testmod(agreement).failed == 0


@pytest.mark.parametrize(
    ("level", "alpha"), [(Level.NOMINAL, 0.743421), (Level.ORDINAL, 0.815388), (Level.INTERVAL, 0.849107)]
)
def test_alpha_is_what_krippendorff_published(level, alpha):
    """Krippendorff (2011), example C: four observers, twelve units; 0.743, 0.815 and 0.849 there."""
    statistic = krippendorff_alpha(opinions_of(FOUR_OBSERVERS), level)
    assert statistic.value() == pytest.approx(alpha, abs=1e-6)
    assert statistic.tally.n == 11


def test_alpha_is_what_nltk_gives_for_its_easy_example():
    """The triples of nltk's test_disagreement.py, where -0.3333333 is asserted."""
    answers = {("coder1", "dress1"): "YES", ("coder2", "dress1"): "NO", ("coder3", "dress1"): "NO"}
    answers |= {("coder1", "dress2"): "YES", ("coder2", "dress2"): "NO", ("coder3", "dress3"): "NO"}
    opinions = [Opinion(*key, value) for key, value in answers.items()]
    assert krippendorff_alpha(opinions, Level.NOMINAL).value() == pytest.approx(-1 / 3)


def test_fleiss_kappa_is_the_textbooks():
    """The worked example of fourteen raters, ten subjects and five categories: kappa = 0.210."""
    assert round(fleiss_kappa(opinions_by_counts(FOURTEEN_RATERS)).value(), 3) == 0.210


@pytest.mark.parametrize(
    ("table", "kappa"),
    [
        (TWO_READERS, 0.4000),  # the 2 x 2 of grant proposals in many textbooks
        (TWO_JUDGES, 0.4915),  # Cohen (1968), table 1: (0.70 - 0.41) / (1 - 0.41)
        (COUPLES, 0.1293),  # Agresti's couples, as R's vcd prints them
    ],
)
def test_cohen_kappa_is_what_was_published(table, kappa):
    assert cohen_kappa(*sides_of(table)).value() == pytest.approx(kappa, abs=5e-5)


@pytest.mark.parametrize("level", Level)
@given(opinions=TABLES)
def test_alpha_follows_its_definition(level, opinions):
    alpha = defined(krippendorff_alpha(opinions, level))
    assert alpha == pytest.approx(alpha_by_definition(opinions, level), abs=1e-9)


@pytest.mark.parametrize(("measure", "power"), [(cohen_kappa, 0), (weighted_kappa, 2)])
@given(pairs=PAIRS)
def test_each_kappa_follows_its_definition(measure, power, pairs):
    kappa = defined(measure(*both_sides(pairs)))
    assert kappa == pytest.approx(kappa_by_definition(pairs, power), abs=1e-9)


@given(pairs=PAIRS)
def test_weighted_kappa_is_the_concordance_of_numbers(pairs):
    """Lin (1989): 2 cov / (var + var + difference of the means squared), all of them divided by n."""
    one, other = np.array(pairs, dtype=float).T
    kappa = defined(weighted_kappa(*both_sides(pairs)))
    shift = (one.mean() - other.mean()) ** 2
    covariance = np.cov(one, other, bias=True)[0, 1]
    assert kappa == pytest.approx(2 * covariance / (one.var() + other.var() + shift), abs=1e-9)


@given(TABLES, st.integers(0, 3))
def test_percent_agreement_counts_pairs(opinions, tolerance):
    pairs = [pair for values in values_of_shared_items(opinions) for pair in combinations(values, 2)]
    assume(pairs)
    agreeing = [abs(one - other) <= tolerance for one, other in pairs]
    assert percent_agreement(opinions, tolerance).value() == pytest.approx(np.mean(agreeing))


@given(st.lists(st.tuples(STARS, STARS, STARS), min_size=1, max_size=8))
def test_fleiss_kappa_differs_from_alpha_by_the_small_sample_only(rows):
    """In alpha a value cannot meet itself by chance: 1 - alpha = (1 - kappa) (n - 1) / n."""
    opinions = opinions_of(dict(zip("ABC", zip(*rows, strict=True), strict=True)))
    n = 3 * len(rows)
    alpha = defined(krippendorff_alpha(opinions, Level.NOMINAL))
    assert 1 - alpha == pytest.approx((1 - fleiss_kappa(opinions).value()) * (n - 1) / n)


def test_fleiss_kappa_leaves_out_items_with_another_number_of_values():
    complete = opinions_by_counts([[2, 1], [1, 2], [3, 0], [0, 3], [2, 1]])
    others = [Opinion(name, "other", 0) for name in "ABCDE"] + [Opinion(name, "few", 1) for name in "AB"]
    assert fleiss_kappa(complete + others).value() == fleiss_kappa(complete).value()
    assert fleiss_kappa(complete + others).tally.n == 5


def test_of_equally_frequent_numbers_fleiss_kappa_takes_the_larger():
    assert (
        fleiss_kappa(opinions_by_counts([[2, 1], [1, 1], [0, 2], [0, 3]])).judged_by == "exactly 3 annotators"
    )


@pytest.mark.parametrize("measure", MEASURES.values(), ids=MEASURES)
def test_perfect_agreement_is_1_and_still_leaves_doubt(measure):
    values = [0.1, 0.2, 0.7] * 10
    statistic = measure(opinions_of({"A": values, "B": values, "C": values}))
    low = share(30, 30).low
    assert statistic.value() == 1
    assert statistic.estimate(np.random.default_rng(1)) == pytest.approx((1, low, 1, 30))


@pytest.mark.parametrize("kappa", [cohen_kappa, weighted_kappa])
def test_perfect_agreement_of_two_is_1(kappa):
    values = {str(item): item / 10 for item in range(12)}
    assert kappa(values, values).value() == 1


@given(TABLES)
def test_names_of_values_do_not_matter_to_nominal_measures(opinions):
    names = dict(zip(range(1, 6), ["tie", "left", "both bad", "right", "skip"], strict=True))
    renamed = [opinion._replace(value=names[opinion.value]) for opinion in opinions]
    for measure in (fleiss_kappa, lambda table: krippendorff_alpha(table, Level.NOMINAL), percent_agreement):
        assert defined(measure(renamed)) == pytest.approx(measure(opinions).value(), abs=1e-12)


@given(TABLES, st.permutations("ABCD"), st.randoms())
def test_who_judged_and_in_which_order_does_not_matter(opinions, others, random):
    renamed = [opinion._replace(annotator=others["ABCD".index(opinion.annotator)]) for opinion in opinions]
    random.shuffle(renamed)
    for measure in MEASURES.values():
        assert defined(measure(renamed)) == measure(opinions).value()


@given(TABLES, st.sampled_from([-2.5, 0.1, 3]), st.sampled_from([-100.0, 0.3, 7]))
def test_interval_alpha_knows_no_unit_and_no_zero(opinions, unit, zero):
    moved = [opinion._replace(value=opinion.value * unit + zero) for opinion in opinions]
    alpha = defined(krippendorff_alpha(opinions, Level.INTERVAL))
    assert krippendorff_alpha(moved, Level.INTERVAL).value() == pytest.approx(alpha, abs=1e-9)


def test_a_tolerance_survives_the_rounding_of_numbers():
    opinions = opinions_of({"A": [0.3, 0.7], "B": [0.4, 0.8]})
    assert percent_agreement(opinions, tolerance=0.1).value() == 1
    assert percent_agreement(opinions, tolerance=0.09).value() == 0


@pytest.mark.parametrize("measure", MEASURES.values(), ids=MEASURES)
def test_values_alone_in_their_item_do_not_count(measure):
    opinions = opinions_of(FOUR_OBSERVERS)
    alone = [Opinion("A", f"alone {value}", value) for value in (1, 1, 5, 9)][1:]
    assert measure(opinions + alone).value() == measure(opinions).value()


@pytest.mark.parametrize("measure", MEASURES.values(), ids=MEASURES)
def test_nothing_shared_has_no_agreement(measure):
    statistic = measure([Opinion("A", "1", 3), Opinion("B", "2", 3)])
    with pytest.raises(errors.NotEnoughData, match="No item was judged by at least two annotators"):
        statistic.value()
    assert measure([]).estimate(np.random.default_rng(1)).n == 0


def test_two_without_shared_items_have_no_kappa():
    with pytest.raises(errors.NotEnoughData, match="No item was judged by both annotators"):
        cohen_kappa({"1": "yes"}, {"2": "yes"}).value()


@pytest.mark.parametrize("name", [name for name in MEASURES if name != "percent agreement"])
def test_without_variation_agreement_beyond_chance_is_undefined(name):
    statistic = MEASURES[name](opinions_of({"A": [0.1] * 30, "B": [0.1] * 30, "C": [0.1] * 30}))
    with pytest.raises(errors.NotEnoughData, match="All values are the same"):
        statistic.value()
    assert statistic.estimate(np.random.default_rng(1)) == TooLittle(
        "Nearly all values are the same: agreement beyond chance cannot be told.", 30
    )


@pytest.mark.parametrize("kappa", [cohen_kappa, weighted_kappa])
def test_two_who_always_say_the_same_have_no_kappa(kappa):
    same = dict.fromkeys("123", 0.1)
    with pytest.raises(errors.NotEnoughData, match="All values are the same"):
        kappa(same, same).value()
    assert kappa(same, dict.fromkeys("123", 0.2)).value() == pytest.approx(0)


@pytest.mark.parametrize(("telling", "shown"), [(2, False), (3, True)])
def test_an_interval_needs_three_items_that_tell(telling, shown):
    values = ["no"] * telling + ["yes"] * 40
    estimate = krippendorff_alpha(opinions_of({"A": values, "B": values}), Level.NOMINAL).estimate(
        np.random.default_rng(1)
    )
    assert isinstance(estimate, Estimate) == shown


def test_below_ten_shared_items_the_reason_stands_in_place_of_the_figure():
    nine, ten = (opinions_of({"A": [1, 2, 3, 4, 5] * 2, "B": [1, 2, 3, 4, 4] * 2})[:end] for end in (-1, 20))
    reason = "Items judged by at least two annotators: 9 of the 10 needed."
    assert percent_agreement(nine).estimate(np.random.default_rng(1)) == TooLittle(reason, 9)
    estimate = percent_agreement(ten).estimate(np.random.default_rng(1))
    assert isinstance(estimate, Estimate)
    assert (estimate.value, estimate.n) == (0.8, 10)


@pytest.mark.parametrize("measure", MEASURES.values(), ids=MEASURES)
def test_the_same_seed_gives_the_same_interval_in_whatever_order_opinions_come(measure):
    opinions = noisy_stars(60)
    first, again = (measure(table).estimate(np.random.default_rng(7)) for table in (opinions, opinions[::-1]))
    assert first == again
    assert first != measure(opinions).estimate(np.random.default_rng(8))


@pytest.mark.parametrize("measure", MEASURES.values(), ids=MEASURES)
def test_the_interval_is_that_of_items_drawn_one_by_one(measure):
    opinions = noisy_stars(40)
    by_item = {}
    for opinion in opinions:
        by_item.setdefault(opinion.item, []).append(opinion)
    statistic = measure(opinions)
    shared = [table for table in by_item.values() if len(table) > 1]
    if measure is fleiss_kappa:
        shared = [table for table in shared if len(table) == int(statistic.judged_by.split()[1])]
    rng = np.random.default_rng(2)
    drawn = []
    for _ in range(800):
        choice = rng.integers(len(shared), size=len(shared))
        resample = [j._replace(item=str(copy)) for copy, item in enumerate(choice) for j in shared[item]]
        drawn.append(measure(resample).value())
    estimate = statistic.estimate(np.random.default_rng(3))
    assert estimate.n == len(shared)
    assert (estimate.low, estimate.high) == pytest.approx(np.quantile(drawn, [0.025, 0.975]), abs=0.03)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.integers(10, 60), st.sampled_from([0.01, 0.5, 0.95]))
def test_the_value_lies_within_its_interval(seed, n_items, confidence):
    opinions = noisy_stars(n_items, seed, missing=0.1)
    for name, measure in MEASURES.items():
        estimate = measure(opinions).estimate(np.random.default_rng(seed), confidence)
        if isinstance(estimate, Estimate):
            assert estimate.low <= estimate.value <= estimate.high <= 1
            assert (0 if name == "percent agreement" else -1) <= estimate.low
            assert confidence < 0.5 or estimate.low < estimate.high


def test_many_different_values_are_resampled_a_few_at_a_time(monkeypatch):
    rng = np.random.default_rng(4)
    statistic = krippendorff_alpha(
        opinions_of({"A": rng.random(200).tolist(), "B": rng.random(200).tolist()}), Level.ORDINAL
    )
    at_once = statistic.estimate(np.random.default_rng(5))
    monkeypatch.setattr(bootstrap, "_NUMBERS_AT_ONCE", 3_000)
    assert statistic.estimate(np.random.default_rng(5)) == pytest.approx(at_once, abs=1e-9)


def test_the_more_items_the_narrower():
    few, many = (
        krippendorff_alpha(noisy_stars(n), Level.ORDINAL).estimate(np.random.default_rng(1))
        for n in (30, 600)
    )
    assert many.high - many.low < (few.high - few.low) / 2


def test_every_two_annotators_are_compared_or_it_is_said_why_not():
    stranger = [Opinion("Dea", str(item), 3) for item in range(4)]
    rows = pairwise(noisy_stars(50, missing=0) + stranger, np.random.default_rng(1), tolerance=1)
    assert [(row.first, row.second) for row in rows] == list(combinations(["Ann", "Ben", "Cem", "Dea"], 2))
    assert all(
        row.kappa.n == 50 and row.kappa.value < row.percent.value for row in rows if row.second != "Dea"
    )
    reason = TooLittle("Items judged by both annotators: 4 of the 10 needed.", 4)
    assert all(row.percent == row.kappa == reason for row in rows if row.second == "Dea")


def test_the_figures_of_a_pair_are_those_of_its_opinions_alone():
    opinions = noisy_stars(80)
    ann_and_cem = pairwise(opinions, np.random.default_rng(1), 1, weighted_kappa)[1]
    ann, cem = ({j.item: j.value for j in opinions if j.annotator == name} for name in ("Ann", "Cem"))
    two = [opinion for opinion in opinions if opinion.annotator != "Ben"]
    assert ann_and_cem.percent.value == percent_agreement(two, 1).value()
    assert ann_and_cem.kappa.value == weighted_kappa(ann, cem).value()
    assert ann_and_cem.percent.n == ann_and_cem.kappa.n == len(ann.keys() & cem.keys())


@pytest.mark.parametrize(
    ("estimate", "result"),
    [
        (Estimate(0.80, 0.70, 0.90, 50), GateResult(Outcome.PASSED, False)),
        (Estimate(0.90, 0.80, 0.95, 50), GateResult(Outcome.PASSED, True)),
        (Estimate(0.79, 0.70, 0.80, 50), GateResult(Outcome.FAILED, False)),
        (Estimate(0.60, 0.50, 0.79, 50), GateResult(Outcome.FAILED, True)),
        (
            TooLittle("Items judged by both annotators: 4 of the 10 needed.", 4),
            (Outcome.NOT_ENOUGH_DATA, False),
        ),
    ],
)
def test_the_gate_compares_the_value_and_says_whether_it_is_beyond_doubt(estimate, result):
    assert check_gate(estimate, required=0.8) == result


def test_the_gate_takes_another_bound():
    assert check_gate(Estimate(0.7, 0.6, 0.8, 50), required=0.5) == (Outcome.PASSED, True)


@pytest.mark.parametrize("measure", MEASURES.values(), ids=MEASURES)
def test_an_annotator_judges_an_item_once(measure):
    with pytest.raises(ValueError, match="judges an item once"):
        measure([Opinion("A", "1", 3), Opinion("A", "1", 3)])


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_missing_values_are_left_out_not_nan(value):
    with pytest.raises(ValueError, match="leave out what was not judged"):
        percent_agreement([Opinion("A", "1", value)])


@pytest.mark.parametrize(
    "measure",
    [
        lambda table: krippendorff_alpha(table, Level.ORDINAL),
        lambda table: krippendorff_alpha(table, Level.INTERVAL),
        lambda table: percent_agreement(table, tolerance=1),
        lambda table: weighted_kappa(*({j.item: j.value for j in table} for _ in "AB")),
    ],
)
def test_words_have_no_distance(measure):
    with pytest.raises(ValueError, match="distances need numbers"):
        measure(opinions_of({"A": ["good", "bad"], "B": ["good", "good"]}))
