"""The API's own description page; its assets come from this server, so it works without the internet."""

from __future__ import annotations

import importlib.resources

from fastapi import APIRouter, Response
from fastapi.responses import FileResponse, HTMLResponse

router = APIRouter(include_in_schema=False)

ASSETS = {"swagger-ui-bundle.js": "text/javascript", "swagger-ui.css": "text/css"}

PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Afterglow API</title>
<link rel="stylesheet" href="docs/swagger-ui.css">
</head>
<body>
<div id="page"></div>
<script src="docs/swagger-ui-bundle.js"></script>
<script src="docs/start.js"></script>
</body>
</html>
"""

START = """SwaggerUIBundle({url: "openapi.json", dom_id: "#page", deepLinking: true, tryItOutEnabled: true});
"""


@router.get("/docs")
def page() -> HTMLResponse:
    """Return the page."""
    return HTMLResponse(PAGE)


@router.get("/docs/start.js")
def start() -> Response:
    """Return the script that fills the page; it is a file because the policy allows no inline script."""
    return Response(START, media_type="text/javascript")


@router.get("/docs/{name}")
def asset(name: str) -> Response:
    """Return one of Swagger UI's own files."""
    if name not in ASSETS:
        return Response(status_code=404)
    path = importlib.resources.files("fastapi_swagger.resources") / name
    return FileResponse(str(path), media_type=ASSETS[name], headers={"Cache-Control": "max-age=86400"})
