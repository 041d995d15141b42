"""Random catalogs: the valid ones pass, one mistake is one violation, and documents say what products are."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from domain.catalog import BillingType, Catalog, ChargeTrigger, Component, DeliveryKind, Kind, Origin, ServiceCharge
from domain.catalog_document import Document, ReadDocument, digest, read, read_all, write
from domain.catalog_sync import BillingProduct, merge
from domain.money import Money
from domain.publishing import Proposal, check
from tests.builders import subscription, unbilled
from tests.domain.strategies import sold
from tests.domain.test_catalog_history import MONDAY, TUESDAY

catalogs = sold().map(lambda x: x.catalog)


def codes(catalog: ReadDocument) -> list[str]:
    return [x.code for x in check(Proposal(document=catalog)).violations]


@pytest.mark.req("B06", "B08", "B09", "B11", "B36")
@given(catalogs)
def test_a_catalog_that_obeys_the_rules_can_be_published(catalog: Catalog):
    assert codes(ReadDocument(tuple(catalog))) == []


Mistake = Callable[[Catalog, st.DrawFn], dict[str, dict[str, Any]] | None]
"""What to change in which product, given as fields of its document; none if the catalog gives no occasion."""


def _one(draw: st.DrawFn, found: list[str]) -> str | None:
    return draw(st.sampled_from(found)) if found else None


def _on(kind: Kind, **fields: Any) -> Mistake:  # noqa: ANN401
    """The fields of one product of a kind."""

    def mistake(catalog: Catalog, draw: st.DrawFn) -> dict[str, dict[str, Any]] | None:
        code = _one(draw, [x.code for x in catalog if x.kind is kind])
        return {code: fields} if code else None

    return mistake


def _with_component(kind: Kind, **component: Any) -> Mistake:  # noqa: ANN401
    """One more component of one product of a kind."""

    def mistake(catalog: Catalog, draw: st.DrawFn) -> dict[str, dict[str, Any]] | None:
        code = _one(draw, [x.code for x in catalog if x.kind is kind])
        return {code: {"components": [*write(catalog[code]).get("components", []), component]}} if code else None

    return mistake


def _placed_wrong(catalog: Catalog, draw: st.DrawFn) -> dict[str, dict[str, Any]] | None:
    held = [x.code for x in catalog if x.kind is Kind.BILLING_COMPONENT and catalog.parents[x.code]]
    code = _one(draw, held)
    return {code: {"billing_service_type": "/service/other"}} if code else None


def _in_itself(catalog: Catalog, draw: st.DrawFn) -> dict[str, dict[str, Any]] | None:
    grouping = [x for x in catalog if x.components and x.kind in (Kind.SERVICE_BUNDLE, Kind.NON_BILLING)]
    code = _one(draw, [x.code for x in grouping])
    return {code: {"components": [*write(catalog[code])["components"], {"product": code}]}} if code else None


def _more_than_there_may_be(catalog: Catalog, draw: st.DrawFn) -> dict[str, dict[str, Any]] | None:
    code = _one(draw, [x.code for x in catalog if x.components])
    if code is None:
        return None
    first, *others = write(catalog[code])["components"]
    return {code: {"components": [{**first, "min": first.get("max", 1) + 1}, *others]}}


MISTAKES: dict[str, tuple[str, Mistake]] = {
    "no such type": ("BILLING_TYPE", _on(Kind.SERVICE_BUNDLE, billing_type="bundle")),
    "elsewhere": ("BST_MISMATCH", _placed_wrong),
    "no path": ("BST_FORMAT", _on(Kind.BILLING_COMPONENT, billing_service_type="ip")),
    "no type": ("BST_FORMAT", _on(Kind.SIMPLE_SERVICE_BUNDLE, billing_service_type=None)),
    "in itself": ("CYCLE", _in_itself),
    "typed": ("NON_BILLING_BST", _on(Kind.NON_BILLING, billing_service_type="/service/ip")),
    "foreign": ("SB_ORIGIN", _on(Kind.SERVICE_BUNDLE, origin="billing_sync")),
    "hand-made event": ("EVENT_ORIGIN", _on(Kind.EVENT, origin="crm")),
    "hand-made service": ("SERVICE_INSTANCE", _on(Kind.SIMPLE_SERVICE_BUNDLE, origin="crm")),
    "flagged bundle": ("SERVICE_INSTANCE", _on(Kind.SERVICE_BUNDLE, service_instance=True)),
    "flagged gift": ("SERVICE_INSTANCE", _on(Kind.NON_BILLING, service_instance=True)),
    "gift in a service": ("SSB_CHILD", _with_component(Kind.SIMPLE_SERVICE_BUNDLE, product="GIFT")),
    "unknown": ("UNKNOWN_COMPONENT", _with_component(Kind.SERVICE_BUNDLE, product="NOWHERE")),
    "bounds": ("CARDINALITY", _more_than_there_may_be),
}


@pytest.mark.req("B04", "B06", "B08", "B09", "B13", "B19", "B31", "B32", "B33", "B41", "B55", "B60", "B63")
@pytest.mark.parametrize("name", MISTAKES)
@settings(max_examples=30)
@given(catalog=catalogs, data=st.data())
def test_one_mistake_is_the_one_violation(name: str, catalog: Catalog, data: st.DataObject):
    code, mistake = MISTAKES[name]
    changes = mistake(catalog, data.draw)  # type: ignore[arg-type]
    assume(changes is not None)
    assert changes is not None
    entries = [*(_changed(write(x), changes.get(x.code, {})) for x in catalog), write(unbilled("GIFT"))]
    found = check(Proposal(document=read_all(entries))).violations
    assert {x.code for x in found} == {code}
    assert {x.product for x in found} == set(changes)


def _changed(entry: Document, change: dict[str, Any]) -> Document:
    return {name: value for name, value in (entry | change).items() if value is not None}


@pytest.mark.req("B19")
@given(catalogs)
def test_a_component_nobody_placed_is_the_one_violation(catalog: Catalog):
    assert codes(ReadDocument((*catalog, subscription("ALONE")))) == ["NO_SERVICE"]


@given(catalogs)
def test_a_document_read_back_is_the_same_and_so_is_its_digest(catalog: Catalog):
    entries = [write(x) for x in catalog]
    read_back = read_all(entries)
    assert read_back == ReadDocument(tuple(catalog))
    assert digest(read_back.products) == digest(catalog)
    dated = [replace(x, synced_at=TUESDAY) for x in catalog]
    assert digest(dated) == digest(catalog)
    assert digest([replace(x, name="other") for x in catalog]) != digest(catalog)


def test_every_field_survives_being_written():
    product = replace(
        unbilled("X"),
        billing_type=BillingType.SUBSCRIPTION,
        billing_service_type="/service/ip",
        origin=Origin.BILLING_SYNC,
        service_instance=True,
        delivery_kind=DeliveryKind.PHYSICAL,
        sku="S",
        components=(Component(product="Y", min=1, max=3, default=2, group="G"),),
        price=Money(-1999, "USD"),
        service_charges=(ServiceCharge(trigger=ChargeTrigger.MOVE, product="FEE"),),
        co_delivered_with=("Y", "Z"),
        synced_at=MONDAY,
        duration_months=3,
        requires_truck_roll=True,
        supersedes="W",
    )
    assert read(write(product)) == product
    assert write(product)["price"] == {"amount": "-19.99", "currency": "USD"}
    assert write(product)["synced_at"] == "2026-03-02T00:00:00Z"
    assert write(unbilled("Y")) == {"code": "Y", "name": "Y"}


@pytest.mark.req("B62")
@given(catalogs, st.data())
def test_synchronizing_twice_is_synchronizing_once(catalog: Catalog, data: st.DataObject):
    listed = list(_listed(catalog, data))
    once = merge(catalog, listed, now=MONDAY)
    twice = merge(Catalog(1, {x.code: x for x in once.products}), listed, now=TUESDAY)
    assert twice.products == once.products
    assert (twice.added, twice.changed) == ((), ())


def _listed(catalog: Catalog, data: st.DataObject) -> Iterator[BillingProduct]:
    """What billing might say of products it knows, the Events of services among them."""
    events = [x.code for x in catalog if x.kind is Kind.EVENT]
    for product in catalog:
        if product.origin is Origin.BILLING_SYNC and product.billing_type and product.billing_service_type:
            rated = data.draw(st.lists(st.sampled_from(events), unique=True, max_size=3)) if events else []
            yield BillingProduct(
                code=product.code,
                name=product.name,
                billing_type=product.billing_type,
                billing_service_type=product.billing_service_type,
                events=tuple(rated) if product.kind is Kind.SIMPLE_SERVICE_BUNDLE else (),
            )
