"""Requests made up from the OpenAPI description, against a real server: it answers as described."""

from __future__ import annotations

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, settings
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from learning_core.api import api
from tests import factories

described = schemathesis.openapi.from_dict(api.openapi())
AS_DESCRIBED = [
    schemathesis.checks.not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]
few = settings(
    max_examples=20,
    deadline=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)


@pytest.fixture(scope="module")
def key(database) -> str:
    return factories.key(factories.organization(), "engineer")


@described.parametrize()
@few
def test_every_answer_to_a_caller_with_a_key_is_as_described(case, origin, key):
    answer = case.call(base_url=origin, headers={"Authorization": f"Bearer {key}"})
    case.validate_response(answer, checks=AS_DESCRIBED)


@described.exclude(path="/health").parametrize()
@few
def test_every_answer_to_a_caller_without_a_key_is_a_refusal_as_described(case, origin):
    case.headers.pop("Authorization", None)
    answer = case.call(base_url=origin)
    case.validate_response(answer, checks=AS_DESCRIBED)
    assert 400 <= answer.status_code < 500
