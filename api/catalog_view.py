"""Catalogs and products as they are answered."""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Mapping
from dataclasses import dataclass, fields
from itertools import islice
from typing import Annotated, Any

from fastapi import Depends, Query, Response

from api.answers import answer, foreign_cursor, money_body
from api.errors import violation_body
from api.schemas.shape import MAX_PAGE
from domain.catalog import BillingType, Catalog, Component, Kind, Origin, Product
from domain.catalog_document import write
from domain.violation import Violation
from models.catalogs import Publication


@dataclass(frozen=True, slots=True, kw_only=True)
class ProductPage:
    """Which part of the products is asked for: at most so many, after the product of a code."""

    limit: int
    after: str | None = None


def _page(
    limit: Annotated[int, Query(ge=1, le=MAX_PAGE, description="How many at most.")] = 50,
    cursor: Annotated[
        str | None,
        Query(min_length=1, max_length=300, pattern=r"^[A-Za-z0-9_-]+=*$", description="The previous page's."),
    ] = None,
) -> ProductPage:
    try:
        return ProductPage(limit=limit, after=urlsafe_b64decode(cursor).decode("ascii") if cursor else None)
    except ValueError:
        raise foreign_cursor() from None


TheProductPage = Annotated[ProductPage, Depends(_page)]
"""A route's parameter: which part of the products is asked for."""


def etag(version: int) -> str:
    """The entity tag of everything in a version."""
    return f'"{version}"'


def catalog_answer(catalog: Catalog, publication: Publication) -> Response:
    """A whole version, its products as ``PUT`` takes them."""
    body = {
        "version": catalog.version,
        "source": publication.source,
        "published_at": publication.published_at,
        "products": [write(product) for product in catalog],
    }
    return answer(body, ETag=etag(catalog.version))


def published_answer(version: int, warnings: tuple[Violation, ...]) -> Response:
    """The version that holds what was sent."""
    return answer({"version": version, "warnings": [violation_body(x) for x in warnings]}, ETag=etag(version))


def products_answer(
    catalog: Catalog, page: ProductPage, *, billing_type: BillingType | None, origin: Origin | None
) -> Response:
    """One page of the products of a billing type or origin, in the order of the document (B59)."""
    found = [
        product
        for product in catalog
        if (billing_type is None or product.billing_type is billing_type)
        and (origin is None or product.origin is origin)
    ]
    start = 0
    if page.after is not None:
        codes = {product.code: number for number, product in enumerate(found, 1)}
        if page.after not in codes:
            raise foreign_cursor()
        start = codes[page.after]
    shown = list(islice(found, start, start + page.limit))
    more = start + len(shown) < len(found)
    cursor = urlsafe_b64encode(shown[-1].code.encode()).decode() if more else None
    items = [product_body(catalog, product) for product in shown]
    return answer({"items": items, "next_cursor": cursor}, X_Total_Count=str(len(found)))


def product_answer(catalog: Catalog, product: Product) -> Response:
    """One product."""
    return answer(product_body(catalog, product), ETag=etag(catalog.version))


def product_body(catalog: Catalog, product: Product) -> Mapping[str, Any]:
    """All fields of a product, with what follows from them (B05, B07, B21)."""
    body = {field.name: getattr(product, field.name) for field in fields(product)}
    derived = {"kind": product.kind, "customizable": catalog.is_customizable(product)}
    return {**body, **derived, "price": product.price and money_body(product.price)}


def groups_answer(catalog: Catalog, product: Product) -> Response:
    """What a product includes, by heading (B15)."""
    groups: dict[str, list[Mapping[str, Any]]] = {}
    for component in product.components:
        child = catalog[component.product]
        groups.setdefault(component.group or child.name, []).append(_component_body(component, child))
    items = [{"group": group, "components": components} for group, components in groups.items()]
    return answer({"items": items, "next_cursor": None})


def events_answer(catalog: Catalog, product: Product) -> Response:
    """The Events of a product (B64)."""
    placed = ((component, catalog[component.product]) for component in product.components)
    items = [_component_body(component, child) for component, child in placed if child.kind is Kind.EVENT]
    return answer({"items": items, "next_cursor": None})


def _component_body(component: Component, child: Product) -> Mapping[str, Any]:
    return {
        "product": child.code,
        "name": child.name,
        "kind": child.kind,
        "billing_type": child.billing_type,
        "billing_service_type": child.billing_service_type,
        "min": component.min,
        "max": component.max,
        "default": component.default,
    }
