"""What must always hold, and what was found when somebody looked."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Invariant:
    """Something that must hold of the rows of one or several ledgers, by the name it has in the specification.

    ``query`` gives a row for each thing it looks at, with one column: what is wrong with it, NULL when nothing is.
    """

    id: str
    statement: str
    query: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """How many things an invariant was looked at on, how many of them break it, and the first few in words."""

    id: str
    statement: str
    looked_at: int
    broken: int
    offenders: tuple[str, ...] = ()

    @property
    def holds(self) -> bool:
        """Whether nothing breaks it."""
        return self.broken == 0
