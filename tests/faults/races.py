"""Many at once: the same request, the last unit, the same order, two starters (R5, R6, R10)."""

import asyncio
import contextlib
from collections import Counter
from collections.abc import Sequence
from uuid import uuid4

import httpx
from sqlalchemy import text

from domain.order import Action, Order
from embedded.process import free_port
from models import submissions
from models.submissions import Key
from tests.builders import line, order, raw
from tests.faults import oracle
from tests.faults.stories import DOCUMENT
from tests.faults.trials import Trial
from tests.faults.worlds import API, WORKER, World

LOSERS_ANSWERED_WITHIN_S = 10.0
TOLD_WITHIN_S = 60.0
"""All of them, on two cores."""
AT_ONCE = 20
"""Of so many fallouts something is decided at a time."""


async def same_key(world: World, *, times: int = 50) -> Trial:
    """The same request at once, many times, and one under its key that is another (R5)."""
    headers = {"Idempotency-Key": str(uuid4())}
    others = {**DOCUMENT, "external_id": "another"}
    limits = httpx.Limits(max_connections=times + 1)
    async with httpx.AsyncClient(base_url=world.api, trust_env=False, timeout=30, limits=limits) as http:
        asking = [asyncio.create_task(http.post("/v1/orders", json=DOCUMENT, headers=headers)) for _ in range(times)]
        await asyncio.wait(asking, return_when=asyncio.FIRST_COMPLETED)  # from now on it is clear whose key it is
        other = await http.post("/v1/orders", json=others, headers=headers)
        answers = [*await asyncio.gather(*asking), other]
    statuses = Counter(x.status_code for x in answers)
    same = {x.json()["id"] for x in answers if x.is_success}
    orders = world.orders()
    violations = [] if statuses == {202: times, 422: 1} else [f"R5: answered {dict(statuses)}"]
    violations += [] if len(same) == len(orders) == 1 else [f"R5: {len(same)} ids, {len(orders)} orders"]
    return await _judged(world, f"one key {times} times at once", orders, violations)


async def last_units(world: World, *, units: int, wanted: int) -> Trial:
    """More orders than there are units: so many are fulfilled, and each other one is told why not (R6)."""
    shop = world.shop
    left = shop.one("SELECT on_hand - reserved FROM inventory.stock WHERE sku = 'PHONE'")
    with shop.engine.begin() as taking:
        taking.exec_driver_sql(
            "UPDATE inventory.stock SET on_hand = on_hand - %(n)s WHERE sku = 'PHONE'", {"n": left - units}
        )
        taking.exec_driver_sql(
            "INSERT INTO inventory.movements (sku, location, quantity, reason, at) "
            "SELECT sku, location, -%(n)s, 'received', now() FROM inventory.stock WHERE sku = 'PHONE'",
            {"n": left - units},
        )
    phone = order(line("WIRELESS", line("RATE"), line("PHONE")))
    await asyncio.gather(*(shop.start(phone) for _ in range(wanted)))
    asked = "SELECT code, count(*) AS count FROM orderloom.fallouts GROUP BY code"
    with contextlib.suppress(AssertionError):  # said below
        await shop.until(lambda: sum(x["count"] for x in shop.rows(asked)) >= wanted - units, within_s=TOLD_WITHIN_S)
    codes = {x["code"]: x["count"] for x in shop.rows(asked)}
    violations = [] if codes == {"NO_STOCK": wanted - units} else [f"R6: of {wanted} for {units}: {codes}"]
    told_s = float(shop.one(_TOLD_AFTER))
    violations += [f"R6: who got none knew after {told_s:.1f} s"] if told_s > LOSERS_ANSWERED_WITHIN_S else []
    losers = shop.rows("SELECT * FROM orderloom.fallouts WHERE state = 'open'")
    for first in range(0, len(losers), AT_ONCE):
        await asyncio.gather(*(shop.decide(x, "abort") for x in losers[first : first + AT_ONCE]))
    orders = world.orders()
    trial = await _judged(
        world, f"{wanted} orders at once for the last {units}, each told within {told_s:.1f} s", orders, violations
    )
    ends = Counter(shop.state(x) for x in orders)
    return trial.also(
        [] if ends == {"completed": units, "failed": wanted - units} else [f"R6: they ended {dict(ends)}"]
    )


_TOLD_AFTER = """
    SELECT COALESCE(max(extract(epoch FROM f.opened_at - o.submitted_at)), 0)
      FROM orderloom.fallouts AS f JOIN orderloom.orders AS o ON o.id = f.order_id
"""


async def late_commit(world: World) -> Trial:
    """An order that is committed only after a later one was started is started as well (R10)."""
    shop, late = world.shop, str(uuid4())
    key = Key(route="POST /v1/orders", key=late, fingerprint="late")
    wanted = order(line("INTERNET"))
    with world.engine.connect() as in_the_way:
        in_the_way.execute(_SAME_KEY, {"route": key.route, "key": key.key})
        storing = asyncio.create_task(asyncio.to_thread(_submit, world, wanted, order_id=late, key=key))
        await asyncio.sleep(0.5)  # it has its number by now, and waits for the key
        later = shop.submit(wanted)
        await _started(world, later.id)
        await asyncio.sleep(2.5)  # and nobody counts below that any more
        in_the_way.rollback()
    stored = await storing
    assert isinstance(stored, submissions.Submitted)
    assert stored.number < later.number, "the late order was to be the earlier one"
    return await _judged(world, "an order that is committed late", [later.id, late], [])


async def one_asset(world: World, *, changes: int = 20) -> Trial:
    """Many want to change one asset at once: each is judged by what the asset will be, and they take turns (R7)."""
    shop = world.shop
    await (await shop.start(order(line("INTERNET")))).result()
    asset = str(shop.one("SELECT id FROM orderloom.assets"))
    before = world.orders()
    actions = (Action.SUSPEND, Action.RESUME) * (changes // 2)
    asked = (asyncio.to_thread(shop.change, raw(line("", asset=asset, action=x))) for x in actions)
    answers = await asyncio.gather(*asked, return_exceptions=True)
    stored = [x for x in answers if isinstance(x, submissions.Submitted)]
    await asyncio.gather(*map(shop.run, stored))
    accepted = [x.id for x in stored]
    violations = [] if accepted else [f"R7: none was accepted: {answers[0]}"]
    violations += [f"R7: {x!r}" for x in answers if not isinstance(x, submissions.Submitted | AssertionError)]
    orders = [x for x in world.orders() if x not in before]
    violations += (
        [] if set(orders) == set(accepted) else [f"R7: {len(accepted)} were accepted, {len(orders)} are there"]
    )
    what = f"{changes} changes of one asset at once, {len(accepted)} accepted"
    trial = await _judged(world, what, orders, violations)
    turns = "SELECT CAST(order_id AS text) AS id FROM orderloom.order_events WHERE type = 'completed' ORDER BY at"
    took_turns = [x["id"] for x in shop.rows(turns) if x["id"] in orders]
    places = [orders.index(x) for x in took_turns]
    return trial.also([] if took_turns == orders else [f"R7: those that came 0, 1, 2 … took turns as {places}"])


def _submit(world: World, wanted: Order, *, order_id: str, key: Key) -> submissions.Submitted | submissions.Clash:
    location = f"/v1/orders/{order_id}"
    with submissions.deciding(world.engine, wanted) as connection:
        return submissions.submit(connection, wanted, order_id=order_id, catalog_version=1, key=key, location=location)


async def two_of_each(world: World, *, orders: int = 20) -> Trial:
    """Two workers, two APIs, two reconciliations and two looks at once: all is done once (R10)."""
    world.ports[API] = free_port()
    await world.start_another(API)
    await world.start_another(WORKER)
    stored = [world.shop.submit(order(line("INTERNET"))) for _ in range(orders)]  # left behind, for both to find
    await world.shop.until(lambda: world.shop.one(_UNSTARTED) == 0, within_s=30)
    await asyncio.gather(*(world.shop.reconcile() for _ in range(2)), *(world.shop.look() for _ in range(2)))
    what = f"two workers, APIs, reconciliations and looks on {orders} orders"
    return await _judged(world, what, [x.id for x in stored], [])


_UNSTARTED = "SELECT count(*) FROM orderloom.orders WHERE run_started_at IS NULL"
_SAME_KEY = text("INSERT INTO orderloom.idempotency_keys (route, key, fingerprint) VALUES (:route, :key, 'in the way')")


async def _started(world: World, order_id: str) -> None:
    await world.shop.until(
        lambda: world.shop.one("SELECT run_started_at FROM orderloom.orders WHERE id = :o", o=order_id) is not None,
        within_s=20,
    )


async def _judged(world: World, what: str, orders: Sequence[str], violations: Sequence[str]) -> Trial:
    stuck = await oracle.quiet(world, orders)
    return Trial(
        what=what,
        effects=len(oracle.books(world, orders)),
        violations=[*violations, *stuck, *await oracle.broken(world)],
    )
