"""An order read with its catalog and its assets: every line where it stands, for the rules to look at."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from domain.asset import NO_TREE, Asset, Tree, above
from domain.catalog import Catalog, Kind, Product
from domain.facts import Facts
from domain.order import Action, Order, OrderLine
from domain.violation import Violation


@dataclass(frozen=True, slots=True)
class Reading:
    """What the rules know: ``trees`` are the assets of each bundle, as they will be when it is due."""

    order: Order
    catalog: Catalog
    facts: Facts
    trees: Mapping[str, Tree]

    def product(self, asset: Asset) -> Product:
        """An asset's product by today's catalog, or as it was when it had it last."""
        return self.catalog.get(asset.product) or self.facts.product(asset)


@dataclass(slots=True)
class Place:
    """A line where it stands: under ``above``, within the outermost service bundle ``scope``, which may be itself.

    ``asset`` is what it is about, as it will be when the line is due; ``tree`` all assets of its root asset.
    ``is_lost`` under a product that the catalog does not have: nobody can tell what it stands in.
    """

    line: OrderLine
    product: Product | None
    kind: Kind | None
    above: "Place | None"
    scope: "OrderLine | Asset | None"
    asset: Asset | None
    tree: Tree
    is_lost: bool
    below: "list[Place]" = field(default_factory=list)


_SERVICES = frozenset({Kind.SERVICE_BUNDLE, Kind.SIMPLE_SERVICE_BUNDLE})


def places(reading: Reading) -> tuple[list[Place], list[Violation]]:
    """The tree of the lines; a line that is named twice or stands under no earlier line breaks it."""
    standing: dict[str, Place] = {}
    found: list[Violation] = []
    kinds = {product.code: product.kind for product in reading.catalog}
    for line in reading.order.lines:
        if line.id in standing:
            found.append(broken("STRUCTURE", "B01", "Another line has the same id.", line, "id"))
            continue
        above_ = standing.get(line.parent) if line.parent is not None else None
        if line.parent is not None and above_ is None:
            found.append(broken("STRUCTURE", "B01", "No earlier line has the parent's id.", line, "parent"))
        tree = reading.trees.get(line.root, NO_TREE)
        asset = tree.get(line.asset or "") if line.action is not Action.ADD else None
        product = reading.catalog.get(line.product)
        if product is None and line.version is not None:  # what is installed has it still
            product = reading.facts.catalogs[line.version].get(line.product)
        is_lost = above_ is not None and (above_.is_lost or above_.product is None)
        kind = product.kind if product else kinds.get(line.product)
        standing[line.id] = place = Place(line, product, kind, above_, None, asset, tree, is_lost)
        place.scope = _scope(place, reading)
        if above_:
            above_.below.append(place)
    return list(standing.values()), found


def _scope(place: Place, reading: Reading) -> OrderLine | Asset | None:
    """The outermost service a line is in, in the order or, above the order's lines, among the assets."""
    if place.above is not None and place.above.scope is not None:
        return place.above.scope
    if place.above is None and place.asset is not None:
        services = [x for x in above(place.tree, place.asset) if reading.product(x).is_service]
        if services:
            return services[-1]
    return place.line if place.kind in _SERVICES else None


Rule = Callable[[Place, Reading], Iterator[Violation]]
"""What a line breaks, where it stands."""


def broken(code: str, rule: str, message: str, line: OrderLine | None = None, field: str | None = None) -> Violation:
    """A broken rule, of a line or of the order itself."""
    return Violation(code=code, rule=rule, message=message, line=line.id if line else None, field=field)
