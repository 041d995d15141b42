"""What reaches its service end, and nobody has asked to disconnect: it ends by itself (2.5)."""

from collections.abc import Iterator
from datetime import datetime

from domain.asset import Asset, Tree, above
from domain.order import Action, Order, OrderLine


def ending(tree: Tree, *, now: datetime) -> Order | None:
    """The order that disconnects, as of their end, the assets of a tree that have reached it; ``None``: there are none.

    What they are made of goes with them.
    """
    over = {x.id for x in tree.values() if x.is_live and x.service_end is not None and x.service_end <= now}
    whole = [tree[x] for x in sorted(over) if over.isdisjoint(y.id for y in above(tree, tree[x]))]
    if not whole:
        return None
    return Order(account=whole[0].account, lines=tuple(_lines(whole)))


def _lines(assets: list[Asset]) -> Iterator[OrderLine]:
    for number, asset in enumerate(assets, start=1):
        id_ = str(number)
        yield OrderLine(
            id=id_, root=id_, product="", action=Action.DELETE, asset=asset.id, due_date=asset.said("service_end")
        )
