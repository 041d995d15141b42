"""Where something can go wrong, and what then does."""

import textwrap
from dataclasses import dataclass, replace
from enum import StrEnum


class When(StrEnum):
    """On which side of what happens there."""

    BEFORE = "before"
    AFTER = "after"


@dataclass(frozen=True, slots=True, order=True, kw_only=True)
class Boundary:
    """A place that a process passes: ``reserve (reserve:1): sql inventory_hold, before``, for the nth time.

    ``part`` is the process: worker, api or neighbours. ``within`` is the activity, the request or the operation that
    passes, ``about`` the steps it is about, ``what`` that which happens there.
    """

    part: str
    within: str
    about: str
    what: str
    when: When
    nth: int = 1

    @property
    def signature(self) -> tuple[str, str, str, When]:
        """What makes it a place of its own, whichever order passes it."""
        return self.part, self.within, self.what, self.when

    @property
    def unnumbered(self) -> "Boundary":
        """The place itself, however often it was passed."""
        return replace(self, nth=1)

    def __str__(self) -> str:
        again = f", for the {self.nth}. time" if self.nth > 1 else ""
        about = f" ({textwrap.shorten(self.about, 60)})" if self.about else ""
        return f"{self.part}: {self.within}{about}: {self.when} {self.what}{again}"


class Deed(StrEnum):
    """What befalls a process at a boundary."""

    KILL = "kill"
    """SIGKILL, by itself."""
    FREEZE = "freeze"
    """SIGSTOP, until somebody lets it go on."""
    CUT = "cut"
    """The connection to the database is lost: before, nothing was sent; after, it was done, and no answer came."""
    MEET = "meet"
    """It waits there until it is let go: so that something else happens exactly then."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Strike:
    """A deed at a boundary."""

    at: Boundary
    deed: Deed = Deed.KILL


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A boundary that a story passes, and by which the world is not as it was at the one struck before it."""

    story: str
    at: Boundary

    @property
    def point(self) -> tuple[object, ...]:
        """What is counted: a kind of boundary in a type of order."""
        return self.story, *self.at.signature
