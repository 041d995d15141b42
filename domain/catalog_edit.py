"""What may be changed by hand in a published product, and what only the billing system or nobody may change."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from domain.catalog import Catalog, Kind, Product
from domain.catalog_document import read, write
from domain.publishing import Usage, kind_frozen, referenced, service_instance_flag
from domain.violation import Violation, broken


class Standing(StrEnum):
    """Why an edit is not allowed: such a field is never typed by a user, or the product's state forbids it."""

    FORBIDDEN = "forbidden"
    CONFLICT = "conflict"


@dataclass(frozen=True, slots=True, kw_only=True)
class NotAllowed:
    """An edit that is not allowed, with everything that is wrong with it."""

    standing: Standing
    violations: tuple[Violation, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Edit:
    """A change of one product: ``change`` holds document fields, ``None`` for those to be cleared.

    ``usages`` need be known only if the edit :attr:`converts` the product; ``cross_referenced`` says whether the
    billing system knows it.
    """

    product: Product
    change: Mapping[str, Any]
    usages: Sequence[Usage] = ()
    cross_referenced: bool = True

    @property
    def edited(self) -> Product:
        """The product as it is to be."""
        return read({**write(self.product), **self.change})

    @property
    def converts(self) -> bool:
        """Whether the service instance flag changes (B61)."""
        return self.edited.service_instance is not self.product.service_instance


def decide(edit: Edit, catalog: Catalog) -> Product | NotAllowed:
    """The edited product, which has to pass the rules of publishing still, or why it may not be edited so.

    What no state of the product would permit is forbidden (B18, B20), unless the kind is frozen whatever is done (B66).
    """
    forbidden = tuple(_synchronized(edit))
    frozen = tuple(_frozen(edit, catalog))
    conflicts = (*frozen, *_conversion(edit), *_children(edit))
    if not forbidden and not conflicts:
        return edit.edited
    standing = Standing.FORBIDDEN if forbidden and not frozen else Standing.CONFLICT
    return NotAllowed(standing=standing, violations=(*forbidden, *conflicts))


def _synchronized(edit: Edit) -> Iterator[Violation]:
    """The billing service type is never typed by a user (B18), nor the billing type once synchronized (B20)."""
    if "billing_service_type" in edit.change:
        message = "The billing service type comes from the billing system only."
        yield broken("SYNCED_FIELD", "B18", edit.product.code, "billing_service_type", message)
    if edit.product.synced_at is not None and edit.edited.billing_type is not edit.product.billing_type:
        message = "The billing type was synchronized from the billing system, and only synchronization changes it."
        yield broken("SYNCED_FIELD", "B20", edit.product.code, "billing_type", message)


def _frozen(edit: Edit, catalog: Catalog) -> Iterator[Violation]:
    """No attempt turns a service bundle into a simple one or back (B66)."""
    found = tuple(kind_frozen(edit.edited, catalog))
    yield from found
    if not found and edit.product.kind is Kind.SERVICE_BUNDLE and edit.edited.service_instance:
        message = "A service bundle never becomes a simple service bundle; publish another product."
        yield broken("KIND_FROZEN", "B66", edit.product.code, "service_instance", message)


def _conversion(edit: Edit) -> Iterator[Violation]:
    """The flag is for synchronized subscriptions that nothing depends on yet (B40, B55, B60, B61)."""
    if not edit.converts:
        return
    wrong = tuple(service_instance_flag(edit.edited))
    yield from wrong
    if not wrong and edit.edited.service_instance and not edit.cross_referenced:
        message = "The billing system does not know the product."
        yield broken("SERVICE_INSTANCE", "B55", edit.product.code, "service_instance", message)
    yield from referenced(edit.edited, edit.usages)


def _children(edit: Edit) -> Iterator[Violation]:
    """Nothing is added to a simple service bundle by hand, not even an Event; synchronization does that (B41, B63)."""
    simple = Kind.SIMPLE_SERVICE_BUNDLE in (edit.product.kind, edit.edited.kind)
    if simple and edit.edited.components != edit.product.components:
        message = "Only synchronization changes the components of a simple service bundle."
        yield broken("SSB_CHILD", "B63", edit.product.code, "components", message)
