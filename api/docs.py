"""``/docs``: every operation on one page that needs nothing from another host."""

from collections.abc import Iterator
from functools import partial
from html import escape as escape_all
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse

router = APIRouter(include_in_schema=False)
escape = partial(escape_all, quote=False)

_PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>Orderloom API</title>
<style>
:root {{ color-scheme: light dark; font: 1rem/1.5 system-ui, sans-serif; }}
body {{ max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }}
summary {{ cursor: pointer; }} code {{ font-size: 0.95rem; }} dd {{ margin: 0 0 0.5rem 1.5rem; }}
</style>
<h1>Orderloom API</h1>
<p>Shapes and examples are in <a href="/openapi.json">/openapi.json</a>.</p>
{operations}
</html>
"""


@router.get("/docs")
async def docs(request: Request) -> HTMLResponse:
    """The operations, drawn from the OpenAPI document."""
    page = _PAGE.format(operations="\n".join(_operations(request.app.openapi())))
    policy = "default-src 'none'; style-src 'unsafe-inline'"
    return HTMLResponse(page, headers={"Content-Security-Policy": policy})


def _operations(document: dict[str, Any]) -> Iterator[str]:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            answers = "".join(
                f"<dt>{status}</dt><dd>{escape(said['description'])}</dd>"
                for status, said in operation["responses"].items()
            )
            title = f"<code>{method.upper()} {escape(path)}</code> {escape(operation['summary'])}"
            yield (
                f"<details><summary>{title}</summary>"
                f"<p>{escape(operation.get('description', ''))}</p><dl>{answers}</dl></details>"
            )
