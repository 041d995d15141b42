"""Money: whole minor units of one currency, rounded in one place."""

from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Decimal, DecimalException

# Currencies whose minor unit is not a hundredth (ISO 4217); every other one has two decimals.
_DECIMALS = {"JPY": 0, "KRW": 0, "CLP": 0, "ISK": 0, "VND": 0, "BHD": 3, "JOD": 3, "KWD": 3, "OMR": 3, "TND": 3}

_MAX_DIGITS = 18


@dataclass(frozen=True, slots=True)
class Money:
    """An amount in whole minor units: ``Money(1999, "USD")`` is 19.99 US dollars."""

    minor: int
    currency: str

    @classmethod
    def parse(cls, amount: str, currency: str) -> "Money":
        """Read a decimal text such as ``"19.99"``; ``ValueError`` when it is no amount of that currency.

        Amounts have at most 18 digits, which any database and any neighbour can hold.
        """
        try:
            value = Decimal(amount).scaleb(decimals(currency))
        except DecimalException:
            value = Decimal("NaN")
        if not value.is_finite() or value.adjusted() >= _MAX_DIGITS or value != value.to_integral_value():
            message = f"not an amount in {currency}"
            raise ValueError(message)
        return cls(int(value), currency)

    def __str__(self) -> str:
        """The decimal text of the amount, without the currency: the inverse of :meth:`parse`."""
        return str(Decimal(self.minor).scaleb(-decimals(self.currency)))

    def times(self, quantity: int) -> "Money":
        """The exact price of a whole quantity."""
        return Money(self.minor * quantity, self.currency)

    def share(self, numerator: int, denominator: int) -> "Money":
        """A fraction of the amount, rounded half to even: the one place where money is rounded."""
        exact = Decimal(self.minor) * numerator / denominator
        return Money(int(exact.to_integral_value(rounding=ROUND_HALF_EVEN)), self.currency)


def decimals(currency: str) -> int:
    """How many decimals the currency's minor unit has."""
    return _DECIMALS.get(currency, 2)
