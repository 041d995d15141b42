"""Answers about catalogs to look at."""

from typing import Any

_SMS_BASIC = {
    "product": "SMS-BASIC",
    "name": "SMS Basic",
    "kind": "billing_component",
    "billing_type": "subscription",
    "billing_service_type": "/service/telco/gsm/sms",
    "min": 0,
    "max": 1,
    "default": 1,
}
_EVENT = {
    "product": "INTERNET-ACTIVATION",
    "name": "Internet activated",
    "kind": "event",
    "billing_type": "event",
    "billing_service_type": "/service/ip",
    "min": 0,
    "max": 1,
    "default": 0,
}
PRODUCT: dict[str, Any] = {
    "code": "SMS",
    "name": "Text messaging",
    "kind": "service_bundle",
    "customizable": True,
    "billing_type": "service_bundle",
    "billing_service_type": "/service/telco/gsm/sms",
    "origin": "crm",
    "service_instance": False,
    "track_as_asset": True,
    "delivery_kind": "logical",
    "billing_phase": "two",
    "lifecycle": "active",
    "components": [{"product": "SMS-BASIC", "min": 0, "max": 1, "default": 1, "group": "Rate plans"}],
    "price": None,
    "pool": None,
    "sku": None,
    "service_type": None,
    "requires_truck_roll": False,
    "co_delivered_with": [],
    "revenue_segment": None,
    "service_charges": [{"trigger": "suspend", "product": "SMS-SUSPENSION-FEE"}],
    "duration_months": None,
    "needs_approval": False,
    "approval_above_percent": None,
    "description": None,
    "supersedes": None,
    "synced_at": None,
}
PRODUCTS = {"items": [PRODUCT], "next_cursor": None}
GROUPS = {"items": [{"group": "Rate plans", "components": [_SMS_BASIC]}], "next_cursor": None}
EVENTS = {"items": [_EVENT], "next_cursor": None}
CATALOG = {
    "version": 1,
    "source": "import",
    "published_at": "2026-03-01T00:00:00Z",
    "products": [{"code": "WELCOME-GIFT", "name": "Phone case"}],
}
PUBLISHED = {
    "version": 1,
    "warnings": [
        {
            "code": "EMPTY_BUNDLE",
            "rule": "B01",
            "product": "SMS",
            "field": "components",
            "message": "A service bundle without components cannot be ordered.",
        }
    ],
}
SYNC = {
    "run": {
        "workflow_id": "catalog-sync-0199a1b2-7c3d-7e4f-8a5b-6c7d8e9f0a1b",
        "run_id": "0199a1b2-7c3d-7e4f-8a5b-6c7d8e9f0a1c",
        "status": "started",
        "temporal_ui": "http://127.0.0.1:8233/namespaces/default/workflows/"
        "catalog-sync-0199a1b2-7c3d-7e4f-8a5b-6c7d8e9f0a1b/0199a1b2-7c3d-7e4f-8a5b-6c7d8e9f0a1c/user-metadata",
    }
}
