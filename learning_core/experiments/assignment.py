"""Which variant a user meets: a hash, so that the same user meets the same one, and nothing has to be stored.

An agent's users fall into 10,000 buckets, of which each allocation reserves a range: that keeps allocations
apart. Within its range, an allocation's salt gives each user a place between 0 and 1, independent of the
bucket and of every other salt. Each variant owns a stretch of these places, as long as its share. The ramp
opens the stretches little by little, those of treatments from their beginning and that of the last variant,
the control, from its end: a stretch that is open stays open, so ramping up moves nobody from one variant to
another, and at each ramp the variants are to each other as their shares.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b
from itertools import accumulate
from typing import NamedTuple
from uuid import UUID

BUCKETS = 10_000


class Stretch(NamedTuple):
    """The places from begin up to end (0-1) that belong to a variant."""

    variant: str
    begin: float
    end: float


@dataclass(frozen=True)
class Slots:
    """What an allocation needs to know to assign a user.

    Attributes:
        namespace: Whose buckets they are: the agent's id.
        first_bucket: The first bucket reserved, of 10,000.
        end_bucket: The first one after it that is not.
        ramp: The part (0-1] of each stretch that is open.
        stretches: One per variant, from 0 to 1 without gaps; the last one opens from its end.
    """

    namespace: str
    salt: str
    first_bucket: int
    end_bucket: int
    ramp: float
    stretches: tuple[Stretch, ...]

    def assign(self, user_id: str) -> str | None:
        """Return the variant that a user meets, None for users outside."""
        if not self.first_bucket <= bucket(self.namespace, user_id) < self.end_bucket:
            return None
        at = place(self.salt, user_id)
        met = next(stretch for stretch in self.stretches if at < stretch.end)
        within = (at - met.begin) / (met.end - met.begin)
        from_its_opening_end = 1 - within if met is self.stretches[-1] else within
        return met.variant if from_its_opening_end < self.ramp or self.ramp >= 1 else None


def slots(
    agent_id: UUID,
    salt: str,
    buckets: tuple[int, int],
    ramp: float,
    shares: Sequence[tuple[str, float]],
) -> Slots:
    """Lay out the stretches of variants, given with their shares (which sum to 1) in order, control last."""
    ends = [*accumulate(share for _, share in shares)][:-1]
    begins_and_ends = zip([0.0, *ends], [*ends, 1.0], strict=True)
    stretches = [
        Stretch(variant, begin, end)
        for (variant, _), (begin, end) in zip(shares, begins_and_ends, strict=True)
    ]
    return Slots(str(agent_id), salt, *buckets, ramp, tuple(stretches))


def place(salt: str, user_id: str) -> float:
    """Return a user's place in [0, 1) under a salt: the first 53 bits of a BLAKE2b hash.

    >>> place("salt", "user") == place("salt", "user") != place("salt", "somebody else")
    True
    """
    told = f"{salt}:{user_id}".encode("utf-8", "surrogatepass")
    return int.from_bytes(blake2b(told, digest_size=8).digest()) // 2**11 / 2**53


def bucket(namespace: str, user_id: str) -> int:
    """Return which of the 10,000 buckets a user falls into."""
    return int(place(f"bucket of {namespace}", user_id) * BUCKETS)
