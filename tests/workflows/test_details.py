"""What operators read in the Temporal UI about a run, without a run."""

import json
import re

from activities.messages import Decomposition
from domain.decomposition import decompose
from domain.progress import OrderRef
from tests.builders import catalog, order
from tests.workflows.catalog import INTERNET, PRODUCTS
from workflows.details import SHOWN_FALLOUTS, details
from workflows.messages import OrderRun
from workflows.progress import OrderProgress


def refused(bundles: int) -> str:
    """The details of an order of so many bundles, each refused by the network."""
    progress = OrderProgress(OrderRef(order="order"))
    progress.plan_is(Decomposition(items=decompose(order(*[INTERNET] * bundles), catalog(*PRODUCTS)).items))
    for n in range(1, bundles + 1):
        step = progress.steps[f"provision:{n}"]
        progress.fall_out(step, id=f"7-{n}", account="ACME", code="NO_PORT", message="no port", refused=True)
    return details(OrderRun(order="order", number=7, account="ACME"), progress)


def test_the_json_that_decides_a_fallout_can_be_sent_as_it_stands():
    (answer,) = re.findall(r"```json\n(.*?)\n```", refused(1), re.DOTALL)
    assert json.loads(answer) == {"fallout": "7-1", "decision": "retry", "actor": "your name", "reason": "why"}


def test_an_order_with_many_fallouts_shows_the_first_and_says_where_the_others_are():
    shown = refused(SHOWN_FALLOUTS + 2)
    assert shown.count("Decide with the Update") == SHOWN_FALLOUTS
    assert "And 2 more: `orderloom fallouts --order 7`." in shown
