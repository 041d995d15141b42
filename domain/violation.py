"""A broken rule, said so that whoever sent the input can mend it."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Violation:
    """One broken rule: a stable ``code``, the requirement row, where it is, and a sentence without echoed input.

    ``line`` is an order line's id; for a catalog it is ``None`` and ``product`` names the product.
    """

    code: str
    rule: str
    message: str
    line: str | None = None
    product: str | None = None
    field: str | None = None


def broken(code: str, rule: str, product: str, field: str, message: str) -> Violation:
    """A rule that one product of a catalog breaks."""
    return Violation(code=code, rule=rule, product=product, field=field, message=message)
