"""The models an organisation has configured, and what it uses each of them for.

An administrator may name any address, also one inside the network; the setting `model_hosts` narrows that
down. Keys are known by name only; what they are stands in the environment (`keys`).
"""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from decimal import Decimal
from http.client import HTTPConnection, HTTPException
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import Row, text
from sqlalchemy.orm import Session

from learning_core import access
from learning_core.access import Caller
from learning_core.errors import InvalidInput, NotFound
from learning_core.llm import keys
from learning_core.llm.exchange import Exchange
from learning_core.llm.keys import key_names as key_names
from learning_core.llm.keys import secret as secret
from learning_core.llm.requests import Answer, Model, Request, storable
from learning_core.schema import ModelRole
from learning_core.settings import settings


class Saved(NamedTuple):
    """A model as the organisation saved it."""

    id: UUID
    model: Model
    created_by: str
    created_at: datetime


def models(session: Session) -> list[Saved]:
    """Return the models that are not retired, by name."""
    rows = session.execute(MODELS).all()
    return [Saved(row.id, _model(row), row.created_by, row.created_at) for row in rows]


MODELS = text("""
    SELECT id, name, provider, base_url, model, key_name, input_usd_per_million, output_usd_per_million,
           max_concurrency, timeout_s, structured_output, created_by, created_at
    FROM language_models WHERE retired_at IS NULL ORDER BY name
""")


def save_model(session: Session, caller: Caller, **fields: Any) -> UUID:
    """Add a model, or change the one of that name; return its id. Runs keep the model they were started with.

    The fields are those of `Model`. A local model without prices costs nothing; any other's price is
    then unknown.

    Raises:
        NotPermitted: the caller's role may not administer, the operator does not allow that host, or the key
            is unknown or for another address.
        InvalidInput: a field is out of its bounds.
    """
    access.require(caller, "administer")
    model = _tidy(Model(**fields))
    _require_sane(model)
    saved: UUID = session.execute(SAVE, model.told() | {"by": caller.name}).scalar_one()
    access.audit(session, caller, "model.saved", model.name, **model.told())
    return saved


SAVE = text("""
    INSERT INTO language_models (
        name, provider, base_url, model, key_name, input_usd_per_million, output_usd_per_million,
        max_concurrency, timeout_s, structured_output, created_by
    )
    VALUES (
        :name, :provider, :base_url, :model, :key_name, CAST(:input_usd_per_million AS numeric),
        CAST(:output_usd_per_million AS numeric), :max_concurrency, :timeout_s, :structured_output, :by
    )
    ON CONFLICT (organization_id, name) WHERE retired_at IS NULL DO UPDATE
    SET provider = excluded.provider, base_url = excluded.base_url, model = excluded.model,
        key_name = excluded.key_name, input_usd_per_million = excluded.input_usd_per_million,
        output_usd_per_million = excluded.output_usd_per_million, max_concurrency = excluded.max_concurrency,
        timeout_s = excluded.timeout_s, structured_output = excluded.structured_output
    RETURNING id
""")


def _tidy(model: Model) -> Model:
    told: dict[str, Any] = {
        name: storable(value).strip() if isinstance(value, str) else value
        for name, value in vars(model).items()
    }
    told |= {"base_url": told["base_url"].rstrip("/"), "key_name": told["key_name"] or None}
    if keys.is_local(told["base_url"]):
        told |= {price: told[price] or Decimal(0) for price in PRICES}
    return Model(**told)


def _require_sane(model: Model) -> None:
    for field, words, longest in (
        ("name", "A name", 80),
        ("model", "A model", 200),
        ("provider", "A provider", 80),
    ):
        if not 1 <= len(getattr(model, field)) <= longest:
            raise InvalidInput(f"{words} has 1 to {longest} characters.", field=field)
    for field in PRICES:
        price = getattr(model, field)
        if price is not None and not (price.is_finite() and 0 <= price < HIGHEST_PRICE):
            raise InvalidInput(f"A price lies between 0 and {HIGHEST_PRICE:,} US dollars.", field=field)
    for field, words, highest in (("max_concurrency", "calls", 512), ("timeout_s", "seconds", 3600)):
        if not 1 <= getattr(model, field) <= highest:
            raise InvalidInput(f"It takes 1 to {highest:,} {words}.", field=field)
    keys.require_address(model.base_url)
    if model.key_name:
        keys.secret(model.key_name, model.base_url)


PRICES = ("input_usd_per_million", "output_usd_per_million")
HIGHEST_PRICE = 100_000


def retire_model(session: Session, caller: Caller, model_id: UUID) -> None:
    """Take a model out of use, for whatever it was used; calls and runs still name it.

    Raises:
        NotPermitted: the caller's role may not administer.
        NotFound: there is none of that id.
    """
    access.require(caller, "administer")
    name = session.execute(RETIRE, {"model": model_id}).scalar()
    if name is None:
        raise NotFound("There is no such model.")
    access.audit(session, caller, "model.retired", name)


RETIRE = text("""
    WITH unassigned AS (DELETE FROM model_assignments WHERE model_id = :model)
    UPDATE language_models SET retired_at = now() WHERE id = :model AND retired_at IS NULL RETURNING name
""")

# ---------------------------------------------------------------- what each is used for

SUBSTITUTES: dict[ModelRole, tuple[ModelRole, ...]] = {
    ModelRole.TASK: (),
    ModelRole.PROPOSER: (ModelRole.TASK,),
    ModelRole.JUDGE: (ModelRole.PROPOSER, ModelRole.TASK),
}
"""Which roles' models serve a role that has none of its own. Nothing stands in for an embedding model."""


def assign(session: Session, caller: Caller, role: ModelRole, model_id: UUID | None) -> None:
    """Use a model for a role, or none of its own.

    Raises:
        NotPermitted: the caller's role may not administer.
        NotFound: there is no such model.
    """
    access.require(caller, "administer")
    session.execute(UNASSIGN, {"role": role})
    name = session.execute(ASSIGN, {"role": role, "model": model_id}).scalar() if model_id else None
    if model_id and name is None:
        raise NotFound("There is no such model.")
    access.audit(session, caller, "model.assigned", role, model=name)


UNASSIGN = text("DELETE FROM model_assignments WHERE role = :role")
ASSIGN = text("""
    WITH model AS (SELECT id, name FROM language_models WHERE id = :model AND retired_at IS NULL),
    assigned AS (INSERT INTO model_assignments (role, model_id) SELECT :role, id FROM model)
    SELECT name FROM model
""")


class Source(NamedTuple):
    """The model of a role, and through which role's assignment; None: the operator's settings."""

    model: Model
    through: ModelRole | None


def assigned(session: Session) -> dict[ModelRole, Model]:
    """Return the model for each role that has one."""
    return {role: source.model for role, source in sources(session).items()}


def sources(session: Session) -> dict[ModelRole, Source]:
    """Return the model for each role that has one, and why it is this one."""
    own = {ModelRole(row.role): _model(row) for row in session.execute(ASSIGNED)}
    settled = model_of_settings()
    found = {}
    for role in ModelRole:
        through = next((other for other in (role, *SUBSTITUTES.get(role, ())) if other in own), None)
        if through:
            found[role] = Source(own[through], through)
        elif settled and role in SUBSTITUTES:
            found[role] = Source(settled, None)
    return found


ASSIGNED = text("""
    SELECT role, name, provider, base_url, model, key_name, input_usd_per_million, output_usd_per_million,
           max_concurrency, timeout_s, structured_output
    FROM model_assignments JOIN language_models ON language_models.id = model_id
    WHERE retired_at IS NULL
""")


def model_of_settings() -> Model | None:
    """Return the model that the operator's settings name, None where they name none."""
    url, name, key = settings().model_url, settings().model_name, settings().model_key
    if not (url and name):
        return None
    return _tidy(Model(name, "settings", url, name, key or None))


def _model(row: Row[Any]) -> Model:
    return Model(
        name=row.name,
        provider=row.provider,
        base_url=row.base_url,
        model=row.model,
        key_name=row.key_name,
        input_usd_per_million=row.input_usd_per_million,
        output_usd_per_million=row.output_usd_per_million,
        max_concurrency=row.max_concurrency,
        timeout_s=row.timeout_s,
        structured_output=row.structured_output,
    )


# ---------------------------------------------------------------- is there anybody


def try_model(caller: Caller, model: Model, role: ModelRole = ModelRole.TASK) -> Answer:
    """Ask a model to say ok, once, and return what it said; the call is stored like any other.

    Raises:
        NotPermitted: the caller's role may not administer.
    """
    access.require(caller, "administer")
    question = Request(role, model, (("user", "Say ok."),), max_tokens=256)
    with Exchange(caller.organization_id, reuse=False, attempts=1) as exchange:
        return exchange.ask([question])[0]


class Found(NamedTuple):
    """A server of models on this machine, and what it serves."""

    provider: str
    base_url: str
    models: tuple[str, ...]


DEFAULT_PORTS = {"Ollama": 11434, "llama.cpp": 8080, "LM Studio": 1234, "vLLM": 8000}
LOOK_S = 0.3
MOST_MODELS = 200


def discover(ports: dict[str, int] = DEFAULT_PORTS) -> list[Found]:
    """Look for servers of models on this machine, each at its default port, all at the same time."""
    with ThreadPoolExecutor(len(ports)) as pool:
        return [
            Found(provider, f"http://127.0.0.1:{port}/v1", names)
            for (provider, port), names in zip(
                ports.items(), pool.map(_names_at, ports.values()), strict=True
            )
            if names
        ]


def _names_at(port: int) -> tuple[str, ...]:
    """Return the models that a port of this machine lists, none where it does not; follow no redirect."""
    connection = HTTPConnection("127.0.0.1", port, timeout=LOOK_S)
    try:
        connection.request("GET", "/v1/models")
        listed = json.loads(connection.getresponse().read(LONGEST_LIST))["data"][:MOST_MODELS]
        return tuple(storable(entry["id"])[:200] for entry in listed)
    except (OSError, HTTPException, ValueError, LookupError, TypeError):
        return ()
    finally:
        connection.close()


LONGEST_LIST = 1_000_000
