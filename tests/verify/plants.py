# ruff: noqa: S608 - statements are made of constants
"""For each invariant ways to break it, as statements of the owner; parameters are the world's orders by name.

A plant breaks its invariant and nothing else, unless ``also`` says what cannot be spared.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Plant:
    """What is broken, and by which statements."""

    breaks: str
    statements: tuple[str, ...]
    also: frozenset[str] = frozenset()


def plant(breaks: str, *statements: str, also: tuple[str, ...] = ()) -> Plant:
    """A plant in a few words."""
    return Plant(breaks, statements, frozenset(also))


def _asset(order: str, line: str) -> str:
    """The asset of a line of an order of the world."""
    return f"(SELECT CAST(asset AS text) FROM orderloom.order_lines WHERE order_id = :{order} AND id = '{line}')"


def _is(order: str, line: str) -> str:
    return f"WHERE CAST(id AS text) = {_asset(order, line)}"


def _item(order: str, id_: str) -> str:
    return f"WHERE order_id = :{order} AND id = '{id_}'"


_COPIED_PURCHASE = """
    INSERT INTO billing.purchases (id, product, billing_type, account, balance_group, asset, line, quantity,
                                   price_minor, currency, status, purchase_start, cycle_start, usage_start, ended_at)
    SELECT 'PP-again', product, billing_type, account, balance_group, {asset}, line, quantity, price_minor, currency,
           'cancelled', purchase_start, cycle_start, usage_start, now()
      FROM billing.purchases WHERE product = 'FEE'
"""
_COPIED_CHARGE = """
    INSERT INTO billing.charges (purchase, line, balance_group, amount_minor, currency, at)
    SELECT 'PP-again', line, balance_group, amount_minor, currency, at FROM billing.charges WHERE line = '1.2'
"""
_CALL = """
    INSERT INTO {schema}.calls (key, operation, request, outcome, answer, at)
    SELECT {key}, operation, request, outcome, answer, at FROM {schema}.calls
     WHERE outcome = 'applied' AND operation <> 'reserve' LIMIT 1
"""
_SUSPENDED = "UPDATE billing.{table} SET status = 'suspended', state_since = now() WHERE asset = {asset}"
_REPOINTED = """
    INSERT INTO billing.calls (key, operation, request, outcome, answer, at)
    SELECT 'a:b:repoint:0:moved', 'repoint', 'r', 'applied', jsonb_build_object('objects', jsonb_build_object({moved})),
           now()
"""
_RETIRED = """
    INSERT INTO inventory.calls (key, operation, request, outcome, answer, at)
    SELECT 'a:b:retire:0:retired', 'retire', 'r', 'applied',
           jsonb_build_object('until', {until}, 'numbers', jsonb_build_array(jsonb_build_object(
               'pool', pool, 'values', ARRAY[value], 'reservation', reservation, 'line', line))), now()
      FROM inventory.numbers WHERE {held} LIMIT 1
"""
_RESERVATION_OF = "FROM orderloom.plan_items AS p WHERE p.order_id = :{order} AND p.id = 'reserve:1'"

ORDERS = (
    plant("I1", "UPDATE orderloom.orders SET completed_at = NULL WHERE id = :wireless"),
    plant("I1", "UPDATE orderloom.fallouts SET state = 'open', closed_at = NULL WHERE order_id = :failed"),
    plant(
        "I1-held",
        """UPDATE orderloom.fallouts SET state = 'closed', closed_at = now(), decision = 'retry', actor = 'ann',
                  reason = 'why' WHERE order_id = :held""",
        "UPDATE orderloom.plan_items SET state = 'pending' WHERE order_id = :held AND state = 'held'",
        """INSERT INTO orderloom.audit (actor, action, object, decision)
           SELECT 'ann', 'fallout.resolve', id, 'retry' FROM orderloom.fallouts WHERE order_id = :held""",
    ),
    plant(
        "I1-rest",
        "UPDATE orderloom.orders SET state = 'inProgress' WHERE id = :held",
        """UPDATE orderloom.fallouts SET state = 'closed', closed_at = now(), decision = 'retry', actor = 'ann',
                  reason = 'why' WHERE order_id = :held""",
        "UPDATE orderloom.plan_items SET state = 'pending' WHERE order_id = :held AND state = 'held'",
        """INSERT INTO orderloom.audit (actor, action, object, decision)
           SELECT 'ann', 'fallout.resolve', id, 'retry' FROM orderloom.fallouts WHERE order_id = :held""",
        """UPDATE orderloom.order_events SET type = 'inProgress'
            WHERE order_id = :held AND type = 'held'""",
        also=("I24-life",),
    ),
    plant("I1-step", "UPDATE orderloom.plan_items SET state = 'inProgress' WHERE order_id = :held AND state = 'held'"),
    plant("I1-step", "UPDATE orderloom.fallouts SET step = 'asset:1' WHERE order_id = :held"),
    plant(
        "I2",
        """INSERT INTO orderloom.order_events (order_id, seq, type, body)
           SELECT id, last_seq + 1, 'step_done', '{}' FROM orderloom.orders WHERE id = :wireless""",
        "UPDATE orderloom.orders SET last_seq = last_seq + 1 WHERE id = :wireless",
    ),
    plant(
        "I3",
        """INSERT INTO orderloom.idempotency_keys (route, key, fingerprint, location)
           VALUES ('POST /v1/orders', 'k', 'f', '/v1/orders/00000000-0000-0000-0000-000000000000')""",
    ),
    plant(
        "I3",
        """INSERT INTO orderloom.idempotency_keys (route, key, fingerprint, location)
           SELECT 'POST /v1/orders', key, 'f', '/v1/orders/' || CAST(:wireless AS text)
             FROM unnest(ARRAY['k', 'l']) AS key""",
    ),
    plant(
        "I4",
        "UPDATE orderloom.orders SET state = 'partial' WHERE id = :wireless",
        "UPDATE orderloom.order_events SET type = 'partial' WHERE order_id = :wireless AND type = 'completed'",
    ),
    plant("I22-bundle", f"UPDATE orderloom.order_lines SET state = 'failed' {_item('wireless', '1.4')}", also=("I4",)),
    plant("I22-lines", f"UPDATE orderloom.order_lines SET quantity = 7 {_item('wireless', '1.4')}"),
    plant("I22-lines", "UPDATE orderloom.orders SET document = document - 'account' WHERE id = :wireless"),
    plant("I22-lines", f"UPDATE orderloom.order_lines SET asset = gen_random_uuid() {_item('wireless', '1.4')}"),
)

PLANS = (
    plant(
        "I15-plan",
        f"""UPDATE orderloom.plan_items SET finished_at = started_at - interval '1 day'
            {_item("wireless", "fulfill_billing:1")}""",
    ),
    plant(
        "I15-plan",
        f"UPDATE orderloom.plan_items SET state = 'pending' {_item('held', 'initiate_billing:1')}",
        f"UPDATE orderloom.plan_items SET state = 'done' {_item('held', 'asset:1')}",
    ),
    plant("I17", f"UPDATE orderloom.plan_items SET state = 'inProgress' {_item('failed', 'reserve:1')}"),
    plant("I22-plan", f"UPDATE orderloom.plan_items SET depends_on = '{{}}' {_item('wireless', 'asset:1')}"),
    plant("I22-plan", f"DELETE FROM orderloom.plan_items {_item('failed', 'asset:1')}"),
)

ASSETS = (
    plant(
        "I10",
        f"""UPDATE orderloom.assets SET numbers = (
                SELECT numbers FROM orderloom.assets {_is("wireless", "1")}) {_is("wireless", "1.1")}""",
    ),
    plant(
        "I18",
        f"DELETE FROM orderloom.cross_references WHERE CAST(asset AS text) = {_asset('wireless', '1.3')}",
        f"DELETE FROM orderloom.assets {_is('wireless', '1.3')}",
    ),
    plant("I18-state", f"UPDATE orderloom.assets SET status = 'inactive' {_is('wireless', '1.5')}"),
    plant("I18-tree", f"UPDATE orderloom.assets SET root = gen_random_uuid() {_is('wireless', '1.1')}"),
    plant("I18-tree", f"UPDATE orderloom.assets SET product = 'RATE' {_is('wireless', '1.3')}"),
    plant("I18-tree", f"UPDATE orderloom.assets SET account = 'ACME-BA' {_is('wireless', '1.1')}"),
    plant(
        "I20",
        f"""INSERT INTO orderloom.asset_claims (asset, order_id, root)
            SELECT id, created_by_order, '1' FROM orderloom.assets {_is("wireless", "1")}""",
    ),
    plant("I19", f"UPDATE orderloom.assets SET billing_type = 'discount' {_is('wireless', '1.1')}"),
    plant("I19", f"UPDATE orderloom.assets SET billing_type = NULL {_is('wireless', '1.1')}"),
)

EVENTS = (
    plant("I23", "UPDATE orderloom.orders SET last_seq = last_seq + 1 WHERE id = :held"),
    plant("I23", "DELETE FROM orderloom.order_events WHERE order_id = :wireless AND seq = 3"),
    plant("I24", "UPDATE orderloom.orders SET state = 'inProgress' WHERE id = :held"),
    plant(
        "I24-life",
        "UPDATE orderloom.order_events SET type = 'pending' WHERE order_id = :wireless AND type = 'inProgress'",
    ),
    plant("I24-audit", "UPDATE orderloom.audit SET action = 'other' WHERE object = CAST(:wireless AS text)"),
    plant("I24-audit", "DELETE FROM orderloom.audit WHERE action = 'fallout.resolve'"),
    plant("I30", "UPDATE orderloom.fallouts SET account = 'ACME-BA' WHERE order_id = :held"),
)

INVENTORY = (
    plant("I7", "UPDATE inventory.movements SET quantity = quantity + 1 WHERE reason = 'received'"),
    plant("I7-taken", "UPDATE inventory.movements SET reservation = 'another' WHERE reason = 'taken'"),
    plant("I7-reserved", "UPDATE inventory.stock SET reserved = 1"),
    plant(
        "I8-settled",
        f"""INSERT INTO inventory.holds (reservation, line, sku, location, quantity, taken_at)
            SELECT p.key, '1', 'PHONE', 'MAIN', 1, now() {_RESERVATION_OF.format(order="failed")}""",
        f"""INSERT INTO inventory.movements (sku, location, quantity, reason, reservation, at)
            SELECT 'PHONE', 'MAIN', -1, 'taken', p.key, now() {_RESERVATION_OF.format(order="failed")}""",
        "UPDATE inventory.stock SET on_hand = on_hand - 1",
    ),
    plant(
        "I9-reservations",
        """INSERT INTO inventory.reservations (key, order_id, state, at, settled_at)
           VALUES ('k', 'o', 'released', now(), now())""",
    ),
    plant("I9-inventory", "DELETE FROM inventory.calls WHERE operation = 'commit'"),
    plant("I9-inventory", _CALL.format(schema="inventory", key="CAST(:wireless AS text) || ':1:deliver:0'")),
    plant(
        "I8",
        f"""UPDATE inventory.reservations AS r SET state = 'reserved', settled_at = NULL
            {_RESERVATION_OF.format(order="wireless")} AND r.key = p.key""",
    ),
    plant(
        "I8-units",
        "UPDATE inventory.holds SET quantity = 2",
        "UPDATE inventory.movements SET quantity = -2 WHERE reason = 'taken'",
        "UPDATE inventory.stock SET on_hand = on_hand - 1",
    ),
    plant("I11", "UPDATE inventory.numbers SET line = '9' WHERE state = 'assigned'"),
    plant(
        "I11",
        """UPDATE inventory.numbers SET state = 'quarantined', quarantined_until = now(), line = NULL,
                  reservation = NULL WHERE state = 'assigned'""",
    ),
    plant("I11-retired", _RETIRED.format(held="state = 'assigned'", until="now() - interval '1 day'")),
    plant("I11-retired", _RETIRED.format(held="state = 'available'", until="now() + interval '1 day'")),
    plant(
        "I16-inventory",
        f"""UPDATE inventory.reservations AS r SET state = 'reserved', settled_at = NULL
            {_RESERVATION_OF.format(order="failed")} AND r.key = p.key""",
        also=("I8",),
    ),
)

PROVISIONING = (
    plant(
        "I10-network",
        f"""UPDATE provisioning.services SET numbers = (
                SELECT numbers FROM provisioning.services WHERE service = {_asset("wireless", "1")})
             WHERE service = {_asset("internet", "1")}""",
    ),
    plant(
        "I9-activations",
        """INSERT INTO provisioning.services (service, product, account, billable, features, numbers, attributes, since,
                                                 until)
           VALUES ('ghost', 'WIRELESS', 'ACME', TRUE, '{}', '{}', '{}', now(), now())""",
    ),
    plant(
        "I9-activations",
        f"""INSERT INTO provisioning.services (service, product, account, billable, features, numbers, attributes,
                                                  since, until)
            SELECT service, product, account, billable, features, numbers, attributes, since, now()
              FROM provisioning.services WHERE service = {_asset("wireless", "1")}""",
    ),
    plant(
        "I9-suspensions",
        """INSERT INTO provisioning.suspensions (service, since, until)
           SELECT service, since - interval '1 hour', since + interval '1 hour' FROM provisioning.services
            WHERE until IS NULL""",
    ),
    plant(
        "I9-suspensions",
        """INSERT INTO provisioning.suspensions (service, since, until)
           SELECT service, since + interval '1 second' * n, since + interval '1 second' * (n + 2)
             FROM provisioning.services, generate_series(1, 2) AS n WHERE until IS NULL""",
    ),
    plant("I9-provisioning", _CALL.format(schema="provisioning", key="CAST(:wireless AS text) || ':1:provision:7'")),
    plant(
        "I9-services",
        f"""UPDATE provisioning.services SET since = since - interval '1 hour'
             WHERE service = {_asset("wireless", "1")}""",
    ),
    plant(
        "I9-services",
        f"""UPDATE orderloom.plan_items SET result = '{{"at": "in spring"}}' {_item("wireless", "provision:1")}""",
    ),
    plant(
        "I16-provisioning",
        f"UPDATE provisioning.services SET until = NULL WHERE service = {_asset('failed', '1')}",
        also=("I9-services", "I12"),
    ),
    plant("I12", f"UPDATE provisioning.services SET suspended_at = now() WHERE service = {_asset('internet', '1')}"),
    plant("I12", f"UPDATE provisioning.services SET billable = FALSE WHERE service = {_asset('internet', '1')}"),
    plant(
        "I12",
        _SUSPENDED.format(table="service_instances", asset=_asset("internet", "2")),
        _SUSPENDED.format(table="purchases", asset=_asset("internet", "2.1")),
        also=("billing-I4-state",),
    ),
)

BILLING = (
    plant("I13", _COPIED_PURCHASE.format(asset="asset"), _COPIED_CHARGE, also=("xref", "billing-I4")),
    plant("I13-amount", "UPDATE billing.charges SET amount_minor = amount_minor + 1 WHERE line = '1.2'"),
    plant("I13-amount", "DELETE FROM billing.charges WHERE line = '1.2'"),
    plant("I13-price", "UPDATE billing.purchases SET price_minor = 1 WHERE product = 'RATE' AND status = 'active'"),
    plant(
        "I13-price", "UPDATE billing.purchases SET product = 'SMS-BASIC' WHERE product = 'RATE' AND status = 'active'"
    ),
    plant(
        "I12-account",
        f"UPDATE billing.service_instances SET account = 'ACME' WHERE asset = {_asset('internet', '2')}",
    ),
    plant("I12-account", "UPDATE billing.purchases SET account = 'ACME' WHERE product = 'HALF-PRICE'"),
    plant(
        "I13-delivered",
        _COPIED_PURCHASE.format(asset="CAST(gen_random_uuid() AS text)"),
        _COPIED_CHARGE,
        also=("xref", "billing-I4"),
    ),
    plant("billing-I2", "UPDATE billing.charges SET at = at - interval '1 day'"),
    plant("I13-group", "UPDATE billing.charges SET balance_group = 'BG-ACME-BA' WHERE line = '1.2'"),
    plant(
        "billing-I6",
        _SUSPENDED.format(table="purchases", asset=_asset("internet", "1")),
        also=("billing-I4-state",),
    ),
    plant("billing-I4-state", _SUSPENDED.format(table="purchases", asset=_asset("wireless", "1.1"))),
    plant(
        "billing-I6",
        _SUSPENDED.format(table="service_instances", asset=_asset("internet", "2")),
        also=("billing-I4-state", "I12"),
    ),
    plant(
        "billing-I6",
        f"""UPDATE billing.service_instances SET status = 'closed', ended_at = now()
             WHERE asset = {_asset("internet", "2")}""",
        also=("billing-I4-state", "I12"),
    ),
    plant(
        "billing-I6-suspended",
        """INSERT INTO billing.suspensions (id, since, until)
           SELECT id, active_from - interval '1 hour', now() FROM billing.service_instances WHERE status = 'active'""",
    ),
    plant(
        "billing-I6-suspended",
        """INSERT INTO billing.suspensions (id, since, until)
           SELECT id, purchase_start + interval '1 second' * n, purchase_start + interval '1 second' * (n + 2)
             FROM billing.purchases, generate_series(1, 2) AS n WHERE status = 'active'""",
    ),
    plant("billing-I7", _REPOINTED.format(moved="'SI-nowhere', 'a'")),
    plant(
        "billing-I7",
        f"{_REPOINTED.format(moved='id, gen_random_uuid()')} FROM billing.purchases WHERE product = 'RATE' LIMIT 1",
    ),
    plant("I9-billing", _CALL.format(schema="billing", key="CAST(gen_random_uuid() AS text) || ':1:purchase:0'")),
    plant(
        "I14",
        f"""UPDATE billing.service_instances SET status = 'initiated', ended_at = NULL
             WHERE asset = {_asset("failed", "1.2")}""",
    ),
    plant(
        "billing-I4",
        "UPDATE billing.purchases SET cycle_start = cycle_start + interval '1 day' WHERE product = 'HALF-PRICE'",
    ),
    plant(
        "billing-I9",
        f"""INSERT INTO billing.service_instances (id, billing_service_type, account, asset, line, status,
                                                   balance_group, made_at, active_from, ended_at)
            SELECT 'SI-again', billing_service_type, account, asset, line, 'closed', balance_group, made_at, made_at,
                   now()
              FROM billing.service_instances WHERE asset = {_asset("wireless", "1")}""",
        also=("xref", "billing-I4"),
    ),
    plant(
        "xref",
        f"""UPDATE orderloom.cross_references SET billing_id = 'SI-other'
             WHERE kind = 'service_instance' AND CAST(asset AS text) = {_asset("wireless", "1")}""",
    ),
    plant(
        "I15",
        f"""UPDATE billing.service_instances SET active_from = active_from - interval '1 hour'
             WHERE asset = {_asset("internet", "2")}""",
        """UPDATE billing.purchases SET purchase_start = purchase_start - interval '1 hour',
                  cycle_start = cycle_start - interval '1 hour', usage_start = usage_start - interval '1 hour'
            WHERE product = 'CHANNELS'""",
        f"UPDATE orderloom.plan_items SET actual_at = actual_at - interval '1 hour' {_item('internet', 'purchase:2')}",
    ),
    plant(
        "I16-billing",
        f"""UPDATE billing.service_instances SET status = 'closed', active_from = made_at
             WHERE asset = {_asset("failed", "1.2")}""",
        also=("xref", "billing-I4"),
    ),
)

DIFFERENCES = (
    plant(
        "reconciliation",
        """INSERT INTO orderloom.differences (class, service, value, account, message, found_at)
           VALUES ('QTY_MISMATCH', 's', '7, not 5', 'ACME', 'm', now() - interval '1 minute')""",
    ),
    plant(
        "reconciliation",
        """INSERT INTO orderloom.fallouts (id, subject, type, code, message, priority, due_at, opened_at)
           VALUES ('F-0', 'QTY_MISMATCH:s', 'Reconciliation', 'QTY_MISMATCH', 'm', 3, now(),
                   now() - interval '1 minute')""",
    ),
)

ALL = (*ORDERS, *PLANS, *ASSETS, *EVENTS, *INVENTORY, *PROVISIONING, *BILLING, *DIFFERENCES)
