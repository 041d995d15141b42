"""How a neighbouring system can answer, and the three ways in which it may fail to."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

PAGE = 1_000
"""How many services a neighbour lists at once, at most."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """A definite business no: nothing happened, and asking again with the same key gives the same no.

    ``lines`` are those of the order that it is about, where the neighbour can tell.
    """

    code: str
    message: str
    lines: tuple[str, ...] = ()


class Unavailable(Exception):  # noqa: N818 - a surprise of the neighbour, named as operators say it
    """The neighbour did not act: refused the connection, was overloaded, failed before doing anything. Try again."""

    def __init__(self, message: str, *, retry_after_s: float | None = None) -> None:
        """``retry_after_s``: when the neighbour itself asked for a pause."""
        super().__init__(message)
        self.retry_after_s = retry_after_s


class OutcomeUnknown(Exception):  # noqa: N818
    """It was sent, and no answer came: ask by key before anything else."""


class Unacceptable(Exception):  # noqa: N818
    """It can never work: the neighbour does not understand the request, or we do not understand its answer."""


class OfService(Protocol):
    """Anything that is listed by the service it is about."""

    @property
    def service(self) -> str:
        """The service's key: an asset id."""
        ...


Listed = TypeVar("Listed", bound=OfService)


def every(page: Callable[[str], Sequence[Listed]]) -> Iterator[Listed]:
    """All that a neighbour lists, a page at a time: ``page`` gives those after a key, none when there are no more.

    ``Unacceptable`` when they do not come in ascending order, for then some could be missed.
    """
    last = ""
    while found := page(last):
        for one in found:
            if one.service < last:
                raise Unacceptable(f"a list is not in order: {one.service} comes after {last}")
            last = one.service
            yield one
