"""What every route may use: made once by ``server.py``, found at ``app.state.house``."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, cast

from fastapi import Depends, Request
from sqlalchemy import Engine
from starlette.convertors import StringConvertor, register_url_convertor
from temporalio.client import Client

from domain.fallout import DueTimes


class _OursConvertor(StringConvertor):
    """``{order_id:ours}`` in a path: an id we made; anything else is no such thing."""

    regex = "[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"


class _FalloutConvertor(StringConvertor):
    """``{fallout_id:fallout}`` in a path: an order's number and a count, or a detector's finding."""

    regex = "(?:[0-9]+|F)-[0-9]+"


register_url_convertor("ours", _OursConvertor())
register_url_convertor("fallout", _FalloutConvertor())


@dataclass(frozen=True, slots=True, kw_only=True)
class House:
    """The collaborators of the API.

    ``billing_references`` answers the open purchases of a product (B40); ``due_times`` when a fallout is due.
    Without ``asset_based_ordering`` what is installed is neither shown for ordering nor changed (A05).
    ``bulk_change_orders`` of one bulk change are under way at once.
    """

    engine: Engine
    temporal: Client
    task_queue: str
    temporal_ui_url: str
    billing_references: Callable[[str], Sequence[str]]
    due_times: DueTimes
    asset_based_ordering: bool = True
    bulk_change_orders: int = 50

    def run_url(self, workflow_id: str, run_id: str | None) -> str:
        """Where a person looks at a run."""
        run = f"/{run_id}/user-metadata" if run_id else ""
        return f"{self.temporal_ui_url}/namespaces/{self.temporal.namespace}/workflows/{workflow_id}{run}"


async def _house(request: Request) -> House:
    return cast("House", request.app.state.house)


TheHouse = Annotated[House, Depends(_house)]
"""A route's parameter: the house it stands in."""
