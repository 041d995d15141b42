"""What a run believes of its steps."""

from activities.messages import Decomposition
from domain.decomposition import decompose
from domain.progress import OrderRef
from tests.builders import catalog, order
from tests.workflows.catalog import PRODUCTS, WIRELESS
from workflows.progress import OrderProgress


def begun() -> OrderProgress:
    progress = OrderProgress(OrderRef(order="o"))
    plan = decompose(order(WIRELESS), catalog(*PRODUCTS), unsynced_accounts=frozenset())
    progress.plan_is(Decomposition(items=plan.items))
    return progress


def in_doubt(progress: OrderProgress) -> list[str]:
    return [id_ for id_, step in progress.steps.items() if step.may_stand]


def test_what_a_worker_that_died_may_have_sent_last_is_taken_back_when_its_order_is_cancelled():
    progress = begun()
    assert in_doubt(progress) == []

    progress.doubt_what_comes_next()

    assert in_doubt(progress) == ["reserve:1"]
    assert not progress.steps["provision:1"].resent, "that is on record before it is sent"


def test_what_is_under_way_is_in_no_doubt():
    progress = begun()
    progress.begin([progress.steps["reserve:1"].item])

    progress.doubt_what_comes_next()

    assert in_doubt(progress) == []
