"""Answers to look at: each fits the shape it stands for, which a test proves."""

ORDER_ID = "5b0a4f9e-1d0f-4c59-9c0e-7a3c1d2e4f50"
ASSET_ID = "0d6e2f4a-93bb-5d0c-8a4e-2f1b6c7d8e90"
RUN_ID = "0199a1b2-7c3d-7e4f-8a5b-6c7d8e9f0a1b"

_SUMMARY = {
    "id": ORDER_ID,
    "number": 1001,
    "external_id": "crm-1001",
    "account": "ACME",
    "actions": ["add"],
    "revision": 0,
    "state": "acknowledged",
    "reason": None,
    "requested_start": "2026-03-01T00:00:00Z",
    "rollup": "inProgress",
    "submitted_at": "2026-03-01T00:00:00Z",
    "completed_at": None,
}
_LINE = {
    "id": "1",
    "parent": None,
    "root": "1",
    "product": "WIRELESS-BUNDLE",
    "action": "add",
    "changes": None,
    "quantity": 1,
    "state": "acknowledged",
    "step": "validate",
    "asset": None,
    "related_line": None,
    "replaces": None,
    "service_account": "ACME-SA",
    "billing_account": "ACME-BA",
    "billing_profile": "ACME-BP",
    "service_id": "+1-555-0100",
    "service_point": None,
    "attributes": {"apn": "internet"},
    "price": None,
    "promotion_ref": None,
    "location": None,
    "due_date": None,
    "service_start": None,
    "service_end": None,
    "actual_delivery_at": None,
    "billing": {"phase": "two", "state": "none", "service_instance": None, "purchased_product": None},
    "fallout": None,
}
_RUN = {
    "workflow_id": f"order-{ORDER_ID}",
    "run_id": None,
    "status": "starting",
    "temporal_ui": f"http://127.0.0.1:8233/namespaces/default/workflows/order-{ORDER_ID}",
}
CHANGE = {
    **_SUMMARY,
    "number": 1002,
    "actions": ["suspend"],
    "lines": [{**_LINE, "action": "suspend", "asset": ASSET_ID, "due_date": "2026-07-01", "billing": None}],
    "run": _RUN,
}
DRAFT = {
    **_SUMMARY,
    "number": None,
    "actions": ["suspend"],
    "state": "draft",
    "submitted_at": None,
    "lines": [
        {
            **_LINE,
            "action": "suspend",
            "state": "draft",
            "step": None,
            "asset": ASSET_ID,
            "service_account": None,
            "billing_account": None,
            "billing_profile": None,
            "service_id": None,
            "attributes": {},
            "due_date": "2026-07-01",
            "billing": None,
        }
    ],
    "run": None,
}
ACKNOWLEDGED = {**_SUMMARY, "lines": [_LINE], "run": _RUN}

_COMPLETED = {**_SUMMARY, "state": "completed", "rollup": "completed", "completed_at": "2026-03-01T00:00:02Z"}
ORDER = {
    **_COMPLETED,
    "lines": [
        {
            **_LINE,
            "state": "completed",
            "step": None,
            "asset": ASSET_ID,
            "actual_delivery_at": "2026-03-01T00:00:01Z",
            "billing": {"phase": "two", "state": "active", "service_instance": "SI-1", "purchased_product": None},
        }
    ],
    "run": {
        "workflow_id": f"order-{ORDER_ID}",
        "run_id": RUN_ID,
        "status": "completed",
        "temporal_ui": f"http://127.0.0.1:8233/namespaces/default/workflows/order-{ORDER_ID}/{RUN_ID}/user-metadata",
    },
}
ORDERS = {"items": [_COMPLETED], "next_cursor": None}

_STEP = {
    "id": "reserve:1",
    "function": "reserve",
    "system": "inventory",
    "subject": "1",
    "root": "1",
    "lines": ["1.1"],
    "depends_on": [],
    "no_return": False,
}
PLAN = {
    "order": ORDER_ID,
    "revision": 0,
    "steps": [
        {
            **_STEP,
            "state": "done",
            "attempts": 1,
            "started_at": "2026-03-01T00:00:01Z",
            "finished_at": "2026-03-01T00:00:01Z",
            "actual_at": "2026-03-01T00:00:01Z",
            "last_error": None,
        }
    ],
}
EVENTS = {
    "items": [{"seq": 1, "at": "2026-03-01T00:00:00Z", "type": "acknowledged", "body": {}}],
    "next_cursor": None,
}
EVENT_STREAM = (
    'id: 1\nevent: acknowledged\ndata: {"seq":1,"at":"2026-03-01T00:00:00Z","type":"acknowledged","body":{}}\n\n'
)
PREVIEW = {
    "account": "ACME",
    "catalog_version": 1,
    "lines": [
        {
            "id": "1",
            "parent": None,
            "root": "1",
            "product": "WIRELESS-BUNDLE",
            "kind": "service_bundle",
            "service": "1",
            "action": "add",
            "quantity": 1,
            "service_account": "ACME-SA",
            "billing_account": "ACME-BA",
            "billing_profile": "ACME-BP",
        }
    ],
    "plan": [_STEP],
    "billing": [
        {
            "step": "initiate_billing:1",
            "operation": "initiate_billing",
            "line": "1",
            "account": "ACME-BA",
            "service_instance": True,
            "purchases": [{"line": "1.1", "product": "MAIN-LINE-1", "quantity": 1}],
        }
    ],
    "reservations": [
        {
            "step": "reserve:1",
            "line": "1.1",
            "quantity": 1,
            "sku": None,
            "location": None,
            "pool": "telephone-numbers",
            "wanted": "+1-555-0100",
        }
    ],
    "violations": [],
    "warnings": [
        {
            "code": "DEFAULT_LEFT_OUT",
            "rule": "B01",
            "line": "1",
            "field": "lines",
            "message": "Its component SMS is usually ordered with it: add a line for it if it is wanted.",
        }
    ],
}

ACCOUNT = {"id": "ACME-BA", "name": "Acme", "class": "billing", "parent": "ACME", "billing_profiles": ["ACME-BP"]}
PROFILE = {"id": "ACME-BP", "account": "ACME-BA"}
_STANDING = {
    "asset_id": ASSET_ID,
    "allowed_actions": ["modify", "suspend", "disconnect", "move"],
    "pending_changes": [
        {"order": ORDER_ID, "number": 1002, "line": "1", "action": "suspend", "due": "2026-07-01T00:00:00Z"}
    ],
}
_ASSET = {
    **_STANDING,
    "id": ASSET_ID,
    "product": "WIRELESS-BUNDLE",
    "catalog_version": 1,
    "status": "active",
    "account": "ACME",
    "service_account": "ACME-SA",
    "billing_account": "ACME-BA",
    "billing_profile": "ACME-BP",
    "service_id": "+1-555-0100",
    "service_point": None,
    "quantity": 1,
    "attributes": {"apn": "internet"},
    "billing_type": "service_bundle",
    "service_start": "2026-03-01T00:00:01Z",
    "service_end": None,
    "root": ASSET_ID,
    "parent": None,
}
ASSETS = {"items": [_ASSET], "next_cursor": None}
ASSET = {
    **_ASSET,
    "billing": [
        {"kind": "service_instance", "billing_id": "SI-1", "valid_from": "2026-03-01T00:00:01Z", "valid_to": None}
    ],
    "contracts": [],
    "order_history": [
        {
            "order": ORDER_ID,
            "number": 1001,
            "line": "1",
            "action": "add",
            "state": "completed",
            "submitted_at": "2026-03-01T00:00:00Z",
        }
    ],
    "children": [],
}
BULK_CHANGE = {
    "id": RUN_ID,
    "change": "suspend",
    "submitted_at": "2026-03-01T00:00:00Z",
    "total": 1000,
    "waiting": 240,
    "refused": 1,
    "orders": {"inProgress": 12, "held": 2, "completed": 745},
    "ended": False,
}
BULK_ITEMS = {
    "items": [{"asset": ASSET_ID, "state": "completed", "order": ORDER_ID, "number": 1002, "refusal": None}],
    "next_cursor": None,
}
FALLOUT = {
    "id": "1002-1",
    "order": ORDER_ID,
    "number": 1002,
    "account": "ACME",
    "line": "1",
    "step": "reserve:1",
    "type": "Inventory Allocation",
    "error": {"code": "NO_STOCK", "message": "The pool has no free value."},
    "attempts": 1,
    "priority": 3,
    "owner": None,
    "since": "2026-03-01T00:00:01Z",
    "due_at": "2026-03-02T00:00:01Z",
    "overdue": False,
    "escalated_at": None,
    "decisions": ["retry", "retry_with", "abort"],
    "correctable": ["attributes", "location", "service_id", "service_point"],
    "state": "open",
    "closed_at": None,
    "decision": None,
    "actor": None,
    "reason": None,
}
FALLOUTS = {"items": [FALLOUT], "next_cursor": None}
REVISION = {"order": ORDER_ID, "revision": 1, "state": "accepted"}
REVISIONS = {
    "items": [
        {
            "revision": 0,
            "state": "superseded",
            "submitted_at": "2026-03-01T08:00:00Z",
            "decided_at": None,
            "actor": "api",
            "reason": "as submitted",
            "force": False,
            "code": None,
            "step": None,
            "document": {"account": "ACME", "lines": []},
        }
    ]
}
CANCELLATION = {"order": ORDER_ID, "state": "pendingCancellation"}
RESOLUTION = {"fallout": "1002-1", "order": ORDER_ID, "decision": "retry", "outcome": "retry of reserve:1"}
APPROVAL = {"order": ORDER_ID, "decision": "approve", "state": "pending"}
RESOLUTIONS = {
    "items": [
        {"fallout": "1003-1", "order": ORDER_ID, "became": "resolved", "detail": "retry of provision:1"},
        {"fallout": "1002-1", "order": ORDER_ID, "became": "settled", "detail": None},
    ],
    "stopped": False,
    "next_cursor": None,
}
PORTAL = {
    "account": ACCOUNT,
    "service_items": [
        {
            "product": "WIRELESS-BUNDLE",
            "stage": "provisioned",
            "quantity": 1,
            "asset": ASSET_ID,
            "status": "active",
            "service_id": "+1-555-0100",
            "order": None,
            "line": None,
            **_STANDING,
        }
    ],
    "billing_items": [_ASSET],
    "quotes": [],
    "orders": [_COMPLETED],
    "trouble_tickets": [FALLOUT],
}
