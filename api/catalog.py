"""The catalog: published whole, edited a little, synchronized with billing, and read."""

from collections.abc import Callable
from typing import Annotated

from fastapi import APIRouter, Depends, Header, Path, Query, Response

from api import answers, catalog_changes, errors
from api.catalog_view import (
    TheProductPage,
    catalog_answer,
    etag,
    events_answer,
    groups_answer,
    product_answer,
    products_answer,
    published_answer,
)
from api.errors import Problem, not_found
from api.house import House, TheHouse
from api.idempotency import GivenKey
from api.requests import requested
from api.schemas import catalog_examples as examples
from api.schemas.catalog import (
    AskedBillingType,
    CatalogAnswer,
    CatalogIn,
    ComponentGroups,
    Components,
    ProductAnswer,
    ProductEdit,
    ProductList,
    PublishedAnswer,
)
from api.schemas.runs import RequestedAnswer
from api.schemas.shape import Id
from api.yaml_body import YamlToo
from domain.catalog import Catalog, Origin, Product
from domain.catalog_document import read_all
from models import catalogs
from workflows.catalog_sync import start_sync

router = APIRouter(prefix="/v1/catalog", tags=["catalog"], route_class=YamlToo)
Code = Annotated[Id, Path(description="The product's code.")]
VERSION = "Changes with every version."
_PRODUCT = {
    200: {"model": ProductAnswer, **answers.documented("The product.", examples.PRODUCT, ETag=VERSION)},
    **errors.documented(404, 422),
}
_IfMatch = Annotated[
    str | None,
    Header(max_length=300, description="Only if the current version has this `ETag`; else 412."),
]


def _expected(if_match: _IfMatch = None) -> Callable[[Catalog], None]:
    """Raises a 412 for any current version but the one that the client has seen, if it says so."""

    def check(current: Catalog) -> None:
        wanted = {tag.strip() for tag in if_match.split(",")} if if_match is not None else {"*"}
        if not wanted & {"*", etag(current.version)}:
            raise Problem(412, "Precondition failed", "The catalog has changed since; read it again.")

    return check


Expected = Annotated[Callable[[Catalog], None], Depends(_expected)]


@router.put(
    "",
    summary="Publish a catalog",
    responses={
        200: {"model": PublishedAnswer, **answers.documented("Published.", examples.PUBLISHED, ETag=VERSION)},
        **errors.documented(*errors.BODY_ERRORS, 409, 412),
    },
)
def publish(body: CatalogIn, house: TheHouse, expected: Expected) -> Response:
    """Publish a whole catalog as a new, immutable version, or refuse it with all violations and change nothing.

    The body may also be YAML (`application/yaml`). The catalog that is current already stays the version it is.
    Products with origin `billing_sync` are imported with their cross-reference to billing.
    """
    document = read_all(product.given() for product in body.products)
    version, warnings = catalog_changes.publish(house, document, expected)
    return published_answer(version.version, warnings)


@router.get(
    "",
    summary="Read the catalog",
    responses={
        200: {"model": CatalogAnswer, **answers.documented("The version.", examples.CATALOG, ETag=VERSION)},
        **errors.documented(404, 422),
    },
)
def catalog(
    house: TheHouse,
    version: Annotated[
        int | None, Query(ge=1, lt=2**31, description="An older version; the current one by default.")
    ] = None,
) -> Response:
    """A whole version, its products as `PUT` takes them."""
    try:
        found = catalogs.load(house.engine, version) if version else catalogs.current(house.engine)
        return catalog_answer(found, catalogs.publication(house.engine, found.version))
    except KeyError:
        raise not_found("catalog version") from None


@router.get(
    "/products",
    summary="List products",
    responses={
        200: {"model": ProductList, **answers.documented("One page, in the order of the document.", examples.PRODUCTS,
                                                         X_Total_Count="How many there are in all.")},
        **errors.documented(422),
    },
)  # fmt: skip
def products(
    house: TheHouse,
    page: TheProductPage,
    billing_type: Annotated[AskedBillingType | None, Query(description="Only of this billing type.")] = None,
    origin: Annotated[Origin | None, Query(description="Only made here, or only synchronized.")] = None,
) -> Response:
    """The products of the current version; synchronized subscriptions can become simple service bundles (B59)."""
    return products_answer(catalogs.current(house.engine), page, billing_type=billing_type, origin=origin)


@router.get("/products/{code}", summary="Read a product", responses=_PRODUCT)
def product(code: Code, house: TheHouse) -> Response:
    """A product of the current version, with its kind and whether customers can choose components of it (B21)."""
    return product_answer(*_found(house, code))


@router.patch(
    "/products/{code}",
    summary="Edit a product",
    responses={**_PRODUCT, **errors.documented(*errors.BODY_ERRORS, 403, 404, 409, 412)},
)
def edit(code: Code, body: ProductEdit, house: TheHouse, expected: Expected) -> Response:
    """Change by hand what may be changed by hand; the edited product is in a new version of the catalog.

    A billing service type is never typed (B18), a synchronized billing type stays (B20), and the flag of a simple
    service bundle changes only while nothing references the product, here or in billing (B40, B61).
    """
    return product_answer(*catalog_changes.edit(house, code, body.given(), expected))


@router.get(
    "/products/{code}/components",
    summary="List components",
    responses={
        200: {"model": ComponentGroups, **answers.documented("By heading.", examples.GROUPS)},
        **errors.documented(404, 422),
    },
)
def components(code: Code, house: TheHouse) -> Response:
    """What a product includes, by heading, with billing type and billing service type (B15)."""
    return groups_answer(*_found(house, code))


@router.get(
    "/products/{code}/events",
    summary="List events",
    responses={
        200: {"model": Components, **answers.documented("The events.", examples.EVENTS)},
        **errors.documented(404, 422),
    },
)
def events(code: Code, house: TheHouse) -> Response:
    """The Events that billing rates for a product (B64)."""
    return events_answer(*_found(house, code))


@router.post(
    "/sync",
    status_code=202,
    summary="Synchronize with billing",
    responses={
        202: {"model": RequestedAnswer, **answers.documented("The run has been started.", examples.SYNC)},
        **errors.documented(*errors.NO_BODY_ERRORS),
    },
)
async def sync(house: TheHouse, idempotency_key: GivenKey) -> Response:
    """Start a run that asks billing for its products and publishes them as a new version (B18, B32, B62).

    Takes no body. The same key is the same run.
    """
    return await requested(house, idempotency_key, start_sync)


def _found(house: House, code: str) -> tuple[Catalog, Product]:
    current = catalogs.current(house.engine)
    if (found := current.get(code)) is None:
        raise not_found("product")
    return current, found
