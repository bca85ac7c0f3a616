"""The keys that this process's environment knows, and the one address each of them is for.

A key is an environment variable AFTERGLOW_MODEL_KEY_<NAME> that holds "<base URL> <secret>". It is stored
nowhere, and sent to no other address.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from urllib.parse import SplitResult, urlsplit

from learning_core.errors import InvalidInput, NotPermitted
from learning_core.settings import settings

VARIABLE = "AFTERGLOW_MODEL_KEY_"
OPENAI = "https://api.openai.com/v1"
"""What OPENAI_API_KEY, known as the key "openai", is for."""
PORTS = {"http": 80, "https": 443}


def key_names(environment: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Return the names of the keys there are, each with the address that it is for."""
    return {name: address for name, (address, _) in sorted(_keys(environment).items())}


def secret(key_name: str, base_url: str, environment: Mapping[str, str] = os.environ) -> str:
    """Return a key's secret for use at an address.

    Raises:
        NotPermitted: there is no key of that name, or it is for another address.
    """
    known = _keys(environment)
    if key_name.lower() not in known:
        names = ", ".join(sorted(known)) or "none yet"
        raise NotPermitted(
            f"There is no key {key_name!r}; there are: {names}. A key is an environment variable"
            f" {VARIABLE}<NAME> that holds its address and its secret."
        )
    address, value = known[key_name.lower()]
    if not _lies_under(base_url, address):
        raise NotPermitted(f"The key {key_name!r} is for {address} and is not sent to {base_url}.")
    return value


def require_address(base_url: str) -> None:
    """Refuse what is no address of a model, or one that the operator's setting model_hosts leaves out.

    Raises:
        InvalidInput: it is not http or https, has no host, or holds a user, password, query or fragment.
        NotPermitted: the operator allows other hosts only.
    """
    parts = _parts(base_url)
    if parts is None or parts.scheme not in PORTS or not parts.hostname:
        raise InvalidInput(
            "An address looks like http://127.0.0.1:11434/v1 or https://host/v1.", field="base_url"
        )
    if "@" in parts.netloc or parts.query or parts.fragment:
        raise InvalidInput(
            "An address holds no user, password, query or fragment; keys are named.", field="base_url"
        )
    allowed = [host.strip().lower() for host in settings().model_hosts.split(",") if host.strip()]
    if allowed and parts.hostname not in allowed:
        raise NotPermitted(f"The operator allows models on {', '.join(allowed)} only, not {parts.hostname}.")


def is_local(base_url: str) -> bool:
    """Return whether an address is on this very machine."""
    parts = _parts(base_url)
    return parts is not None and parts.hostname in ("localhost", "127.0.0.1", "::1")


def _keys(environment: Mapping[str, str]) -> dict[str, tuple[str, str]]:
    keys = {"openai": (OPENAI, value)} if (value := environment.get("OPENAI_API_KEY", "").strip()) else {}
    for variable, text in environment.items():
        address, _, value = text.strip().partition(" ")
        if variable.startswith(VARIABLE) and value.strip():
            keys[variable.removeprefix(VARIABLE).lower()] = (address.rstrip("/"), value.strip())
    return keys


def _lies_under(base_url: str, address: str) -> bool:
    """Return whether a URL has the scheme, host and port of another and a path below its path."""
    one, other = _parts(base_url), _parts(address)
    if one is None or other is None or _origin(one) != _origin(other) or _strays(one.path):
        return False
    return f"{one.path.rstrip('/')}/".startswith(f"{other.path.rstrip('/')}/")


def _strays(path: str) -> bool:
    """Return whether a server may read a path as another one than it looks like."""
    return any(sign in path for sign in ("..", "%", "\\", "//"))


def _origin(parts: SplitResult) -> tuple[str, str | None, int | None]:
    return parts.scheme, parts.hostname, parts.port or PORTS.get(parts.scheme)


def _parts(url: str) -> SplitResult | None:
    """Return the parts of a URL, None where it has none or characters that programs read differently."""
    if any(character <= " " or character == "\\" for character in url):
        return None
    try:
        parts = urlsplit(url)
        return parts if parts.port is None or parts.port else None
    except ValueError:
        return None
