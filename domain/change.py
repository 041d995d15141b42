"""Orders that change what is installed: what their lines leave unsaid is read from the assets they are about (2.2).

The assets are taken as they will be when a line is due: as they stand, with all that is open on them and due before.
"""

import json
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, time
from hashlib import sha256
from typing import Any

from domain.asset import (
    ALLOWED_ON,
    NO_TREE,
    Asset,
    AssetStatus,
    Tree,
    above,
    asset_of,
    below,
    carried,
    changed,
    with_assets_of,
)
from domain.catalog import Catalog, ChargeTrigger, DeliveryKind, Product, ServiceCharge
from domain.facts import Facts, Pending
from domain.order import ACCOUNT_FIELDS, CHANGEABLE, Action, Order, OrderLine, asset_id, with_defaults

CASCADING = frozenset({Action.DELETE, Action.SUSPEND, Action.RESUME, Action.MOVE_DELETE})
"""The actions that reach everything below an asset, said or not (A20)."""

LOCATION = ("service_account", "service_point")
"""Where a service is: what a move gives it anew, and all of its parts that are in the same place."""

_TRIGGER: Mapping[Action, ChargeTrigger] = {
    Action.UPDATE: ChargeTrigger.UPDATE,
    Action.DELETE: ChargeTrigger.DELETE,
    Action.SUSPEND: ChargeTrigger.SUSPEND,
    Action.RESUME: ChargeTrigger.RESUME,
    Action.MOVE_ADD: ChargeTrigger.MOVE,
}
_PROMOTION: Mapping[str | None, ChargeTrigger] = {
    "promo_upgrade": ChargeTrigger.PROMO_UPGRADE,
    "promo_downgrade": ChargeTrigger.PROMO_DOWNGRADE,
}
_BY_PROMOTION = frozenset({Action.UPDATE, Action.DELETE})
_NEVER_NONE = frozenset({*ACCOUNT_FIELDS, "quantity", "attributes", "service_start"})

_HALVES = frozenset({Action.MOVE_ADD, Action.MOVE_DELETE})

Lines = tuple[OrderLine, ...]


def digest(order: Order) -> str:
    """What an order says, in brief: two that came with the same are the same; what is blank says nothing."""
    said = asdict(order, dict_factory=lambda fields: {name: value for name, value in fields if value is not None})
    return sha256(json.dumps(said, default=str, sort_keys=True).encode()).hexdigest()


def is_same(stored: Order, sent: Order) -> bool:
    """Whether an order is one that was stored, as it came."""
    return digest(sent) == stored.as_sent if stored.as_sent else with_defaults(sent) == stored


def due(order: Order, root: str, *, arrived: datetime) -> datetime:
    """When a bundle about assets is carried out: on its day, not before the requested start, and else at once."""
    days = (x.due_date for x in order.bundles[root] if x.parent is None)
    instants = (datetime.combine(day, time(), UTC) for day in days if day is not None)
    return max(x for x in (arrived, order.requested_start, *instants) if x is not None)


def status_when_due(asset: Asset, line: OrderLine, order: Order, tree: Tree, facts: Facts) -> AssetStatus:
    """The state of an asset when a line is due: past its end, or that of what it is part of, it is inactive (2.2).

    What is disconnected as of the day on which it ends by itself is never too late, with all that it consists of. And
    what is over by now, and nobody has disconnected yet, goes along with what it is part of.
    """
    root = order.by_id[line.root]
    top = asset_of(tree, root)
    if root.action is Action.DELETE and top is not None and root.due_date == top.said("service_end") is not None:
        return asset.status
    reaching = line if line.asset != asset.id else order.by_id.get(line.parent or "")
    ends = [x.service_end for x in (asset, *above(tree, asset)) if x.is_live and x.service_end is not None]
    if reaching is not None and reaching.action in CASCADING:
        ends = [x for x in ends if x >= max(facts.arrived, facts.now)]
    by_then = due(order, line.root, arrived=facts.arrived)
    return AssetStatus.INACTIVE if any(x < by_then for x in ends) else asset.status


def completed(order: Order, catalog: Catalog, facts: Facts) -> Order:
    """The order with all its blanks filled: from its assets, its root lines, its header (B23).

    What a change reaches has a line: the components of what is deleted, suspended, resumed or moved, what shares the
    accounts of a service, and the charges (A20, B22, B26). Lines made so have the same ids every time.
    A line whose id another one has stays as it is, for the rules to find.
    """
    if not order.is_about_assets:
        return with_defaults(order)
    first = {x.id: x for x in reversed(order.lines)}
    given = (x for x in order.lines if x is first[x.id])
    asked = _paired(replace(order, lines=tuple(x for x in given if not _is_made(x, order))), facts)

    def complete(lines: Lines, tree: Tree) -> Lines:
        return _Bundle(asked, catalog, facts, tree).completed(lines)

    found = [line for _, _, lines in _in_time(asked, facts, complete) for line in lines]
    repeated = (x for x in order.lines if x is not first[x.id])
    whole = replace(asked, lines=(*_in_tree_order(asked, found), *repeated), as_sent=digest(order))
    return with_defaults(whole)


def foreseen(order: Order, facts: Facts) -> Mapping[str, Tree]:
    """The assets that each bundle of an order is about, as they will be when it is due; by root line."""
    return {root: tree for root, tree, _ in _in_time(order, facts, lambda lines, _: lines)}


def ahead(order: Order, facts: Facts, root: str, *, still_open: Collection[str]) -> int | None:
    """The number of the order that changes the assets of a bundle before it: what is due first goes first (2.2, C35).

    ``still_open`` are the bundles of the order itself that have not come to their end.
    """
    own = [x for x in _bundles(order, facts) if x.root == root or x.root in still_open]
    tree = _tree_of(order.bundles[root], facts)
    bundles: list[_Own | Pending] = [*own, *facts.pending]
    for bundle in sorted(bundles, key=lambda x: (x.due, x.number)):
        if isinstance(bundle, _Own) and bundle.root == root:
            return None
        if _tree_of(bundle.lines, facts) == tree:
            return bundle.number
    return None


def _tree_of(lines: Lines, facts: Facts) -> str:
    """The root asset of the tree that lines are about."""
    return next((asset.root for x in lines if (asset := asset_of(facts.assets, x))), "")


def is_part(line: OrderLine, tree: Tree) -> bool:
    """Whether the line's asset is a part of another asset."""
    asset = asset_of(tree, line)
    return asset is not None and asset.parent is not None


def _is_made(line: OrderLine, order: Order) -> bool:
    """Whether a line is one that we make anew every time, should somebody send it along."""
    is_charge = line.is_charge and not order.children(line)
    above_it = order.by_id.get(line.parent or "")
    return is_charge or (line.action is Action.MOVE_ADD and above_it is not None and above_it.action is line.action)


def _paired(order: Order, facts: Facts) -> Order:
    """What belongs together is one bundle: both halves of a move, and what takes the place of something (B69)."""
    joined: dict[str, OrderLine] = {}
    for new in order.roots:
        found = [x for x in order.roots if x.id not in joined and _belongs(x, new, facts)]
        if len(found) == 1:
            joined[found[0].id] = new
    halves = {old: new.id for old, new in joined.items() if new.action is Action.MOVE_ADD}
    halves |= {new: old for old, new in halves.items()}

    days = {old: new.due_date or order.by_id[old].due_date for old, new in joined.items()}
    days |= {joined[old].id: day for old, day in days.items()}

    def paired(line: OrderLine) -> OrderLine:
        root = joined[line.root].id if line.root in joined else line.root
        related = halves.get(line.id) if line.action in _HALVES else line.related_line
        return replace(line, root=root, related_line=related, due_date=line.due_date or days.get(line.id))

    return replace(order, lines=tuple(map(paired, order.lines)))


def _belongs(old: OrderLine, new: OrderLine, facts: Facts) -> bool:
    if new.action is Action.ADD:
        return old.action is Action.DELETE and old.asset is not None and old.asset == new.replaces
    if new.action is not Action.MOVE_ADD or old.action is not Action.MOVE_DELETE:
        return False
    if old.related_line or new.related_line:
        return old.related_line in (None, new.id) and new.related_line in (None, old.id)
    asset = facts.assets.get(old.asset or "")
    product = old.product or (asset.product if asset else "")
    return new.product in ("", product)


def _in_time(order: Order, facts: Facts, complete: Callable[[Lines, Tree], Lines]) -> Iterator[tuple[str, Tree, Lines]]:
    """The bundles in the order in which they are due, each with its assets as they will be by then."""
    trees: dict[str, Tree] = {}
    for asset in facts.assets.values():
        trees[asset.root] = {**trees.get(asset.root, NO_TREE), asset.id: asset}
    bundles: list[_Own | Pending] = [*_bundles(order, facts), *facts.pending]
    for bundle in sorted(bundles, key=lambda x: (x.due, x.number)):
        root = _tree_of(bundle.lines, facts)
        tree = trees.get(root, NO_TREE)
        if isinstance(bundle, Pending):
            trees[root] = _with_added(bundle, tree, facts)
        else:
            lines = complete(bundle.lines, tree)
            yield bundle.root, tree, lines
            trees[root] = _after(tree, lines)


@dataclass(frozen=True, slots=True)
class _Own:
    root: str
    number: int
    due: datetime
    lines: Lines


def _bundles(order: Order, facts: Facts) -> Iterator[_Own]:
    for root, lines in order.bundles.items():
        yield _Own(root, facts.number, due(order, root, arrived=facts.arrived), lines)


def _after(tree: Tree, lines: Lines) -> Tree:
    """The assets of a tree once a bundle of lines is completed; those that it adds are nobody's yet."""
    return {**tree, **{asset.id: changed(asset, x) for x in lines if (asset := asset_of(tree, x))}}


def _with_added(pending: Pending, tree: Tree, facts: Facts) -> Tree:
    """The same for another order, whose new assets have their ids already."""
    after = dict(_after(tree, pending.lines))
    ids: dict[str | None, str] = {}
    for line in pending.lines:
        ids[line.id] = asset_id(pending.order, line)
        parent = after.get(ids.get(line.parent, ""))
        new = line.action is Action.ADD and not line.is_charge
        if new and parent and facts.catalogs[pending.version][line.product].track_as_asset:
            after[ids[line.id]] = _added(pending, line, parent)
    return after


def _added(pending: Pending, line: OrderLine, parent: Asset) -> Asset:
    return Asset(
        id=asset_id(pending.order, line),
        product=line.product,
        version=pending.version,
        account=parent.account,
        status=AssetStatus.ACTIVE,
        root=parent.root,
        parent=parent.id,
        service_account=line.service_account or "",
        billing_account=line.billing_account or "",
        billing_profile=line.billing_profile or "",
        service_id=line.service_id,
        service_point=line.service_point,
        quantity=line.quantity,
        attributes=line.attributes,
        price=line.price,
        promotion_ref=line.promotion_ref,
        service_start=pending.due,
        created_by=pending.order,
    )


@dataclass(frozen=True)
class _Bundle:
    """One bundle about to be completed, and the assets that it is about as they will be."""

    order: Order
    catalog: Catalog
    facts: Facts
    tree: Tree

    def completed(self, given: Lines) -> Lines:
        """Its lines, with all that they reach."""
        lines = {x.id: self._filled(x, given) for x in given}
        self._cascade(lines)
        self._mirror(lines)
        placed = {x.id: self._placed(x, lines) for x in lines.values()}
        return (*placed.values(), *self._charges(placed))

    def _filled(self, line: OrderLine, given: Lines) -> OrderLine:
        """A line with what its asset says: of a new half of a move, the asset of the other half."""
        if line.action is Action.MOVE_ADD:
            gone = asset_of(self.tree, next((x for x in given if x.id == line.related_line), None))
            return self._changed(line, gone) if gone else line
        asset = asset_of(self.tree, line)
        if asset is None or line.action is Action.ADD:
            return line
        whole = self._changed(line, asset)
        if line.action is Action.UPDATE:
            return whole
        return replace(whole, changes=whole.changes or None, **with_assets_of(line, asset))

    def _changed(self, line: OrderLine, asset: Asset) -> OrderLine:
        """A line that says what is to be otherwise, and nothing else."""
        asked = {x: getattr(line, x) for x in line.changes or ()}
        given = {x: value for x, value in asked.items() if not (value is None and x in _NEVER_NONE)}
        changes = tuple(x for x in CHANGEABLE if x in given and _differs(asset, x, given[x]))
        return replace(line, changes=changes, **(with_assets_of(line, asset) | given))

    def _cascade(self, lines: dict[str, OrderLine]) -> None:
        """Make a line for every asset reached from above that has none (A20); the accounts of a service are shared."""
        by_asset = {x.asset: x.id for x in lines.values()}
        queue = list(lines)
        for id_ in queue:
            line = lines[id_]
            asset = asset_of(self.tree, line)
            if asset is None:
                continue
            accounts, promotion = self._shared(line, asset), self._promotion(line, asset)
            for child in below(self.tree, asset):
                is_promoted = bool(promotion) and child.promotion_ref == asset.promotion_ref
                shared = {**accounts, **(promotion if is_promoted else {})}
                if (made := self._reached(line, child, shared)) is None:
                    continue
                known = by_asset.get(child.id)
                if known is None:
                    new = replace(made, id=_own_id(line, child, lines))
                    lines[new.id] = new
                    by_asset[child.id] = new.id
                    queue.append(new.id)
                elif shared and lines[known].action in (Action.UPDATE, Action.NONE):
                    lines[known] = self._sharing(lines[known], child, shared)

    def _reached(self, line: OrderLine, child: Asset, shared: Mapping[str, str | None]) -> OrderLine | None:
        made = OrderLine(id="", root=line.root, parent=line.id, asset=child.id, due_date=line.due_date)
        status = status_when_due(child, line, self.order, self.tree, self.facts)
        if line.action in CASCADING and status in ALLOWED_ON[line.action]:
            return replace(made, action=line.action, **with_assets_of(made, child))
        if shared and status is AssetStatus.ACTIVE:
            return self._sharing(made, child, shared)
        return None

    def _promotion(self, line: OrderLine, asset: Asset) -> Mapping[str, str | None]:
        """The promotion that takes the place of the one that something has, with all that it has it for (B56)."""
        promoted = line.action is Action.UPDATE and "promotion_ref" in (line.changes or ())
        return {"promotion_ref": line.promotion_ref} if promoted and asset.promotion_ref else {}

    def _shared(self, line: OrderLine, asset: Asset) -> Mapping[str, str]:
        """The accounts that a service, or a part of one, is to have from now on."""
        if line.action is not Action.UPDATE or not self._is_in_service(asset):
            return {}
        return {x: getattr(line, x) for x in ACCOUNT_FIELDS if x in (line.changes or ())}

    def _sharing(self, line: OrderLine, asset: Asset, shared: Mapping[str, str | None]) -> OrderLine:
        said = line.changes or ()
        wanted = tuple(x for x in CHANGEABLE if x in said or x in shared)
        own = {x: y for x, y in shared.items() if x not in said}
        return self._changed(replace(line, action=Action.UPDATE, changes=wanted, **own), asset)  # type: ignore[arg-type]

    def _is_in_service(self, asset: Asset) -> bool:
        return any(self.facts.product(x).is_service for x in (asset, *above(self.tree, asset)))

    def _mirror(self, lines: dict[str, OrderLine]) -> None:
        """Make the new half of a move as deep as the old one; what is in the same place moves to the same place."""
        for gone in [x for x in lines.values() if x.action is Action.MOVE_DELETE]:
            asset = asset_of(self.tree, gone)
            onto = lines.get(lines[gone.parent].related_line or "") if gone.parent in lines else None
            if asset is None or onto is None or gone.related_line is not None:
                continue
            was = self.tree[lines[gone.parent or ""].asset or ""]
            new = OrderLine(
                id=_own_id(onto, asset, lines),
                root=onto.root,
                parent=onto.id,
                action=Action.MOVE_ADD,
                related_line=gone.id,
                due_date=onto.due_date,
                changes=LOCATION,
                **{x: getattr(onto if asset.said(x) == was.said(x) else gone, x) for x in LOCATION},
            )
            lines[new.id] = self._changed(new, asset)
            lines[gone.id] = replace(gone, related_line=new.id)

    def _placed(self, line: OrderLine, lines: Mapping[str, OrderLine]) -> OrderLine:
        """A line that knows the service it belongs to, and what the network runs it as."""
        old = self._asset(line, lines)
        if old is None or line.action is Action.ADD:
            return line
        service = next((x for x in above(self.tree, old) if self.facts.product(x).is_service), None)
        is_root_part = line.parent is None and service is not None and not self.facts.product(old).is_service
        network = self._network(old, service)
        return replace(line, service=service.id if is_root_part and service else None, network=network)

    def _network(self, asset: Asset, service: Asset | None) -> str | None:
        """What an asset runs as: a component as the service it came with, a service as itself."""
        logical = self.facts.product(asset).delivery_kind is DeliveryKind.LOGICAL
        if self.facts.product(asset).is_service:
            parts = carried(self.tree, asset, lambda x: self.facts.product(x).is_service)
            carries = (self.facts.product(x).delivery_kind is DeliveryKind.LOGICAL for x in parts)
            return asset.id if logical or any(carries) else None
        if not logical:
            return None
        return service.id if service and service.created_by == asset.created_by else asset.id

    def _charges(self, lines: Mapping[str, OrderLine]) -> Iterator[OrderLine]:
        """What the changes of a bundle cost: one charge for each service that has one for what happens to it (B26)."""
        made: dict[tuple[str, ChargeTrigger], OrderLine] = {}
        for line in lines.values():
            trigger = self._trigger(line, lines)
            asset = self._asset(line, lines)
            over = lines.get(line.parent or "")
            if trigger is None or asset is None or (over and self._trigger(over, lines) is trigger):
                continue
            for service in self._affected(asset, trigger, lines):
                definition = self._definition(service, trigger)
                if definition is not None and (service.id, trigger) not in made:
                    charge = self._charge(definition, service, line, lines)
                    taken = {*lines, *(x.id for x in made.values())}
                    made[service.id, trigger] = replace(charge, id=_free(charge.id, taken))
        yield from made.values()

    def _trigger(self, line: OrderLine, lines: Mapping[str, OrderLine]) -> ChargeTrigger | None:
        """What a line counts as for service charges; an Add, a context line and no change at all are nothing (B24).

        What changes with a promotion counts as that, also where a part of a service gives way to another one (B25).
        """
        if line.action is Action.UPDATE and not line.changes:
            return None
        root = lines[line.root]
        stays = root.action is not Action.DELETE or is_part(root, self.tree)
        own = _TRIGGER.get(line.action)
        return _PROMOTION.get(self.order.reason, own) if stays and line.action in _BY_PROMOTION else own

    def _asset(self, line: OrderLine, lines: Mapping[str, OrderLine]) -> Asset | None:
        """The asset a line is about: of the new half of a move, that of the old half."""
        return asset_of(self.tree, lines.get(line.related_line or "") if line.action is Action.MOVE_ADD else line)

    def _affected(self, target: Asset, trigger: ChargeTrigger, lines: Mapping[str, OrderLine]) -> Iterator[Asset]:
        """The services that a change of an asset touches: its own, and those nested in it (B26, Q18)."""
        touched = {
            x.asset for x in lines.values() if self._trigger(x, lines) is not None or x.action is Action.MOVE_DELETE
        }
        whole = trigger in (ChargeTrigger.UPDATE, *_PROMOTION.values())
        if not self.facts.product(target).is_service:
            yield from [x for x in above(self.tree, target) if self.facts.product(x).is_service][:1]
        for asset in (target, *self._all_below(target)):
            if asset.is_live and (whole or asset.id in touched) and self.facts.product(asset).is_service:
                yield asset

    def _all_below(self, asset: Asset) -> Iterator[Asset]:
        for child in below(self.tree, asset):
            yield child
            yield from self._all_below(child)

    def _definition(self, service: Asset, trigger: ChargeTrigger) -> ServiceCharge | None:
        """What a change of a service costs: by the catalog of today, as long as it has the product."""
        product: Product = self.catalog.get(service.product) or self.facts.product(service)
        return next((x for x in product.service_charges if x.trigger is trigger), None)

    def _charge(
        self, definition: ServiceCharge, service: Asset, target: OrderLine, lines: Mapping[str, OrderLine]
    ) -> OrderLine:
        own = next((x for x in lines.values() if self._is_line_of(x, service, lines)), None)
        onto = own or target
        return OrderLine(
            id=f"{onto.id}.{definition.trigger}",
            root=onto.root,
            parent=onto.id,
            product=definition.product,
            related_line=onto.id,
            due_date=onto.due_date,
            service=None if own else service.id,
            **{x: getattr(onto, x) for x in ACCOUNT_FIELDS},
        )

    def _is_line_of(self, line: OrderLine, service: Asset, lines: Mapping[str, OrderLine]) -> bool:
        return line.action is not Action.MOVE_DELETE and self._asset(line, lines) is service


def _differs(asset: Asset, field: str, wanted: Any) -> bool:  # noqa: ANN401 - whatever the field holds
    if field == "attributes":
        return bool(wanted.items() - asset.attributes.items())
    return bool(wanted != asset.said(field))


def _own_id(onto: OrderLine, asset: Asset, lines: Mapping[str, OrderLine]) -> str:
    """The id of a line that we make: by the line above and the asset, so that it is the same every time."""
    return _free(f"{onto.id}.{asset.id[:8]}", lines)


def _free(wanted: str, taken: Iterable[str]) -> str:
    """The id, or with as many dashes as it takes to be nobody else's."""
    names = set(taken)
    while wanted in names:
        wanted += "-"
    return wanted


def _in_tree_order(order: Order, lines: Sequence[OrderLine]) -> Iterator[OrderLine]:
    """The lines as they are read: each with those below it, the trees in the order in which they came."""
    children: dict[str | None, list[OrderLine]] = {}
    for line in lines:
        children.setdefault(line.parent, []).append(line)
    place = {x.id: n for n, x in enumerate(order.roots)}
    waiting = sorted(children.get(None, ()), key=lambda x: -place[x.id])
    while waiting:
        yield (line := waiting.pop())
        waiting.extend(reversed(children.get(line.id, ())))
