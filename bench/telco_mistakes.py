"""The ways to get a telephone company's order wrong: each breaks exactly one rule."""

from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import dataclass

from bench.telco_rows import STREAMING, Body, Customer, line

Change = Callable[[Body], object]
"""Changes one line in place."""

SERVICES = ("PHONE", "DSL", "FIBER")
INTERNET = ("DSL", "FIBER")
PACKAGES = ("PHONE-AND-DSL", "PHONE-AND-FIBER")
BOUGHT = ("PHONE-LINE", "DSL-ACCESS", "FIBER-ACCESS")
SOME_ASSET = "00000000-0000-4000-8000-000000000001"


@dataclass(frozen=True, slots=True)
class Mistake:
    """A rule, by code and requirement row, and how to break it; ``make`` changes an order and says whether it could."""

    name: str
    code: str
    rule: str
    make: Callable[[Body], bool]


def mistaken(body: Body, customer: Customer, stranger: Customer) -> Iterator[tuple[Mistake, Body]]:
    """Every mistake that an order has room for, with the order that makes it; some use another's accounts."""
    for mistake in (*_misplaced(), *_miscounted(), *_misbilled(customer), *_misnamed(stranger)):
        changed = deepcopy(body)
        if mistake.make(changed):
            yield mistake, changed


def _misplaced() -> Iterator[Mistake]:
    yield Mistake("add-on without internet", "STRUCTURE", "B08", _on("PHONE", change=_add("TECH-SUPPORT")))
    yield Mistake("extra lines without telephone", "STRUCTURE", "B08", _on(*INTERNET, change=_add("EXTRA-LINES")))
    both = _on("PHONE-AND-DSL", change=_add("FIBER", "FIBER-ACCESS"))
    yield Mistake("DSL and fiber at once", "STRUCTURE", "B08", both)
    yield Mistake("anything on streaming", "SSB_CHILD", "B41", _on(*STREAMING, change=_add("TECH-SUPPORT")))
    yield Mistake("component by itself", "NO_SERVICE", "Q22", _add_root("PHONE-LINE"))


def _miscounted() -> Iterator[Mistake]:
    yield Mistake("service without its access", "STRUCTURE", "B01", _on(*SERVICES, change=lambda x: x["lines"].pop(0)))
    yield Mistake("the same access twice", "STRUCTURE", "B01", _on(*SERVICES, change=_double))
    yield Mistake("half a package", "STRUCTURE", "B01", _on(*PACKAGES, change=lambda x: x["lines"].pop()))
    yield Mistake("two services in one line", "SB_QTY", "Q12", _on(*SERVICES, change=_set(quantity=2)))
    yield Mistake("none of it", "QTY", "B47", _on(*BOUGHT, change=_set(quantity=0)))


def _misbilled(customer: Customer) -> Iterator[Mistake]:
    account, profile = customer.second_account, customer.second_profile
    for field, value in (("billing_account", account), ("service_account", account), ("billing_profile", profile)):
        name = f"component with a {field} of its own"
        yield Mistake(name, "ACCT_MISMATCH", "B22", _on(*BOUGHT, change=_set(**{field: value})))
    yield Mistake("streaming for one account paid by another", "SSB_ACCT", "B44", _streaming_for(account))
    yield Mistake("nobody pays", "ACCT_MISSING", "B23", _set_header(billing_account=None))


def _misnamed(stranger: Customer) -> Iterator[Mistake]:
    yield Mistake("unknown profile", "ACCT_UNKNOWN", "B23", _set_header(billing_profile="NOBODY-BP"))
    theirs = {"billing_account": stranger.billing_account, "service_account": stranger.billing_account}
    theirs |= {"billing_profile": stranger.billing_profile}
    yield Mistake("somebody else pays", "ACCT_UNKNOWN", "B23", _set_header(**theirs))
    yield Mistake("unknown product", "CATALOG_VERSION", "B01", _add_root("TELEGRAPH"))
    yield Mistake("retired product", "CATALOG_VERSION", "B01", _on("PHONE", change=_add("PARTY-LINE")))
    yield Mistake("new product with an asset", "ASSET_STATE", "A18", _on(*BOUGHT, change=_set(asset=SOME_ASSET)))


def _lines(lines: list[Body]) -> Iterator[Body]:
    for x in lines:
        yield x
        yield from _lines(x["lines"])


def _on(*products: str, change: Change) -> Callable[[Body], bool]:
    """Change the first line of one of these products, if there is one."""

    def make(body: Body) -> bool:
        found = next((x for x in _lines(body["lines"]) if x["product"] in products), None)
        if found is not None:
            change(found)
        return found is not None

    return make


def _set(**fields: object) -> Change:
    return lambda found: found.update(fields)


def _add(product: str, *below: str) -> Change:
    return lambda found: found["lines"].append(_stray(product, *below))


def _stray(product: str, *below: str) -> Body:
    parts = ({"id": f"stray.{n}", **line(x)} for n, x in enumerate(below, 1))
    return {"id": "stray", **line(product, *parts)}


def _double(found: Body) -> None:
    found["lines"].append(found["lines"][0] | {"id": "stray"})


def _add_root(product: str) -> Callable[[Body], bool]:
    def make(body: Body) -> bool:
        body["lines"].append(_stray(product))
        return True

    return make


def _set_header(**fields: str | None) -> Callable[[Body], bool]:
    def make(body: Body) -> bool:
        body.update(fields)
        return True

    return make


def _streaming_for(account: str) -> Callable[[Body], bool]:
    """All of the order serves another account than the one that pays: only simple service bundles mind."""

    def make(body: Body) -> bool:
        body["service_account"] = account
        return any(x["product"] in STREAMING for x in _lines(body["lines"]))

    return make
