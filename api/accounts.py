"""Accounts and their billing profiles, and the views of what a customer has."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Response

from api import answers, errors
from api.answers import ThePage, answer, listed
from api.body import StrictRoute
from api.errors import Problem, broken_rules, not_found
from api.house import House, TheHouse
from api.idempotency import GivenKey, key_for, replay
from api.order_view import summary_body
from api.schemas import examples
from api.schemas.accounts import (
    AccountAnswer,
    AccountIn,
    AssetList,
    PortalAnswer,
    ProfileAnswer,
    ProfileIn,
)
from api.schemas.fallouts import fallout_body
from api.schemas.shape import MAX_PAGE, Id
from api.standing import standing, standing_body
from domain.violation import Violation
from models import submissions, views
from models.submissions import Clash, Key
from models.views import Found, Listed, Page, Selection

router = APIRouter(prefix="/v1/accounts", tags=["accounts"], route_class=StrictRoute)
AccountId = Annotated[Id, Path(description="The account's id.")]
NEWEST = Page(limit=MAX_PAGE)


@router.post(
    "",
    status_code=201,
    summary="Open an account",
    responses={
        201: {"model": AccountAnswer, **answers.documented("Opened.", examples.ACCOUNT, Location="Where it is read.")},
        **errors.documented(*errors.BODY_ERRORS, 409),
    },
)
def open_account(body: AccountIn, house: TheHouse, idempotency_key: GivenKey) -> Response:
    """Open a customer, billing or service account; its parent is an older account."""
    key = key_for("POST /v1/accounts", idempotency_key, body)
    opened: dict[str, Any] = {
        "id": body.id,
        "name": body.name,
        "class": body.class_,
        "parent": body.parent,
        "billing_profiles": [],
    }
    location = f"/v1/accounts/{body.id}"
    if again := _given_before(house, key):
        return again
    account = {"id": body.id, "name": body.name, "class": body.class_, "parent": body.parent}
    match submissions.open_account(house.engine, account, key=key, location=location, answer=opened):
        case None:
            return answer(opened, 201, Location=location)
        case Clash.PARENT:
            message = "There is no such account to be the parent."
            raise broken_rules([Violation(code="ACCT_UNKNOWN", rule="B23", field="parent", message=message)])
        case clash:
            return _given_meanwhile(house, key, clash, "account")


@router.get(
    "/{account_id}",
    summary="Read an account",
    responses={
        200: {"model": AccountAnswer, **answers.documented("The account.", examples.ACCOUNT)},
        **errors.documented(404, 422),
    },
)
def account(account_id: AccountId, house: TheHouse) -> Response:
    """The account and the billing profiles it owns."""
    return answer(dict(_account(house, account_id)))


@router.post(
    "/{account_id}/billing-profiles",
    status_code=201,
    summary="Add a billing profile",
    responses={
        201: {"model": ProfileAnswer, **answers.documented("Added.", examples.PROFILE, Location="Its owner.")},
        **errors.documented(*errors.BODY_ERRORS, 404, 409),
    },
)
def add_profile(account_id: AccountId, body: ProfileIn, house: TheHouse, idempotency_key: GivenKey) -> Response:
    """Add a billing profile; the account is its owner."""
    key = key_for(f"POST /v1/accounts/{account_id}/billing-profiles", idempotency_key, body)
    added = {"id": body.id, "account": account_id}
    location = f"/v1/accounts/{account_id}"
    if again := _given_before(house, key):
        return again
    match submissions.add_profile(house.engine, body.id, account=account_id, key=key, location=location, answer=added):
        case None:
            return answer(added, 201, Location=location)
        case Clash.OWNER:
            raise not_found("account")
        case clash:
            return _given_meanwhile(house, key, clash, "billing profile")


def _given_before(house: House, key: Key | None) -> Response | None:
    """The answer that an earlier request was given under the key."""
    remembered = submissions.remembered(house.engine, key) if key else None
    if key is None or remembered is None:
        return None
    body = replay(key, remembered) or {}
    names = ("id", "name", "class", "parent", "billing_profiles", "account")
    ordered = {name: body[name] for name in names if name in body}
    return answer(ordered, 201, Location=remembered.location)


def _given_meanwhile(house: House, key: Key | None, clash: Clash, noun: str) -> Response:
    """Whoever lost a race against the same key is given the winner's answer; else the id is taken."""
    if again := _given_before(house, key):
        return again
    if clash is Clash.KEY:
        raise Problem(409, "In progress", "A request with this key is being answered right now.")
    raise Problem(409, "Already there", f"There is a {noun} with this id.")


_ASSETS = {
    200: {"model": AssetList, **answers.documented("One page, newest first.", examples.ASSETS,
                                                   X_Total_Count="How many there are in all.")},
    **errors.documented(404, 422),
}  # fmt: skip


async def _offered(house: TheHouse) -> None:
    """Refuse the views from which assets are changed where asset-based ordering is off (A05)."""
    if not house.asset_based_ordering:
        raise Problem(404, "Asset-based ordering is off", "This house shows no service profiles.")


_VIEW = [Depends(_offered)]


@router.get("/{account_id}/service-profile", summary="Read the service profile", responses=_ASSETS, dependencies=_VIEW)
def service_profile(account_id: AccountId, house: TheHouse, page: ThePage) -> Response:
    """What the customer has: active and suspended assets of the account and of the accounts below it (A01, A14)."""
    _account(house, account_id)
    return _listed(house, views.profile(house.engine, account_id, page))


@router.get("/{account_id}/installed-assets", summary="List installed assets", responses=_ASSETS, dependencies=_VIEW)
def installed_assets(account_id: AccountId, house: TheHouse, page: ThePage) -> Response:
    """All assets of the service profile (A04, A06)."""
    _account(house, account_id)
    return _listed(house, views.profile(house.engine, account_id, page))


@router.get("/{account_id}/billing-items", summary="List billing items", responses=_ASSETS, dependencies=_VIEW)
def billing_items(account_id: AccountId, house: TheHouse, page: ThePage) -> Response:
    """The assets of the service profile that have a billing type: the same assets, seen from billing (A04, A06)."""
    _account(house, account_id)
    return _listed(house, views.billing_items(house.engine, account_id, page))


def _listed(house: House, found: Listed) -> Response:
    """A page of assets, each with where it stands (A07)."""
    return listed(replace(found, items=standing(house, found.items)), dict, at="service_start")


@router.get(
    "/{account_id}/customer-portal",
    summary="Read the customer portal",
    dependencies=_VIEW,
    responses={
        200: {"model": PortalAnswer, **answers.documented("Six sections.", examples.PORTAL)},
        **errors.documented(404, 422),
    },
)
def customer_portal(account_id: AccountId, house: TheHouse) -> Response:
    """Account, service items with their stage, billing items, quotes, orders and trouble tickets (A09, A16)."""
    engine = house.engine
    found = _account(house, account_id)
    installed = views.profile(engine, account_id, NEWEST).items
    billed = views.billing_items(engine, account_id, NEWEST).items
    assets = {x["id"]: x for x in standing(house, [*{x["id"]: x for x in (*installed, *billed)}.values()])}
    placed = views.orders(engine, NEWEST, state=None, account=account_id, product=None).items
    tickets = views.fallouts(engine, NEWEST, Selection(account=account_id)).items
    return answer(
        {
            "account": dict(found),
            "service_items": _service_items(
                [assets[x["id"]] for x in installed], views.on_order(engine, account_id, limit=MAX_PAGE)
            ),
            "billing_items": [assets[x["id"]] for x in billed],
            "quotes": [],
            "orders": [summary_body(x) for x in placed],
            "trouble_tickets": [fallout_body(x) for x in tickets],
        }
    )


def _service_items(assets: Sequence[Mapping[str, Any]], on_order: Sequence[Found]) -> list[dict[str, Any]]:
    """Each product with its stage: provisioned once its line is completed, ordered until then (A09)."""
    installed = [
        {
            "product": x["product"],
            "stage": "provisioned",
            "quantity": x["quantity"],
            "asset": x["id"],
            "status": x["status"],
            "service_id": x["service_id"],
            "order": None,
            "line": None,
            **{name: x[name] for name in standing_body(None)},
        }
        for x in assets
    ]
    ordered = [
        {
            "product": x["product"],
            "stage": "provisioned" if x["state"] == "completed" else "ordered",
            "quantity": x["quantity"],
            "asset": None,
            "status": None,
            "service_id": None,
            "order": x["order"],
            "line": x["line"],
            **standing_body(None),
        }
        for x in on_order
    ]
    return [*ordered, *installed]


def _account(house: House, account_id: str) -> Found:
    found = views.account(house.engine, account_id)
    if found is None:
        raise not_found("account")
    return found
