# ruff: noqa: FAST003 - the dependency that all of them have takes it
"""Changes of an installed asset: each becomes an order, and is taken as one (A07, A19, A20)."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Depends, Path, Request, Response

from api import answers, errors
from api.body import StrictRoute
from api.errors import Problem, broken_rules, not_found
from api.house import House, TheHouse
from api.idempotency import GivenKey, key_for
from api.orders import order_of
from api.schemas import examples
from api.schemas.changes import ChangeIn, ModifyIn, MoveIn, ReplaceIn, changed, modified, moved, replaced
from api.schemas.orders import OrderAnswer, OrderIn
from api.schemas.shape import Uuid
from api.taking import Wish, keep, take
from domain.allowed import is_conflict
from domain.asset import Asset
from domain.order import Action
from domain.violation import Violation
from models import assets

router = APIRouter(prefix="/v1/assets", tags=["assets"], route_class=StrictRoute)


@dataclass(frozen=True, slots=True)
class _Request:
    """A request to change an asset."""

    house: House
    request: Request
    asset_id: str
    key: str | None

    def taken(self, change: str, body: ChangeIn, document: Callable[[Asset], OrderIn]) -> Response:
        """The answer to the order that the change is."""
        asset = assets.one(self.house.engine, self.asset_id)
        if asset is None:
            raise not_found("asset")
        key = key_for(f"POST /v1/assets/{self.asset_id}/{change}", self.key, body)
        wish = Wish(order=order_of(document(asset)), key=key, refuse=_refused)
        return take(self.house, self.request, wish) if body.submit else keep(self.house, wish)


async def _request(
    asset_id: Annotated[Uuid, Path(description="The asset's id.")],
    house: TheHouse,
    request: Request,
    idempotency_key: GivenKey,
) -> _Request:
    return _Request(house, request, asset_id, idempotency_key)


_Asked = Annotated[_Request, Depends(_request)]
_AT_ONCE = ChangeIn()

_ANSWERS = {
    202: {"model": OrderAnswer, **answers.documented("The order; its run starts at once.", examples.CHANGE,
                                                     Location="Where the order is read.")},
    201: {"model": OrderAnswer, **answers.documented("Left as a draft.", examples.DRAFT,
                                                     Location="Where the draft is read.")},
    **errors.documented(*errors.BODY_ERRORS, 404, 409),
}  # fmt: skip


@router.post("/{asset_id:ours}/modify", status_code=202, summary="Modify an asset", responses=_ANSWERS)
def modify(asked: _Asked, body: ModifyIn) -> Response:
    """Give an active asset other values, or a service other components: an order with an `update` line (A19, C23).

    Refused with a 409 where the asset does not allow it when the change is due, with a 422 where it breaks other rules:
    all violations at once.
    """
    return asked.taken("modify", body, lambda x: modified(body, x))


@router.post("/{asset_id:ours}/suspend", status_code=202, summary="Suspend an asset", responses=_ANSWERS)
def suspend(asked: _Asked, body: ChangeIn = _AT_ONCE) -> Response:
    """Suspend an active service with all that it consists of (A19); 409 where its state does not allow it."""
    return asked.taken("suspend", body, lambda x: changed(body, x, Action.SUSPEND))


@router.post("/{asset_id:ours}/resume", status_code=202, summary="Resume an asset", responses=_ANSWERS)
def resume(asked: _Asked, body: ChangeIn = _AT_ONCE) -> Response:
    """Resume a suspended service with all that it consists of (A19); 409 where its state does not allow it."""
    return asked.taken("resume", body, lambda x: changed(body, x, Action.RESUME))


@router.post("/{asset_id:ours}/disconnect", status_code=202, summary="Disconnect an asset", responses=_ANSWERS)
def disconnect(asked: _Asked, body: ChangeIn = _AT_ONCE) -> Response:
    """Disconnect an asset with all that it consists of: a `delete` line (A20); 409 where that was asked for already."""
    return asked.taken("disconnect", body, lambda x: changed(body, x, Action.DELETE))


@router.post("/{asset_id:ours}/move", status_code=202, summary="Move an asset", responses=_ANSWERS)
def move(asked: _Asked, body: MoveIn) -> Response:
    """Move an active service to another place: an order with both halves, `move_add` and `move_delete` (B53).

    Its new assets take over what billing knows of the old ones.
    """
    return asked.taken("move", body, lambda x: moved(body, x))


@router.post("/{asset_id:ours}/replace", status_code=202, summary="Replace an asset", responses=_ANSWERS)
def replace(asked: _Asked, body: ReplaceIn) -> Response:
    """Put a new service in the place of an asset: an order that adds the one and then deletes the other (B69).

    The new one is a new service instance; another simple service bundle takes the place of one only so (B43).
    """
    return asked.taken("replace", body, lambda x: replaced(body, x))


def _refused(violations: Sequence[Violation]) -> Problem:
    """A 409 where what is there contradicts it."""
    if any(is_conflict(x) for x in violations):
        return Problem(409, "Not allowed now", "The asset, or what is open on it, does not allow it.", violations)
    return broken_rules(violations)
