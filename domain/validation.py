"""What must hold before an order is taken: every broken rule at once (2.9)."""

from collections import Counter
from collections.abc import Iterator

from domain import change_rules
from domain.asset import below
from domain.catalog import ACCOUNT_LEVEL, BillingType, Catalog, Kind, Lifecycle
from domain.change import CASCADING, due, foreseen
from domain.facts import Facts
from domain.order import ACCOUNT_FIELDS, Action, Order
from domain.reading import Place, Reading, Rule, broken, places
from domain.violation import Violation


def validate(order: Order, catalog: Catalog, facts: Facts) -> tuple[Violation, ...]:
    """Every rule the order breaks, line by line; nothing when it can be taken.

    The order's blanks have been filled by :func:`~domain.change.completed`.
    """
    reading = Reading(order, catalog, facts, foreseen(order, facts) if order.is_about_assets else {})
    standing, found = places(reading)
    if order.account not in facts.accounts:
        found.append(broken("ACCT_UNKNOWN", "B23", "There is no such account.", field="account"))
    if not catalog.version:
        message = "No catalog has been published yet: publish one first (PUT /v1/catalog)."
        found.append(broken("CATALOG_VERSION", "B01", message))
    for place in standing:
        for rule in _OF_CHARGES if place.line.is_charge else _RULES:
            found.extend(rule(place, reading))
    return tuple(found)


def _product_can_be_ordered(place: Place, reading: Reading) -> Iterator[Violation]:
    """The pinned catalog version has the product, and a new one is neither a draft nor retired."""
    if not reading.catalog.version:
        return  # said once, of the order
    if place.product is None:
        yield broken("CATALOG_VERSION", "B01", "The catalog has no such product.", place.line, "product")
    elif place.line.action is Action.ADD and place.product.lifecycle is not Lifecycle.ACTIVE:
        message = f"The product cannot be ordered: it is {_LIFECYCLE[place.product.lifecycle]}."
        yield broken("CATALOG_VERSION", "B01", message, place.line, "product")


_LIFECYCLE = {Lifecycle.DRAFT: "still a draft", Lifecycle.RETIRED: "retired"}


def _quantity_makes_sense(place: Place, _: Reading) -> Iterator[Violation]:
    """Quantities are positive (B47), and a service bundle is ordered one by one (Q12)."""
    if place.line.quantity < 1:
        yield broken("QTY", "B47", "The quantity must be at least 1.", place.line, "quantity")
    elif place.line.quantity > 1 and place.kind is Kind.SERVICE_BUNDLE:
        message = "A service bundle is ordered one by one: send a line for each."
        yield broken("SB_QTY", "Q12", message, place.line, "quantity")


def _price_is_in_the_products_currency(place: Place, _: Reading) -> Iterator[Violation]:
    """A line's own price stands for the product's: in its currency, and below zero only for a discount (F31)."""
    price, product, line = place.line.price, place.product, place.line
    if price is None or product is None or not (line.action is Action.ADD or "price" in (line.changes or ())):
        return
    if product.price is not None and price.currency != product.price.currency:
        yield broken("PRICE", "F31", "The price must be in the currency of the product's.", place.line, "price")
    elif price.minor < 0 and product.billing_type is not BillingType.DISCOUNT:
        yield broken("PRICE", "F31", "The price must not be below zero.", place.line, "price")


def _ends_after_it_has_begun(place: Place, reading: Reading) -> Iterator[Violation]:
    """A service end lies neither before the day the line is due nor before the service begins (C23).

    A slip of the pen would end a service at once.
    """
    line = place.line
    if line.service_end is None or not (
        line.action is Action.ADD or {"service_start", "service_end"} & {*(line.changes or ())}
    ):
        return
    day = due(reading.order, line.root, arrived=reading.facts.arrived).date()
    if line.service_end < max(day, line.service_start or day):
        message = "It would end before it begins, or before this is due: to end a service, disconnect it."
        yield broken("STRUCTURE", "C23", message, line, "service_end")


def _accounts_are_known(place: Place, reading: Reading) -> Iterator[Violation]:
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
            yield broken("ACCT_MISSING", "B23", message, line, name)
        elif value not in known and reading.order.account in reading.facts.accounts:
            noun = "billing profile" if name == "billing_profile" else "account"
            yield broken("ACCT_UNKNOWN", "B23", f"The order's account, with those below it, has no such {noun}.",
                             line, name)  # fmt: skip


def _bundle_shares_its_accounts(place: Place, _: Reading) -> Iterator[Violation]:
    """All lines under a service bundle have its accounts, nested services and non-billing products too (B22, Q7)."""
    scope, line = place.scope, place.line
    if scope is None or scope is line:
        return
    for name in ACCOUNT_FIELDS:
        mine, shared = getattr(line, name), getattr(scope, name)
        if mine and shared and mine != shared:
            message = f"The {name.replace('_', ' ')} must be that of the service bundle the line stands in."
            yield broken("ACCT_MISMATCH", "B22", message, line, name)


def _simple_bundle_has_one_account(place: Place, reading: Reading) -> Iterator[Violation]:
    """A simple service bundle's service account, billing account and owner of the profile are one account (B44, Q8)."""
    line = place.line
    if place.kind is not Kind.SIMPLE_SERVICE_BUNDLE or not (line.service_account and line.billing_account):
        return
    owner = reading.facts.profiles.get(line.billing_profile or "")
    if line.billing_account != line.service_account:
        message = "The billing account of a simple service bundle must be its service account."
        yield broken("SSB_ACCT", "B44", message, line, "billing_account")
    elif owner and owner != line.service_account:
        message = "The billing profile of a simple service bundle must belong to its service account."
        yield broken("SSB_ACCT", "B44", message, line, "billing_profile")


def _lines_stand_under_their_bundle(place: Place, _: Reading) -> Iterator[Violation]:
    """Lines below are of the product's components (B01, B08); a simple service bundle takes none by hand (B41)."""
    if place.product is None or not place.below:
        return
    components = {component.product for component in place.product.components}
    added = (x for x in place.below if x.line.action is Action.ADD and not x.line.is_charge)
    for line in (x.line for x in added if x.product and x.product.code not in components):
        if place.kind is Kind.SIMPLE_SERVICE_BUNDLE:
            message = "Nothing can be added to a simple service bundle: it has only the events synchronized with it."
            yield broken("SSB_CHILD", "B41", message, line, "product")
        else:
            message = "The product is not a component of the product that the line stands under."
            yield broken("STRUCTURE", "B08", message, line, "product")


def _components_are_as_many_as_allowed(place: Place, _: Reading) -> Iterator[Violation]:
    """Each component has its number of lines under each parent line; a service bundle has at least one (B01).

    The events of a simple service bundle come with it, ordered or not (B37). What is installed counts with what is
    added to it, and without what is deleted.
    Whether one is missing is not asked beside a line whose product is unknown: it may be the one that was meant.
    """
    is_new = place.line.action is Action.ADD
    if place.product is None or place.line.action in CASCADING or not (is_new or place.below):
        return
    asked = [(x.line.action, x.line.product) for x in place.below if not x.line.is_charge]
    added = Counter(product for action, product in asked if action is Action.ADD)
    deleted = Counter(product for action, product in asked if action is Action.DELETE)
    parts = below(place.tree, place.asset) if place.asset else ()
    installed = Counter(x.product for x in parts if x.is_live)
    needs_all = is_new and place.kind is not Kind.SIMPLE_SERVICE_BUNDLE and all(x.product for x in place.below)
    found = []
    for component in place.product.components:
        code = component.product
        count = installed[code] + added[code] - deleted[code]
        if count > component.max and added[code]:
            found.append(f"The product takes at most {component.max} of its component {code}.")
        elif count < component.min and (needs_all or deleted[code]):
            found.append(f"The product needs at least {component.min} of its component {code}.")
    if place.kind is Kind.SERVICE_BUNDLE and is_new and not place.below and not found:
        found.append("A service bundle needs at least one component.")
    for message in found:
        yield broken("STRUCTURE", "B01", message, place.line, "lines")


def _service_holds_what_is_billed(place: Place, _: Reading) -> Iterator[Violation]:
    """What is billed for a service stands under a service; only what is billed to the account stands alone (Q22)."""
    if place.product is None or place.scope is not None or place.is_lost or place.kind is Kind.NON_BILLING:
        return
    if place.line.action is not Action.ADD:
        return
    if place.product.billing_service_type != ACCOUNT_LEVEL:
        message = "The product is billed for a service, and the line stands under no service bundle."
        yield broken("NO_SERVICE", "Q22", message, place.line, "product")


def _a_charge_is_made_by_us(place: Place, reading: Reading) -> Iterator[Violation]:
    """What a change costs is added to the order by itself (B26), and what is new costs nothing besides."""
    if place.below or not reading.order.is_about_assets:
        message = "What a change costs is added by itself: leave this line out, or its `related_line`."
        yield broken("STRUCTURE", "B26", message, place.line, "related_line")


_RULES: tuple[Rule, ...] = (
    _product_can_be_ordered,
    _quantity_makes_sense,
    _price_is_in_the_products_currency,
    _ends_after_it_has_begun,
    _accounts_are_known,
    _bundle_shares_its_accounts,
    _simple_bundle_has_one_account,
    _lines_stand_under_their_bundle,
    _components_are_as_many_as_allowed,
    _service_holds_what_is_billed,
    *change_rules.RULES,
)
_OF_CHARGES: tuple[Rule, ...] = (_product_can_be_ordered, _a_charge_is_made_by_us)
