"""Reports and schedules to look at: each fits the shape it stands for, which a test proves."""

from api.schemas.examples import ASSET_ID, ORDER_ID, RUN_ID

_WORKFLOW = "orderloom-reconciliation-2026-03-01T12:00:00Z"
_UI = "http://127.0.0.1:8233/namespaces/default/workflows"

RECONCILIATION = {
    "run": {
        "id": _WORKFLOW,
        "as_of": "2026-03-01T12:00:00Z",
        "finished_at": "2026-03-01T12:00:01Z",
        "active": 1_204,
        "billed": 1_203,
        "ratio": "1.0008",
        "balanced": False,
        "complete": True,
        "by_class": {"ACTIVE_NOT_BILLED": 1},
        "leakage": [{"amount": "29.59", "currency": "USD"}],
    },
    "by_billing_service_type": [{"billing_service_type": "/service/ip", "active": 1_204, "billed": 1_203}],
    "by_account": [{"account": "ACME", "active": 3, "billed": 2}],
    "items": [
        {
            "id": "7",
            "class": "ACTIVE_NOT_BILLED",
            "service": ASSET_ID,
            "account": "ACME",
            "product": "INTERNET-ACCESS",
            "order": ORDER_ID,
            "message": "The network runs it since 2026-02-01 12:00:00Z, billing does not have it; order 1001 is over.",
            "leakage": {"amount": "29.59", "currency": "USD"},
            "found_at": "2026-03-01T12:00:00Z",
            "fallout": "F-7",
            "accepted": None,
        }
    ],
    "next_cursor": None,
}
RECONCILE = {
    "run": {
        "workflow_id": f"orderloom-reconciliation-{ORDER_ID}",
        "run_id": RUN_ID,
        "status": "started",
        "temporal_ui": f"{_UI}/orderloom-reconciliation-{ORDER_ID}/{RUN_ID}/user-metadata",
    }
}
_SPREAD = {"mean_s": 0.41, "p50_s": 0.12, "p95_s": 1.02}
FULFILLMENT = {
    "since": "2026-02-01T00:00:00Z",
    "until": "2026-03-01T00:00:00Z",
    "orders": {"submitted": 200, "completed": 196, "with_fallout": 3, "fallout_rate": 0.015},
    "products": [{"product": "WIRELESS-BUNDLE", "delivered": 196, "time_to_service": _SPREAD}],
    "steps": [
        {
            "function": "provision",
            "planned": 200,
            "done": 196,
            "duration": _SPREAD,
            "retries": 12,
            "fallouts": 3,
            "fallout_rate": 0.015,
        }
    ],
}
_NEIGHBOUR = {
    "state": "answers",
    "done": 400,
    "retries": 12,
    "fallouts": 1,
    "failing": 0,
    "failing_since": None,
    "last_error": None,
    "answered_at": "2026-02-28T23:59:59Z",
}
NEIGHBOURS = {
    "since": "2026-02-28T00:00:00Z",
    "until": "2026-03-01T00:00:00Z",
    "items": [
        {"system": "inventory", **_NEIGHBOUR},
        {
            "system": "provisioning",
            **_NEIGHBOUR,
            "state": "fails",
            "failing": 3,
            "failing_since": "2026-02-28T23:50:00Z",
            "last_error": "activate: HTTP 503",
        },
        {"system": "billing", **_NEIGHBOUR},
    ],
}
SCHEDULES = {
    "items": [
        {
            "id": "orderloom-reconciliation",
            "name": "reconciliation",
            "about": "What the network runs, held against what billing bills",
            "state": "active",
            "note": None,
            "every_s": 3_600.0,
            "started": 61,
            "skipped": 0,
            "missed": 0,
            "last_runs": [
                {
                    "scheduled_at": "2026-03-01T12:00:00Z",
                    "started_at": "2026-03-01T12:00:01Z",
                    "workflow_id": _WORKFLOW,
                    "temporal_ui": f"{_UI}/{_WORKFLOW}",
                }
            ],
            "next_runs": ["2026-03-01T13:00:00Z"],
        }
    ]
}
