"""What is lawful to ask of what is installed, and what becomes of it: the reference to hold the house against.

It is written from the specification (2.2, 2.5), and is as plain as can be: nodes, and what stands in what.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum

from domain.asset import AssetStatus

ACTIVE, SUSPENDED, INACTIVE = AssetStatus.ACTIVE, AssetStatus.SUSPENDED, AssetStatus.INACTIVE
SERVICES = frozenset({"WIRELESS", "SMS", "INTERNET"})
PURCHASED = frozenset({"RATE", "HALF-PRICE", "SMS-BASIC", "INTERNET"})
JOINS: Mapping[str, tuple[str, ...]] = {"WIRELESS": ("RATE", "HALF-PRICE", "GIFT"), "SMS": ("SMS-BASIC",)}
"""What can be added to what runs, one of each."""


class Deed(StrEnum):
    """What is asked of one asset."""

    UPDATE = "update"
    SUSPEND = "suspend"
    RESUME = "resume"
    DELETE = "delete"
    MOVE = "move"
    REPLACE = "replace"
    JOIN = "join"
    END = "end"
    """It is to end by itself, as of today."""


TAKES = {
    Deed.UPDATE: {ACTIVE},
    Deed.END: {ACTIVE},
    Deed.SUSPEND: {ACTIVE},
    Deed.RESUME: {SUSPENDED},
    Deed.DELETE: {ACTIVE, SUSPENDED},
    Deed.REPLACE: {ACTIVE, SUSPENDED},
    Deed.MOVE: {ACTIVE},
    Deed.JOIN: {ACTIVE},
}
"""The states of an asset in which it may be asked (2.2)."""
MAKES = {
    Deed.SUSPEND: SUSPENDED,
    Deed.RESUME: ACTIVE,
    Deed.DELETE: INACTIVE,
    Deed.REPLACE: INACTIVE,
    Deed.MOVE: INACTIVE,
}
"""What becomes of all that it reaches."""
ENDS = frozenset({Deed.DELETE, Deed.REPLACE, Deed.MOVE})
"""After one of these nothing more is asked (A20)."""


@dataclass
class Node:
    """One asset, and what stands in it by id; ``is_over``: its end has come, and nobody has disconnected it yet."""

    id: str
    product: str
    parent: str | None = None
    status: AssetStatus = ACTIVE
    colour: str | None = None
    place: str | None = None
    is_over: bool = False


@dataclass(frozen=True)
class Wish:
    """One order: what is asked of an asset, and what was in its reach when it was taken."""

    deed: Deed
    of: str
    said: str
    """The colour, the product or the place."""
    due: float = 0.0
    """Seconds from now on; what is due at the same time goes by ``number``."""
    number: int = 0
    reach: frozenset[str] = frozenset()
    joins: str = ""
    """The asset that will join."""

    @property
    def turn(self) -> tuple[float, int]:
        return self.due, self.number


@dataclass
class Installed:
    """All that a customer has, and has had."""

    nodes: dict[str, Node] = field(default_factory=dict)

    def copy(self) -> "Installed":
        return Installed({x: replace(y) for x, y in self.nodes.items()})

    def below(self, id_: str) -> Iterator[Node]:
        return (x for x in self.nodes.values() if x.parent == id_)

    def above(self, id_: str) -> Iterator[Node]:
        parent = self.nodes[id_].parent
        while parent is not None:
            yield (node := self.nodes[parent])
            parent = node.parent

    def root(self, id_: str) -> str:
        return next((x.id for x in self.above(id_) if x.parent is None), id_)

    def reach(self, deed: Deed, id_: str) -> frozenset[str]:
        """The asset with all in it that the deed finds in a state for it (A20)."""
        if deed not in MAKES:
            return frozenset({id_})
        inner = (self.reach(deed, x.id) for x in self.below(id_) if x.status in TAKES[deed])
        return frozenset({id_}).union(*inner)

    def takes(self, wish: Wish) -> bool:
        """Whether a wish is lawful as things stand."""
        node = self.nodes.get(wish.of)
        if node is None or node.status not in TAKES[wish.deed] or any(x.is_over for x in (node, *self.above(node.id))):
            return False
        return self._suits(wish, node)

    def _suits(self, wish: Wish, node: Node) -> bool:
        outer = self.nodes.get(node.parent or "")
        match wish.deed:
            case Deed.UPDATE:
                suits = wish.said != node.colour
            case Deed.SUSPEND:
                suits = outer is None or node.product in SERVICES
            case Deed.RESUME:
                suits = outer is None or (node.product in SERVICES and outer.status is ACTIVE)
            case Deed.MOVE:
                moved = self.reach(Deed.MOVE, node.id)
                suits = outer is None and not any(y.status is SUSPENDED for x in moved for y in self.below(x))
            case Deed.REPLACE:
                suits = outer is None
            case Deed.JOIN:
                suits = wish.said not in {x.product for x in self.below(node.id) if x.status is not INACTIVE}
            case _:
                suits = True
        return suits

    def takes_still(self, wish: Wish) -> bool:
        """Whether it is, when its turn has come: it is carried out as it was taken, or not at all."""
        node = self.nodes.get(wish.of)
        same = wish.deed is Deed.UPDATE and node is not None and node.colour == wish.said
        asked = replace(wish, said="") if same else wish
        return self.takes(asked) and self.reach(wish.deed, wish.of) == wish.reach

    def becomes(self, wish: Wish) -> None:
        """What it does."""
        match wish.deed:
            case Deed.UPDATE:
                self.nodes[wish.of].colour = wish.said
            case Deed.END:
                self.nodes[wish.of].is_over = True
            case Deed.JOIN:
                self.nodes[wish.joins] = Node(wish.joins, wish.said, parent=wish.of)
            case _:
                for x in wish.reach & self.nodes.keys():
                    self.nodes[x].status = MAKES[wish.deed]

    def ending(self) -> list[str]:
        """What has to be disconnected because its end has come, but for what goes with something else."""
        over = [x for x in self.nodes.values() if x.is_over and x.status is not INACTIVE]
        return [x.id for x in over if not any(y.is_over and y.status is not INACTIVE for y in self.above(x.id))]
