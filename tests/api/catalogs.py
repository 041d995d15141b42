"""A published catalog for the tests of the API."""

from sqlalchemy import Engine

from domain.catalog import Catalog
from models import catalogs


def publish(engine: Engine, catalog: Catalog) -> None:
    """Publish a catalog of a test's own."""
    catalogs.publish_stub(engine, catalog)
