"""What must hold before something installed is changed (2.2, A18-A20)."""

from collections import Counter
from collections.abc import Iterator

from domain.asset import ALLOWED_ON, Asset, AssetStatus, above, below
from domain.catalog import BillingType, Kind
from domain.change import CASCADING, LOCATION, status_when_due
from domain.facts import Pending
from domain.order import ACCOUNT_FIELDS, Action, OrderLine
from domain.reading import Place, Reading, Rule, broken
from domain.violation import Violation

_RULE = {Action.DELETE: "A20", Action.MOVE_ADD: "2.2", Action.MOVE_DELETE: "2.2"}
_NEW = frozenset({Action.ADD, Action.MOVE_ADD})
_OF_WHOLES = frozenset({Action.SUSPEND, Action.RESUME, Action.MOVE_DELETE})
_RESTS = frozenset({Action.SUSPEND, Action.RESUME})
_MOVED_AS_A_WHOLE = "It is moved with the service that it is part of."
DISCONNECTING = "A request has already been made to disconnect this service item"


def _a_new_product_has_no_asset(place: Place, _: Reading) -> Iterator[Violation]:
    """An Add names no asset (A18)."""
    if place.line.action in _NEW and place.line.asset is not None:
        message = "A new product has no asset yet; to change an existing one, use another action."
        yield broken("ASSET_STATE", "A18", message, place.line, "asset")


def _asset_allows_it(place: Place, reading: Reading) -> Iterator[Violation]:
    """Any change names one of the account's assets, in a state that allows it when it is due (A19, A20)."""
    line, rule = place.line, _RULE.get(place.line.action, "A19")
    if line.action in _NEW:
        return
    if line.asset is None:
        if line.action is not Action.NONE or any(x.line.action is Action.ADD for x in place.below):
            yield broken("ASSET_STATE", rule, "The line must name the asset it is about.", line, "asset")
        return
    asset = place.asset
    known = reading.facts.assets.get(line.asset)
    if (known or asset) is None or (asset or known).account != reading.order.account:  # type: ignore[union-attr]
        yield broken("ASSET_STATE", rule, "The account has no such asset.", line, "asset")
    elif asset is None:
        yield broken("STRUCTURE", "B01", "The asset is part of another service than the line above.", line, "asset")
    else:
        yield from _state_allows_it(place, asset, reading, rule)
        yield from _asset_keeps_its_product(place, asset, reading)


def _state_allows_it(place: Place, asset: Asset, reading: Reading, rule: str) -> Iterator[Violation]:
    line = place.line
    is_context = line.action is Action.NONE
    if is_context and not any(x.line.action is Action.ADD for x in place.below):
        return
    rests_with_the_rest = place.above is not None and line.action is place.above.line.action in _RESTS
    if not rests_with_the_rest and (other := _disconnecting(asset, reading, place)) is not None:
        yield broken("OPEN_DELETE", "A20", f"{DISCONNECTING}: order {other.number}.", line, "asset")
        return
    status = status_when_due(asset, line, reading.order, place.tree, reading.facts)
    if is_context:
        if status is not AssetStatus.ACTIVE:
            yield broken("ASSET_STATE", rule, f"Nothing can be added to an asset that is {status}.", line, "asset")
    elif status not in ALLOWED_ON[line.action]:
        last = _last_change(asset, reading) if status != _now(asset, reading) else None
        by = f", by order {last.number}," if last else ""
        message = f"An asset that is {status}{by} does not allow this action."
        yield broken("ASSET_STATE", rule, message, line, "action")


def _disconnecting(asset: Asset, reading: Reading, place: Place) -> Pending | None:
    """The order before this one that deletes the asset, or what it is part of, whenever it is due."""
    whole = {asset.id, *(x.id for x in above(place.tree, asset))}
    gone = (Action.DELETE, Action.MOVE_DELETE)
    earlier = (x for x in reading.facts.pending if x.number < reading.facts.number)
    asked = (x for x in earlier if any(y.action in gone and y.asset in whole for y in x.lines))
    return next(asked, None)


def _last_change(asset: Asset, reading: Reading) -> Pending | None:
    """The open order that leaves the asset as it will be."""
    asked = [x for x in reading.facts.pending if any(y.asset == asset.id for y in x.lines)]
    return max(asked, key=lambda x: (x.due, x.number), default=None)


def _now(asset: Asset, reading: Reading) -> AssetStatus | None:
    known = reading.facts.assets.get(asset.id)
    return known.status if known else None


def _asset_keeps_its_product(place: Place, asset: Asset, reading: Reading) -> Iterator[Violation]:
    """An asset's product never changes; another simple service bundle or a bundle is a new instance (B43, B68, B69)."""
    if asset.product == place.line.product:
        return
    code, rule = "ASSET_STATE", "B69"
    if reading.product(asset).kind is Kind.SIMPLE_SERVICE_BUNDLE:
        match place.kind:
            case Kind.SIMPLE_SERVICE_BUNDLE:
                code, rule = "SSB_SWITCH", "B43"
            case Kind.SERVICE_BUNDLE:
                code, rule = "SSB_TO_SB", "B68"
            case _:
                pass
    message = "An asset keeps its product: delete the old one and add the new one, which is a new service."
    yield broken(code, rule, message, place.line, "product")


def _lines_follow_their_assets(place: Place, _: Reading) -> Iterator[Violation]:
    """A line about an asset stands under that of the asset's parent, and each asset has one line in a bundle."""
    over = place.above
    if place.asset is None or over is None or over.asset is None:
        return
    if place.asset.parent != over.asset.id:
        yield broken("STRUCTURE", "B01", "The asset is not part of that of the line above.", place.line, "asset")
    elif sum(x.asset is place.asset for x in over.below) > 1:
        yield broken("STRUCTURE", "B01", "Another line is about the same asset.", place.line, "asset")


def _what_reaches_everything_reaches_everything(place: Place, reading: Reading) -> Iterator[Violation]:
    """What is deleted, suspended, resumed or moved is so with all its parts (A20).

    Those have a line when the order is taken; what has joined since, or should have ended by now and has not, has none
    unless the order is revised.
    """
    over = place.above
    whole = over is not None and (over.line.action in CASCADING or over.line.action is Action.MOVE_ADD)
    if over and whole and place.line.action is not over.line.action:
        message = "The line above reaches all that the asset consists of: leave this line out, or give it that action."
        yield broken("STRUCTURE", "A20", message, place.line, "action")
    if place.asset is None or place.line.action not in CASCADING:
        return
    reached = {x.line.asset for x in place.below}
    for part in below(place.tree, place.asset):
        status = status_when_due(part, place.line, reading.order, place.tree, reading.facts)
        if part.id not in reached and status in ALLOWED_ON[place.line.action]:
            message = f"A {part.product} is part of it, and was not to be by now: revise the order, and try again."
            yield broken("STRUCTURE", "A20", message, place.line, "lines")


def _a_part_goes_with_its_service(place: Place, reading: Reading) -> Iterator[Violation]:
    """A part of a service is modified and disconnected alone, but not suspended or resumed; only roots are moved."""
    asset, line, over = place.asset, place.line, place.above
    if asset is None or asset.parent is None or line.action not in _OF_WHOLES:
        return
    if over is not None and over.line.action is line.action:
        return
    if line.action is Action.MOVE_DELETE:
        yield broken("ASSET_STATE", "2.2", _MOVED_AS_A_WHOLE, line, "action")
    elif not reading.product(asset).is_service:
        message = "It is suspended and resumed with the service that it is part of."
        yield broken("ASSET_STATE", "A19", message, line, "action")
    elif line.action is Action.RESUME and place.tree[asset.parent].status is not AssetStatus.ACTIVE:
        yield broken("ASSET_STATE", "A19", "The service that it is part of is not active.", line, "action")


def _what_goes_along_does_not_rest(place: Place, _: Reading) -> Iterator[Violation]:
    """A service is moved, or gets other accounts, with all its parts: what rests would be left behind (2.2, B22)."""
    asset, line = place.asset, place.line
    shares = line.action is Action.UPDATE and place.scope is not None and {*ACCOUNT_FIELDS} & {*(line.changes or ())}
    if asset is None or asset.status is not AssetStatus.ACTIVE or not (shares or line.action is Action.MOVE_DELETE):
        return
    if any(x.status is AssetStatus.SUSPENDED for x in below(place.tree, asset)):
        message = "A part of it is suspended, and would be left behind: resume or disconnect that first."
        yield broken("ASSET_STATE", "B22" if shares else "2.2", message, line, "action")


def _simple_bundle_ends_as_a_whole(place: Place, reading: Reading) -> Iterator[Violation]:
    """Nothing of a simple service bundle is cancelled without the service itself (B52)."""
    asset, over = place.asset, place.above
    if place.line.action is not Action.DELETE or (over is not None and over.line.action is Action.DELETE):
        return
    parent = place.tree.get(asset.parent or "") if asset else None
    kind = over.kind if over else reading.product(parent).kind if parent else None
    if kind is Kind.SIMPLE_SERVICE_BUNDLE:
        message = "Service and product of a simple service bundle end together: delete the service."
        yield broken("SSB_PRODUCT_CANCEL", "B52", message, place.line, "action")


def _enough_is_left(place: Place, reading: Reading) -> Iterator[Violation]:
    """What is deleted by itself leaves its parent with as many components as it needs (B01)."""
    asset = place.asset if place.line.action is Action.DELETE and place.above is None else None
    parent = place.tree.get(asset.parent or "") if asset else None
    if asset is None or parent is None or not asset.is_live:
        return
    needed = next((x.min for x in reading.product(parent).components if x.product == asset.product), 0)
    left = Counter(x.product for x in below(place.tree, parent) if x.is_live)[asset.product] - 1
    if left < needed:
        message = f"The service needs at least {needed} of its component {asset.product}."
        yield broken("STRUCTURE", "B01", message, place.line, "action")


def _an_update_changes_something(place: Place, _: Reading) -> Iterator[Violation]:
    """An update says what is to be otherwise, on its line or on one below."""
    asked = any(x.line.action is not Action.NONE for x in place.below)
    if place.line.action is Action.UPDATE and place.asset and not place.line.changes and not asked:
        yield broken("ASSET_STATE", "A19", "The asset is that already: nothing would change.", place.line, "action")


def _what_is_given_has_a_meaning(place: Place, _: Reading) -> Iterator[Violation]:
    """Only an update, or a move, gives an asset new values (A19, B54): elsewhere they would be lost without a word.

    What an asset is already may be said of it anywhere.
    """
    line = place.line
    if line.action not in (*_NEW, Action.UPDATE):
        for name in line.changes or ():
            message = "This action changes nothing else about the asset: leave the value out, or update the asset."
            yield broken("STRUCTURE", "A19", message, line, name)
    if line.location is not None and line.action is not Action.ADD:
        message = "Only what is new is taken from a stock location: leave it out."
        yield broken("STRUCTURE", "A19", message, line, "location")
    if line.related_line is not None and line.action not in (Action.MOVE_ADD, Action.MOVE_DELETE):
        message = "Only the two halves of a move name each other: leave it out."
        yield broken("STRUCTURE", "2.2", message, line, "related_line")


def _what_is_one_change_is_due_on_one_day(place: Place, reading: Reading) -> Iterator[Violation]:
    """The lines of a bundle, and both halves of a move or replacement, are carried out together (2.2, C35)."""
    line, told = place.line, place.above is not None and place.above.line.due_date == place.line.due_date
    if place.tree and not told and line.due_date not in (None, reading.order.by_id[line.root].due_date):
        message = "It is carried out together with the line that it stands under, or belongs to: on that line's day."
        yield broken("STRUCTURE", "C35", message, line, "due_date")


def _what_is_held_keeps_its_quantity(place: Place, reading: Reading) -> Iterator[Violation]:
    """More or fewer of what has numbers out of a pool, or was delivered, are ordered or disconnected (B56, F13)."""
    asset = place.asset
    if asset is None or place.line.action is not Action.UPDATE or "quantity" not in (place.line.changes or ()):
        return
    product = reading.product(asset)
    if product.pool or product.sku:
        message = "It has numbers out of a pool, or was delivered: order more of it, or disconnect what is too much."
        yield broken("QTY", "B56", message, place.line, "quantity")


def _only_what_is_bought_and_goes_on_has_another_price(place: Place, _: Reading) -> Iterator[Violation]:
    """Of a service bundle nothing is purchased, and an Item was charged once: billing would never hear of it (B56)."""
    line, product = place.line, place.product
    if line.action is not Action.UPDATE or "price" not in (line.changes or ()) or product is None:
        return
    if product.billing_type not in (BillingType.SUBSCRIPTION, BillingType.DISCOUNT):
        message = "Nothing is billed for it again and again: a service bundle's components have the prices."
        yield broken("PRICE", "B56", message, line, "price")


def _a_move_has_two_halves(place: Place, reading: Reading) -> Iterator[Violation]:
    """A Move-Add has exactly one Move-Delete of the same product, which is somewhere else; billing stays (2.2, B53)."""
    line, over = place.line, place.above
    if line.action is Action.MOVE_ADD and over is not None and over.line.action is not line.action:
        yield broken("ASSET_STATE", "2.2", _MOVED_AS_A_WHOLE, line, "action")
    if line.parent is not None or line.action not in (Action.MOVE_ADD, Action.MOVE_DELETE):
        return
    other = reading.order.by_id.get(line.related_line or "")
    if other is None:
        message = "A move is two lines, move_add and move_delete, that name each other where it is not clear."
        yield broken("ASSET_STATE", "2.2", message, line, "related_line")
    elif line.action is Action.MOVE_ADD:
        yield from _moves(line, other)


def _moves(new: OrderLine, old: OrderLine) -> Iterator[Violation]:
    if new.product != old.product:
        yield broken("ASSET_STATE", "2.2", "A service is moved as what it is.", new, "product")
    if all(getattr(new, x) == getattr(old, x) for x in LOCATION):
        message = "A service is moved to another service account or service point."
        yield broken("ASSET_STATE", "2.2", message, new, "service_point")
    for name in ("service_id", "billing_account", "billing_profile", "quantity", "price", "promotion_ref"):
        if name in (new.changes or ()):
            message = "A move changes where a service is, and neither its number nor its billing: update it for that."
            yield broken("ASSET_STATE", "B53", message, new, name)


def _what_is_replaced_is_deleted(place: Place, reading: Reading) -> Iterator[Violation]:
    """What takes the place of an asset comes with the line that deletes it (B69)."""
    line = place.line
    if line.replaces is None:
        return
    deleted = (x for x in reading.order.roots if x.action is Action.DELETE and x.asset == line.replaces)
    if line.action is not Action.ADD or line.parent is not None or not any(x.root == line.id for x in deleted):
        message = "What a new product replaces is deleted in the same order, by a line of its own."
        yield broken("ASSET_STATE", "B69", message, line, "replaces")


RULES: tuple[Rule, ...] = (
    _a_new_product_has_no_asset,
    _asset_allows_it,
    _lines_follow_their_assets,
    _what_reaches_everything_reaches_everything,
    _a_part_goes_with_its_service,
    _what_goes_along_does_not_rest,
    _simple_bundle_ends_as_a_whole,
    _enough_is_left,
    _an_update_changes_something,
    _what_is_given_has_a_meaning,
    _what_is_one_change_is_due_on_one_day,
    _what_is_held_keeps_its_quantity,
    _only_what_is_bought_and_goes_on_has_another_price,
    _a_move_has_two_halves,
    _what_is_replaced_is_deleted,
)
