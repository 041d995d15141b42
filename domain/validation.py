"""What must hold before an order is taken: every broken rule at once (2.9)."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from domain.asset import ALLOWED_ON, AssetStatus
from domain.catalog import ACCOUNT_LEVEL, BillingType, Catalog, Kind, Lifecycle, Product
from domain.order import ACCOUNT_FIELDS, Action, Order, OrderLine
from domain.violation import Violation


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountFact:
    """An account that exists; ``synced`` when billing has been told of it (F34)."""

    synced: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class AssetFact:
    """An installed asset: its product, the customer account that owns it, and whether it runs."""

    product: str
    account: str
    status: AssetStatus


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What is known of the ids an order mentions, by id; ``profiles`` maps a billing profile to the account owning it.

    Accounts and profiles are those of the order's customer: its account and all below it. An id that is missing here
    does not exist, as far as that customer is concerned.
    """

    accounts: Mapping[str, AccountFact] = field(default_factory=dict)
    profiles: Mapping[str, str] = field(default_factory=dict)
    assets: Mapping[str, AssetFact] = field(default_factory=dict)

    @property
    def unsynced_accounts(self) -> frozenset[str]:
        """The accounts that billing has not been told of yet (F34)."""
        return frozenset(account for account, fact in self.accounts.items() if not fact.synced)


@dataclass(frozen=True, slots=True, kw_only=True)
class Lookups:
    """The ids that :class:`Facts` are needed of, and the account of the customer whose they have to be."""

    account: str
    accounts: frozenset[str]
    profiles: frozenset[str]
    assets: frozenset[str]


def lookups(order: Order) -> Lookups:
    """The accounts, billing profiles and assets an order mentions, in its header and its lines."""
    parts: tuple[Order | OrderLine, ...] = (order, *order.lines)
    accounts = {order.account, *(x.billing_account for x in parts), *(x.service_account for x in parts)}
    return Lookups(
        account=order.account,
        accounts=frozenset(x for x in accounts if x),
        profiles=frozenset(x.billing_profile for x in parts if x.billing_profile),
        assets=frozenset(x.asset for x in order.lines if x.asset),
    )


def validate(order: Order, catalog: Catalog, facts: Facts) -> tuple[Violation, ...]:
    """Every rule the order breaks, line by line; nothing when it can be taken.

    The order's blanks have been filled by :func:`~domain.order.with_defaults`.
    """
    reading = _Reading(order.account, catalog, facts)
    places, found = _places(order, catalog)
    if order.account not in facts.accounts:
        found.append(_violation("ACCT_UNKNOWN", "B23", "There is no such account.", field="account"))
    if not catalog.version:
        message = "No catalog has been published yet: publish one first (PUT /v1/catalog)."
        found.append(_violation("CATALOG_VERSION", "B01", message))
    for place in places:
        for rule in _RULES:
            found.extend(rule(place, reading))
    return tuple(found)


@dataclass(frozen=True, slots=True)
class _Reading:
    account: str
    catalog: Catalog
    facts: Facts


@dataclass(slots=True)
class _Place:
    """A line where it stands: under ``above``, within the outermost service bundle ``scope``, which may be itself.

    ``is_lost`` under a product that the catalog does not have: nobody can tell what it stands in.
    """

    line: OrderLine
    product: Product | None
    kind: Kind | None
    above: "_Place | None"
    scope: "OrderLine | None"
    is_lost: bool = False
    below: "list[_Place]" = field(default_factory=list)


_SERVICES = frozenset({Kind.SERVICE_BUNDLE, Kind.SIMPLE_SERVICE_BUNDLE})


def _places(order: Order, catalog: Catalog) -> tuple[list[_Place], list[Violation]]:
    """The tree of the lines; a line that is named twice or stands under no earlier line breaks it."""
    places: dict[str, _Place] = {}
    found: list[Violation] = []
    kinds = {product.code: product.kind for product in catalog}
    for line in order.lines:
        if line.id in places:
            found.append(_violation("STRUCTURE", "B01", "Another line has the same id.", line, "id"))
            continue
        above = places.get(line.parent) if line.parent is not None else None
        if line.parent is not None and above is None:
            found.append(_violation("STRUCTURE", "B01", "No earlier line has the parent's id.", line, "parent"))
        kind = kinds.get(line.product)
        scope = above.scope if above else None
        scope = line if scope is None and kind in _SERVICES else scope
        is_lost = above is not None and (above.is_lost or above.product is None)
        places[line.id] = place = _Place(line, catalog.get(line.product), kind, above, scope, is_lost)
        if above:
            above.below.append(place)
    return list(places.values()), found


def _product_can_be_ordered(place: _Place, reading: _Reading) -> Iterator[Violation]:
    """The pinned catalog version has the product, and a new one is neither a draft nor retired."""
    if not reading.catalog.version:
        return  # said once, of the order
    if place.product is None:
        yield _violation("CATALOG_VERSION", "B01", "The catalog has no such product.", place.line, "product")
    elif place.line.action is Action.ADD and place.product.lifecycle is not Lifecycle.ACTIVE:
        message = f"The product cannot be ordered: it is {_LIFECYCLE[place.product.lifecycle]}."
        yield _violation("CATALOG_VERSION", "B01", message, place.line, "product")


_LIFECYCLE = {Lifecycle.DRAFT: "still a draft", Lifecycle.RETIRED: "retired"}


def _quantity_makes_sense(place: _Place, _: _Reading) -> Iterator[Violation]:
    """Quantities are positive (B47), and a service bundle is ordered one by one (Q12)."""
    if place.line.quantity < 1:
        yield _violation("QTY", "B47", "The quantity must be at least 1.", place.line, "quantity")
    elif place.line.quantity > 1 and place.kind is Kind.SERVICE_BUNDLE:
        message = "A service bundle is ordered one by one: send a line for each."
        yield _violation("SB_QTY", "Q12", message, place.line, "quantity")


def _price_is_in_the_products_currency(place: _Place, _: _Reading) -> Iterator[Violation]:
    """A line's own price stands for the product's: in its currency, and below zero only for a discount (F31)."""
    price, product = place.line.price, place.product
    if price is None or product is None:
        return
    if product.price is not None and price.currency != product.price.currency:
        yield _violation("PRICE", "F31", "The price must be in the currency of the product's.", place.line, "price")
    elif price.minor < 0 and product.billing_type is not BillingType.DISCOUNT:
        yield _violation("PRICE", "F31", "The price must not be below zero.", place.line, "price")


def _accounts_are_known(place: _Place, reading: _Reading) -> Iterator[Violation]:
    """Each line has its three accounts, and they are the customer's (B23): said where a value first stands.

    Whether another customer's exists is nobody's business: it is answered like one that does not.
    """
    line, above = place.line, place.above.line if place.above else None
    for name in ACCOUNT_FIELDS:
        value = getattr(line, name)
        if above and getattr(above, name) == value:
            continue
        known = reading.facts.profiles if name == "billing_profile" else reading.facts.accounts
        if not value:
            message = "Neither the line nor its root line nor the order names one."
            yield _violation("ACCT_MISSING", "B23", message, line, name)
        elif value not in known and reading.account in reading.facts.accounts:
            noun = "billing profile" if name == "billing_profile" else "account"
            yield _violation("ACCT_UNKNOWN", "B23", f"The order's account, with those below it, has no such {noun}.",
                             line, name)  # fmt: skip


def _bundle_shares_its_accounts(place: _Place, _: _Reading) -> Iterator[Violation]:
    """All lines under a service bundle have its accounts, nested services and non-billing products too (B22, Q7)."""
    scope, line = place.scope, place.line
    if scope is None or scope is line:
        return
    for name in ACCOUNT_FIELDS:
        mine, shared = getattr(line, name), getattr(scope, name)
        if mine and shared and mine != shared:
            message = f"The {name.replace('_', ' ')} must be that of the service bundle the line stands in."
            yield _violation("ACCT_MISMATCH", "B22", message, line, name)


def _simple_bundle_has_one_account(place: _Place, reading: _Reading) -> Iterator[Violation]:
    """A simple service bundle's service account, billing account and owner of the profile are one account (B44, Q8)."""
    line = place.line
    if place.kind is not Kind.SIMPLE_SERVICE_BUNDLE or not (line.service_account and line.billing_account):
        return
    owner = reading.facts.profiles.get(line.billing_profile or "")
    if line.billing_account != line.service_account:
        message = "The billing account of a simple service bundle must be its service account."
        yield _violation("SSB_ACCT", "B44", message, line, "billing_account")
    elif owner and owner != line.service_account:
        message = "The billing profile of a simple service bundle must belong to its service account."
        yield _violation("SSB_ACCT", "B44", message, line, "billing_profile")


def _lines_stand_under_their_bundle(place: _Place, _: _Reading) -> Iterator[Violation]:
    """Lines below are of the product's components (B01, B08); a simple service bundle takes none by hand (B41)."""
    if place.product is None or not place.below:
        return
    components = {component.product for component in place.product.components}
    for line in (x.line for x in place.below if x.product and x.product.code not in components):
        if place.kind is Kind.SIMPLE_SERVICE_BUNDLE:
            message = "Nothing can be added to a simple service bundle: it has only the events synchronized with it."
            yield _violation("SSB_CHILD", "B41", message, line, "product")
        else:
            message = "The product is not a component of the product that the line stands under."
            yield _violation("STRUCTURE", "B08", message, line, "product")


def _simple_bundle_ends_as_a_whole(place: _Place, _: _Reading) -> Iterator[Violation]:
    """Nothing of a simple service bundle is cancelled without the service itself (B52)."""
    above = place.above
    if above is None or above.kind is not Kind.SIMPLE_SERVICE_BUNDLE:
        return
    if place.line.action is Action.DELETE and above.line.action is not Action.DELETE:
        message = "Service and product of a simple service bundle end together: delete the service."
        yield _violation("SSB_PRODUCT_CANCEL", "B52", message, place.line, "action")


def _components_are_as_many_as_allowed(place: _Place, _: _Reading) -> Iterator[Violation]:
    """Each component has its number of lines under each parent line; a service bundle has at least one (B01).

    The events of a simple service bundle come with it, ordered or not (B37); an existing parent has components already.
    Whether one is missing is not asked beside a line whose product is unknown: it may be the one that was meant.
    """
    is_new = place.line.action is Action.ADD
    if place.product is None or not (is_new or place.below):
        return
    lines = Counter(x.line.product for x in place.below)
    needs_all = is_new and place.kind is not Kind.SIMPLE_SERVICE_BUNDLE and all(x.product for x in place.below)
    found = []
    for component in place.product.components:
        count = lines[component.product]
        if count > component.max:
            found.append(f"The product takes at most {component.max} of its component {component.product}.")
        elif count < component.min and needs_all:
            found.append(f"The product needs at least {component.min} of its component {component.product}.")
    if place.kind is Kind.SERVICE_BUNDLE and not place.below and not found:
        found.append("A service bundle needs at least one component.")
    for message in found:
        yield _violation("STRUCTURE", "B01", message, place.line, "lines")


def _service_holds_what_is_billed(place: _Place, _: _Reading) -> Iterator[Violation]:
    """What is billed for a service stands under a service; only what is billed to the account stands alone (Q22)."""
    if place.product is None or place.scope is not None or place.is_lost or place.kind is Kind.NON_BILLING:
        return
    if place.product.billing_service_type != ACCOUNT_LEVEL:
        message = "The product is billed for a service, and the line stands under no service bundle."
        yield _violation("NO_SERVICE", "Q22", message, place.line, "product")


def _asset_allows_it(place: _Place, reading: _Reading) -> Iterator[Violation]:
    """An Add names no asset (A18); any change names one of the account's, in a state that allows it (A19, A20)."""
    line = place.line
    if line.action in (Action.ADD, Action.MOVE_ADD):
        if line.asset is not None:
            message = "A new product has no asset yet; to change an existing one, use another action."
            yield _violation("ASSET_STATE", "A18", message, line, "asset")
        return
    rule = "A20" if line.action is Action.DELETE else "A19"
    asset = reading.facts.assets.get(line.asset) if line.asset else None
    if line.asset is None:
        if line.action is not Action.NONE or any(x.line.action is Action.ADD for x in place.below):
            yield _violation("ASSET_STATE", rule, "The line must name the asset it is about.", line, "asset")
    elif asset is None or asset.account != reading.account:
        yield _violation("ASSET_STATE", rule, "The account has no such asset.", line, "asset")
    else:
        if asset.status not in ALLOWED_ON[line.action]:
            message = f"An asset that is {asset.status} does not allow this action."
            yield _violation("ASSET_STATE", rule, message, line, "action")
        yield from _asset_keeps_its_product(place, asset, reading)


def _asset_keeps_its_product(place: _Place, asset: AssetFact, reading: _Reading) -> Iterator[Violation]:
    """An asset's product never changes; another simple service bundle or a bundle is a new instance (B43, B68, B69)."""
    if asset.product == place.line.product:
        return
    old = reading.catalog.get(asset.product)
    code, rule = "ASSET_STATE", "B69"
    if old and old.kind is Kind.SIMPLE_SERVICE_BUNDLE:
        match place.kind:
            case Kind.SIMPLE_SERVICE_BUNDLE:
                code, rule = "SSB_SWITCH", "B43"
            case Kind.SERVICE_BUNDLE:
                code, rule = "SSB_TO_SB", "B68"
            case _:
                pass
    message = "An asset keeps its product: delete the old one and add the new one, which is a new service."
    yield _violation(code, rule, message, place.line, "product")


def _action_is_offered(place: _Place, _: _Reading) -> Iterator[Violation]:
    """New products are fulfilled, changes not yet (A19); a context line asks for nothing."""
    if place.line.action not in (Action.ADD, Action.NONE):
        message = "This release adds new products; it does not carry out changes of installed assets yet."
        yield _violation("ACTION", "A19", message, place.line, "action")


_RULES: tuple[Callable[[_Place, _Reading], Iterator[Violation]], ...] = (
    _product_can_be_ordered,
    _quantity_makes_sense,
    _price_is_in_the_products_currency,
    _accounts_are_known,
    _bundle_shares_its_accounts,
    _simple_bundle_has_one_account,
    _lines_stand_under_their_bundle,
    _simple_bundle_ends_as_a_whole,
    _components_are_as_many_as_allowed,
    _service_holds_what_is_billed,
    _asset_allows_it,
    _action_is_offered,
)


def _violation(
    code: str, rule: str, message: str, line: OrderLine | None = None, field: str | None = None
) -> Violation:
    return Violation(code=code, rule=rule, message=message, line=line.id if line else None, field=field)
