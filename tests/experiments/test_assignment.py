from __future__ import annotations

from collections import Counter
from functools import cache
from itertools import pairwise
from math import sqrt
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chi2_contingency

from learning_core.experiments.assignment import BUCKETS, bucket, place, slots

AGENT = UUID("01900000-0000-7000-8000-000000000000")
HALVES = (("treatment", 0.5), ("control", 0.5))
UNEQUAL = (("treatment", 0.1), ("treatment_2", 0.3), ("control", 0.6))
MANY = [f"user-{number}" for number in range(200_000)]
SOME = MANY[:30_000]

RAMPS = st.floats(0.001, 1)
USERS = st.text(max_size=30)
SHARES = st.lists(st.integers(1, 100), min_size=1, max_size=5).map(
    lambda parts: [(f"variant_{place}", part / sum(parts)) for place, part in enumerate(parts)]
)


@cache
def met_by_many(shares, salt):
    return [everybody(shares, salt).assign(user) for user in MANY]


def everybody(shares=HALVES, salt="salt", ramp=1.0, buckets=(0, BUCKETS), agent=AGENT):
    return slots(agent, salt, buckets, ramp, shares)


def within_three_standard_errors(count: int, n: int, share: float) -> bool:
    return abs(count - n * share) <= 3 * sqrt(n * share * (1 - share))


# ---------------------------------------------------------------- the hash


def test_a_place_is_the_first_53_bits_of_a_hash_that_anybody_can_compute():
    """Computed with coreutils: printf 'salt:user' | b2sum -l 64."""
    assert place("salt", "user") == (0xC4788DF8003B4B6A >> 11) / 2**53


@given(salt=st.text(max_size=20), user=st.text(st.characters(codec=None), max_size=30))
def test_any_text_has_a_place_from_0_up_to_1(salt, user):
    assert 0 <= place(salt, user) < 1
    assert 0 <= bucket(salt, user) < BUCKETS


def test_many_users_spread_evenly_over_places_and_buckets():
    tenths = Counter(int(10 * place("salt", user)) for user in SOME)
    assert all(within_three_standard_errors(tenths[tenth], len(SOME), 0.1) for tenth in range(10))
    in_range = sum(2_500 <= bucket("agent", user) < 4_000 for user in SOME)
    assert within_three_standard_errors(in_range, len(SOME), 0.15)


# ---------------------------------------------------------------- shares


@pytest.mark.parametrize(("shares", "salt"), [(HALVES, "second salt"), (UNEQUAL, "first salt")])
def test_the_shares_of_many_users_are_as_designed(shares, salt):
    met = Counter(met_by_many(shares, salt))
    assert all(within_three_standard_errors(met[variant], len(MANY), share) for variant, share in shares)


def test_at_a_ramp_each_variant_has_that_part_of_its_share():
    met = Counter(map(everybody(UNEQUAL, ramp=0.2).assign, SOME))
    for variant, share in UNEQUAL:
        assert within_three_standard_errors(met[variant], len(SOME), 0.2 * share)
    assert within_three_standard_errors(met[None], len(SOME), 0.8)


def test_a_canary_meets_a_control_of_the_same_size():
    met = Counter(map(everybody(HALVES, ramp=0.1).assign, SOME))
    assert within_three_standard_errors(met["treatment"], met["treatment"] + met["control"], 0.5)
    assert within_three_standard_errors(met["treatment"], len(SOME), 0.05)


@given(shares=SHARES, user=USERS, salt=st.text(max_size=8))
def test_at_full_ramp_everybody_in_range_meets_a_variant(shares, user, salt):
    assert everybody(shares, salt).assign(user) in dict(shares)


@given(shares=SHARES, user=USERS, ramp=RAMPS)
def test_the_same_user_meets_the_same_variant_again(shares, user, ramp):
    assert everybody(shares, ramp=ramp).assign(user) == everybody(shares, ramp=ramp).assign(user)


# ---------------------------------------------------------------- ramping up


@given(shares=SHARES, user=USERS, ramps=st.lists(RAMPS, min_size=2, max_size=6).map(sorted))
def test_ramping_up_moves_nobody_who_is_assigned(shares, user, ramps):
    seen = [everybody(shares, ramp=ramp).assign(user) for ramp in ramps]
    assert all(before is None or before == after for before, after in pairwise(seen))


def test_ramping_up_moves_nobody_of_many():
    for shares in (HALVES, UNEQUAL):
        few, more, all_of_them = (everybody(shares, ramp=ramp) for ramp in (0.1, 0.5, 1.0))
        for user in SOME[:10_000]:
            first, then, last = few.assign(user), more.assign(user), all_of_them.assign(user)
            assert first in (None, then)
            assert then in (None, last)
            assert last


# ---------------------------------------------------------------- apart and independent


@settings(max_examples=50)
@given(user=USERS, cut=st.integers(1, BUCKETS - 1))
def test_nobody_is_in_two_allocations_that_share_no_bucket(user, cut):
    one, other = everybody(salt="one", buckets=(0, cut)), everybody(salt="two", buckets=(cut, BUCKETS))
    assert (one.assign(user) is None) != (other.assign(user) is None)


def test_two_experiments_on_the_same_users_are_independent():
    one, other = met_by_many(UNEQUAL, "first salt"), met_by_many(HALVES, "second salt")
    assert independence(Counter(zip(one, other, strict=True))) > 0.001


def test_variants_are_independent_of_the_bucket_and_of_the_agent():
    whole, elsewhere = everybody(), everybody(agent=UUID(int=1), buckets=(0, 5_000))
    by_bucket = Counter((bucket(str(AGENT), user) // 2_500, whole.assign(user)) for user in SOME)
    assert independence(by_bucket) > 0.001
    pairs = ((bucket(str(AGENT), user) < 5_000, elsewhere.assign(user) is None) for user in SOME)
    assert independence(Counter(pairs)) > 0.001


def test_the_same_salt_would_tie_two_experiments_together():
    one, other = everybody(UNEQUAL, "one salt"), everybody(HALVES, "one salt")
    assert independence(Counter((one.assign(user), other.assign(user)) for user in MANY[:1_000])) < 1e-6


def independence(table: Counter) -> float:
    rows, columns = ({pair[axis] for pair in table} for axis in (0, 1))
    return chi2_contingency([[table[row, column] for column in columns] for row in rows]).pvalue
