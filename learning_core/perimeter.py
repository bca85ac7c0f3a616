"""What stands between the network and the app: who may connect, under which name, and what browsers may do.

Pure ASGI, in front of pages and API alike; without sign-in configured nothing but this machine gets in.
"""

from __future__ import annotations

import base64
import hashlib
import importlib.util
import ipaddress
import json
import re
from functools import lru_cache
from pathlib import Path

from starlette.datastructures import Headers, MutableHeaders
from starlette.middleware import Middleware
from starlette.middleware.body_limit import RequestBodyLimitMiddleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from learning_core.settings import settings

FORWARDING = ("forwarded", "x-forwarded-for", "x-real-ip")


def middleware() -> list[Middleware]:
    """Return the perimeter, outermost first."""
    return [Middleware(SecurityHeaders), Middleware(AllowedHosts), Middleware(LoopbackOnly)]


def is_loopback(host: str) -> bool:
    """Return whether an address or host name means this machine.

    >>> is_loopback("127.0.0.1"), is_loopback("[::1]"), is_loopback("localhost"), is_loopback("0.0.0.0")
    (True, True, True, False)
    """
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


class LoopbackOnly:
    """Refuse every client that is not on this machine, and everything a proxy passed on."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on if it comes from this machine."""
        if scope["type"] in ("http", "websocket") and not self._is_local(scope):
            detail = "Sign-in is not configured, so Afterglow answers only on the machine it runs on."
            await refuse(scope, send, 403, "Not permitted", detail)
            return
        await self.app(scope, receive, send)

    @staticmethod
    def _is_local(scope: Scope) -> bool:
        client = scope.get("client")
        forwarded = any(name in Headers(scope=scope) for name in FORWARDING)
        return not forwarded and (client is None or is_loopback(client[0]))


class AllowedHosts:
    """Refuse requests under a host name that is not ours: pages of other sites that resolve to us."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app
        self.names = {name.strip() for name in settings().allowed_hosts.split(",")} | {settings().host}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on if it is addressed to us."""
        if scope["type"] in ("http", "websocket"):
            name = re.sub(r":\d+$", "", Headers(scope=scope).get("host", ""))
            if name not in self.names:
                detail = (
                    f"This server does not answer to the name {name[:100]!r}; see AFTERGLOW_ALLOWED_HOSTS."
                )
                await refuse(scope, send, 400, "Unknown host", detail)
                return
        await self.app(scope, receive, send)


class BodyLimit:
    """Refuse bodies over the limit with problem details; Starlette counts, but answers in plain text."""

    def __init__(self, app: ASGIApp) -> None:
        self.most = settings().max_body_bytes
        self.limited = RequestBodyLimitMiddleware(app, max_body_size=self.most)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, counting its body as it comes in."""
        refused = False

        async def send_as_problem(message: Message) -> None:
            nonlocal refused
            if message["type"] == "http.response.start" and message["status"] == 413:
                refused = True
                detail = f"A request may hold at most {self.most:,} bytes; send fewer rows at a time."
                await refuse(scope, send, 413, "Too large", detail)
            elif not refused:
                await send(message)

        await self.limited(scope, receive, send_as_problem)


class SecurityHeaders:
    """Tell browsers what our pages may do; the widget alone is meant for other sites."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Add the headers to every HTTP response."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers["X-Content-Type-Options"] = "nosniff"
                headers["Referrer-Policy"] = "same-origin"
                headers["Permissions-Policy"] = "camera=(), microphone=(), geolocation=()"
                headers.setdefault("Content-Security-Policy", content_security_policy())
            await send(message)

        await self.app(scope, receive, send_with_headers)


@lru_cache(maxsize=1)
def content_security_policy() -> str:
    """Return the policy for our pages: no inline script but Streamlit's own, known by its hash; nothing
    from other origins. `blob:` is how Streamlit loads component scripts.
    """
    scripts = " ".join(["'self'", "blob:", *_inline_script_hashes()])
    return (
        f"default-src 'self'; script-src {scripts}; style-src 'self' 'unsafe-inline'; "
        "img-src 'self' data: blob:; font-src 'self' data:; connect-src 'self'; worker-src 'self' blob:; "
        "object-src 'none'; base-uri 'self'; form-action 'self'; frame-ancestors 'self'"
    )


def _inline_script_hashes() -> list[str]:
    package = importlib.util.find_spec("streamlit")
    if package is None or package.origin is None:
        return []
    page = (Path(package.origin).parent / "static" / "index.html").read_text()
    scripts = re.findall(r"<script(?![^>]*\bsrc=)[^>]*>(.*?)</script>", page, re.DOTALL)
    digests = [hashlib.sha256(script.encode()).digest() for script in scripts]
    return [f"'sha256-{base64.b64encode(digest).decode()}'" for digest in digests]


async def refuse(scope: Scope, send: Send, status: int, title: str, detail: str) -> None:
    """Answer a request with problem details, or close a websocket."""
    if scope["type"] == "websocket":
        await send({"type": "websocket.close", "code": 1008, "reason": title})
        return
    body = json.dumps({"type": "about:blank", "title": title, "status": status, "detail": detail}).encode()
    headers = [(b"content-type", b"application/problem+json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
