"""The same change of many assets: one request, an order for each, and how far that is."""

import asyncio
from typing import Annotated
from uuid import uuid4

import structlog
from fastapi import APIRouter, Path, Query, Response
from sqlalchemy.exc import DataError, SQLAlchemyError

from api import answers, errors
from api.answers import ThePage, answer, listed
from api.body import StrictRoute
from api.errors import Problem, broken_rules, not_found
from api.house import House, TheHouse
from api.idempotency import GivenKey, key_for, replay
from api.orders import order_of
from api.schemas import examples
from api.schemas.bulk_changes import (
    AT_MOST,
    BulkChangeAnswer,
    BulkChangeIn,
    BulkItemList,
    ItemState,
    bulk_body,
    item_body,
    order_for,
)
from api.schemas.shape import Uuid
from api.starter import Starter
from api.taking import Wish, must_offer_changes, place
from domain.allowed import Change
from domain.order import FINAL
from domain.violation import Violation
from models import assets, bulk_changes, submissions
from models.bulk_changes import Item, NoneOrTooMany, Outcome
from models.submissions import Key

router = APIRouter(prefix="/v1/assets/changes", tags=["assets"], route_class=StrictRoute)
BulkId = Annotated[Uuid, Path(description="The bulk change's id.")]

AT_ONCE = 2
"""How many of a process's threads make orders of them: whoever asks something else meanwhile is answered."""
BATCH = 10
PAUSE_S = 0.5

log = structlog.get_logger()


@router.post(
    "",
    status_code=202,
    summary="Change many assets",
    responses={
        202: {"model": BulkChangeAnswer, **answers.documented("Stored; each asset is asked in turn.",
                                                              examples.BULK_CHANGE,
                                                              Location="Where its progress is read.")},
        **errors.documented(*errors.BODY_ERRORS, 409),
    },
)  # fmt: skip
def change_many(body: BulkChangeIn, house: TheHouse, idempotency_key: GivenKey) -> Response:
    """Ask the same change of up to 10,000 assets, named or selected: an order for each, about 50 of them under way.

    Answered as soon as it is stored. Each asset is judged by itself: one that does not allow it is refused, the others
    are changed, and no order waits for another's fallout, nor for one that waits for its day.
    """
    must_offer_changes(house)
    if wrong := [*body.wrong()]:
        raise broken_rules(wrong)
    key = key_for("POST /v1/assets/changes", idempotency_key, body)
    if again := _given_before(house, key):
        return again
    bulk = str(uuid4())
    location = f"/v1/assets/changes/{bulk}"
    try:
        clash = bulk_changes.submit(
            house.engine,
            bulk,
            body.selected(),
            change=body.change,
            document=body.document(),
            at_most=AT_MOST,
            key=key,
            location=location,
        )
    except NoneOrTooMany as selected:
        raise broken_rules([_wrong(selected.found)]) from None
    if clash is None:
        return _read(house, bulk, 202, Location=location)
    if again := _given_before(house, key):
        return again
    raise Problem(409, "In progress", "A request with this key is being answered right now.")


@router.get(
    "/{bulk_id:ours}",
    summary="Read how far a change of many assets is",
    responses={
        200: {"model": BulkChangeAnswer, **answers.documented("How far it is.", examples.BULK_CHANGE)},
        **errors.documented(404, 422),
    },
)
def bulk_change(bulk_id: BulkId, house: TheHouse) -> Response:
    """How many assets wait to be asked, were refused, and in which states the orders of the others are."""
    return _read(house, bulk_id)


@router.get(
    "/{bulk_id:ours}/items",
    summary="List the assets of a change of many",
    responses={
        200: {"model": BulkItemList, **answers.documented("One page.", examples.BULK_ITEMS,
                                                          X_Total_Count="How many there are in all.")},
        **errors.documented(404, 422),
    },
)  # fmt: skip
def bulk_items(
    bulk_id: BulkId,
    house: TheHouse,
    page: ThePage,
    state: Annotated[ItemState | None, Query(description="Only those whose order is in this state.")] = None,
) -> Response:
    """Each asset with its order and the order's state, or with why it was refused."""
    if bulk_changes.read(house.engine, bulk_id) is None:
        raise not_found("bulk change")
    found = bulk_changes.items(house.engine, bulk_id, page, state=state)
    return listed(found, item_body, at="submitted_at")


def _read(house: House, bulk: str, status: int = 200, **headers: str) -> Response:
    found = bulk_changes.read(house.engine, bulk)
    if found is None:
        raise not_found("bulk change")
    ended = not found["waiting"] and not {*(found["orders"] or {})} - FINAL
    return answer(bulk_body(found, ended=ended), status, **headers)


def _given_before(house: House, key: Key | None) -> Response | None:
    """The change that an earlier request under the key asked for, as far as it is now."""
    remembered = submissions.remembered(house.engine, key) if key else None
    if key is None or remembered is None:
        return None
    earlier = replay(key, remembered) or {}
    return _read(house, str(earlier["id"]), 202, Location=remembered.location)


def _wrong(found: int) -> Violation:
    if not found:
        return Violation(code="STRUCTURE", rule="A19", field="assets", message="There are no such assets.")
    message = f"One request changes at most {AT_MOST:,} assets: select fewer."
    return Violation(code="SIZE", rule="W1", field="assets", message=message)


class BulkChanger:
    """Makes orders of the assets that wait to be changed, in the background of the API process."""

    def __init__(self, house: House, starter: Starter) -> None:
        self._house = house
        self._starter = starter

    async def run(self) -> None:
        """Ask whatever waits, until cancelled; several processes share the work.

        When only few may be asked, since the others are under way, it is too early: to find that out costs the same.
        """
        while True:
            asked = await self._carry()
            while asked >= BATCH:
                asked = sum(await asyncio.gather(*(self._carry() for _ in range(AT_ONCE))))
            await asyncio.sleep(PAUSE_S)

    async def _carry(self) -> int:
        try:
            return await asyncio.to_thread(
                bulk_changes.carry,
                self._house.engine,
                self._ask,
                limit=BATCH,
                under_way=self._house.bulk_change_orders,
            )
        except SQLAlchemyError as error:
            log.warning("the database did not answer the bulk changes", error=repr(error))
        except Exception:  # it is tried again
            log.exception("a bulk change failed")
        return 0

    def _ask(self, item: Item) -> Outcome:
        """Take the order that the change of one asset is; under its key it is taken once."""
        asset = assets.one(self._house.engine, item.asset)
        if asset is None:
            return Outcome(refusal="There is no such asset.")
        key = Key(route=f"bulk change {item.bulk}", key=item.asset, fingerprint="")
        try:
            order = order_of(order_for(Change(item.change), item.document, asset))
            return Outcome(order=place(self._house, self._starter, Wish(order=order, key=key)).id)
        except Problem as refusal:
            said = [x.message for x in refusal.violations] or [refusal.explanation or refusal.title]
            return Outcome(refusal=" ".join(dict.fromkeys(said)))
        except Exception as error:  # what no repetition mends holds no other asset up, of this change or of another
            if isinstance(error, SQLAlchemyError) and not isinstance(error, DataError):
                raise
            log.exception("an asset of a bulk change could not be asked", bulk_change=item.bulk, asset=item.asset)
            return Outcome(refusal="The fault is ours; it has been logged.")
