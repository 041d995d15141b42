"""What every shape has in common: strict, closed and bounded."""

import re
from datetime import UTC, date, datetime
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints


class Shape(BaseModel):
    """What is read: exactly the documented fields, each exactly of its type."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)


class Answer(BaseModel):
    """What is answered; describes it in the OpenAPI document, and is checked against real answers by the tests."""

    model_config = ConfigDict(extra="forbid")


# No control characters, no surrogates, and none that are invisible or turn the direction of writing.
_PRINTABLE = r"^[^\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff0-\uffff]+$"

Id = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", min_length=1, max_length=64)]
"""An identifier somebody chose: of an account, a billing profile, a line."""

Text = Annotated[str, StringConstraints(pattern=_PRINTABLE, min_length=1, max_length=100)]
"""One line of printable text."""

Sentence = Annotated[str, StringConstraints(pattern=_PRINTABLE, min_length=1, max_length=1_000)]
"""A longer line of printable text."""


MAX_PAGE = 200
"""How many entries one page of a list has at most."""

Cursor = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_=-]*$", max_length=300)]
"""Where the previous page of a list ended."""


def closed(schema: dict[str, Any]) -> None:
    """Say of a mapping that no other names than those of its pattern are allowed."""
    ((pattern, value),) = schema.pop("patternProperties").items()
    schema["propertyNames"] = {**schema.get("propertyNames", {}), "pattern": pattern}
    schema["additionalProperties"] = value


Uuid = Annotated[
    str,
    StringConstraints(pattern=r"^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$"),
    Field(json_schema_extra={"format": "uuid"}),
]
"""An identifier we made."""

_INSTANT = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)")
_DATE = re.compile(r"\d{4}-\d\d-\d\d")


def _instant(value: Any) -> Any:  # noqa: ANN401 - whatever was sent
    if isinstance(value, datetime):
        return value
    if not isinstance(value, str) or not _INSTANT.fullmatch(value):
        raise ValueError("An instant with its offset is expected, such as 2026-03-01T00:00:00Z.")
    try:
        return datetime.fromisoformat(value.upper()).astimezone(UTC)
    except (ValueError, OverflowError):
        raise ValueError("There is no such instant.") from None


def _date(value: Any) -> Any:  # noqa: ANN401
    if not isinstance(value, str) or not _DATE.fullmatch(value):
        raise ValueError("A date is expected, such as 2026-03-01.")
    try:
        return date.fromisoformat(value)
    except ValueError:
        raise ValueError("There is no such date.") from None


Instant = Annotated[datetime, BeforeValidator(_instant)]
"""A point in time, in UTC."""

Day = Annotated[date, BeforeValidator(_date)]
"""A calendar date."""

Amount = Annotated[str, StringConstraints(pattern=r"^-?[0-9]{1,15}(\.[0-9]{1,3})?$")]
Currency = Annotated[str, StringConstraints(pattern=r"^[A-Z]{3}$")]


class MoneyIn(Shape):
    """An amount as decimal text."""

    amount: Amount
    currency: Currency


class MoneyAnswer(Answer):
    """An amount as decimal text."""

    amount: str
    currency: str
