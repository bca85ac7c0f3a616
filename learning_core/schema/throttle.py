"""The table of rate limits, which belongs to no organisation."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import (
    BigInteger,
)
from sqlalchemy.orm import Mapped, mapped_column

from learning_core.schema.foundation import (
    Base,
)


class RateLimit(Base):
    """Hits of one rate limit in its current window. Unlogged: after a crash, limits start afresh."""

    __tablename__ = "rate_limits"

    key: Mapped[str] = mapped_column(primary_key=True)
    hits: Mapped[int] = mapped_column(BigInteger)
    expires_at: Mapped[datetime]

    __table_args__ = ({"prefixes": ["UNLOGGED"]},)
