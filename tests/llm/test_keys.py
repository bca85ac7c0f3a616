from __future__ import annotations

import pytest

from learning_core.errors import InvalidInput, NotPermitted
from learning_core.llm.keys import is_local, key_names, require_address, secret

ENVIRONMENT = {
    "AFTERGLOW_MODEL_KEY_ACME": "https://models.acme.example/v1/ top-secret",
    "AFTERGLOW_MODEL_KEY_EMPTY": "https://models.acme.example/v1",
    "AFTERGLOW_MODEL_KEY": "acme",
    "OPENAI_API_KEY": "sk-secret",
    "HOME": "/root",
}


def test_keys_are_named_with_the_address_they_are_for():
    assert key_names(ENVIRONMENT) == {
        "acme": "https://models.acme.example/v1",
        "openai": "https://api.openai.com/v1",
    }


def test_an_own_variable_for_openai_wins():
    own = {"AFTERGLOW_MODEL_KEY_OPENAI": "https://eu.api.openai.com/v1 sk-eu"}
    assert key_names(ENVIRONMENT | own)["openai"] == "https://eu.api.openai.com/v1"


@pytest.mark.parametrize(
    "address",
    [
        "https://models.acme.example/v1",
        "https://MODELS.acme.example/v1/",
        "https://models.acme.example:443/v1",
        "https://models.acme.example/v1/eu",
    ],
)
def test_a_key_is_sent_to_its_own_address(address):
    assert secret("ACME", address, ENVIRONMENT) == "top-secret"


@pytest.mark.parametrize(
    "address",
    [
        "http://models.acme.example/v1",
        "https://models.acme.example:8443/v1",
        "https://models.acme.example.evil.example/v1",
        "https://evil.example/v1",
        "https://evil.example/?https://models.acme.example/v1",
        "https://models.acme.example@evil.example/v1",
        "https://models.acme.example/v10",
        "https://models.acme.example/v2",
        "https://models.acme.example",
        "https://models.acme.example/v1/../v2",
        "https://models.acme.example/v1/%2e%2e/v2",
        "https://models.acme.example\\@evil.example/v1",
        "https://models.acme.example/v1\n",
        "not an address",
        "",
    ],
)
def test_a_key_is_sent_nowhere_else(address):
    with pytest.raises(NotPermitted, match=r"is for https://models\.acme\.example/v1") as refused:
        secret("acme", address, ENVIRONMENT)
    assert "top-secret" not in str(refused.value)


@pytest.mark.parametrize("name", ["empty", "other", ""])
def test_an_unknown_key_is_named(name):
    with pytest.raises(NotPermitted, match="acme, openai"):
        secret(name, "https://models.acme.example/v1", ENVIRONMENT)


@pytest.mark.parametrize(
    "address",
    [
        "",
        "models.acme.example",
        "ftp://host/v1",
        "file:///etc/passwd",
        "http://",
        "http://user:password@host/v1",
        "http://host/v1?key=1",
        "http://host/v1#part",
        "http://host:99999/v1",
        "http://ho st/v1",
        "http://[::1/v1",
    ],
)
def test_what_is_no_address_is_refused(address):
    with pytest.raises(InvalidInput):
        require_address(address)


@pytest.mark.parametrize("address", ["http://127.0.0.1:11434/v1", "https://host/v1", "http://[::1]:8080/v1"])
def test_an_address_is_accepted(address):
    require_address(address)


def test_an_operator_may_narrow_down_the_hosts(configure):
    configure(AFTERGLOW_MODEL_HOSTS="models.acme.example, Localhost")
    require_address("https://models.acme.example/v1")
    require_address("http://localhost:1/v1")
    with pytest.raises(NotPermitted, match=r"models\.acme\.example, localhost only"):
        require_address("http://169.254.169.254/v1")


def test_this_machine_is_local():
    assert is_local("http://127.0.0.1:1/v1")
    assert is_local("http://localhost/v1")
    assert not is_local("http://127.0.0.1.evil.example/v1")
