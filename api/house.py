"""What every route may use: made once by ``server.py``, found at ``app.state.house``."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, cast

from fastapi import Depends, Request
from sqlalchemy import Engine
from starlette.convertors import StringConvertor, register_url_convertor
from temporalio.client import Client


class _OursConvertor(StringConvertor):
    """``{order_id:ours}`` in a path: an id we made; anything else is no such thing."""

    regex = "[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"


register_url_convertor("ours", _OursConvertor())


@dataclass(frozen=True, slots=True, kw_only=True)
class House:
    """The collaborators of the API; ``billing_references`` answers the open purchases of a product (B40)."""

    engine: Engine
    temporal: Client
    task_queue: str
    temporal_ui_url: str
    billing_references: Callable[[str], Sequence[str]]

    def run_url(self, workflow_id: str, run_id: str | None) -> str:
        """Where a person looks at a run."""
        run = f"/{run_id}/user-metadata" if run_id else ""
        return f"{self.temporal_ui_url}/namespaces/{self.temporal.namespace}/workflows/{workflow_id}{run}"


async def _house(request: Request) -> House:
    return cast("House", request.app.state.house)


TheHouse = Annotated[House, Depends(_house)]
"""A route's parameter: the house it stands in."""
