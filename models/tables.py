"""The tables of the system's own data, in the schema ``orderloom``; what must never happen twice has a constraint."""

from collections.abc import Iterable

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    DateTime,
    ForeignKey,
    ForeignKeyConstraint,
    Identity,
    Index,
    Integer,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB, UUID

from domain.asset import AssetStatus
from domain.fallout import FIRST, LAST, SETTLED_FALLOUTS, FalloutState, FalloutType
from domain.order import FINAL, State
from domain.plan import Function, StepState
from domain.reconciliation import DifferenceClass
from domain.revision import RevisionState

metadata = MetaData(
    schema="orderloom",
    naming_convention={
        "pk": "%(table_name)s_pk",
        "fk": "%(table_name)s_%(column_0_N_name)s_fk",
        "uq": "%(table_name)s_%(column_0_N_name)s_key",
        "ck": "%(table_name)s_%(constraint_name)s",
        "ix": "%(table_name)s_%(column_0_N_name)s",
    },
)


def quoted(values: Iterable[str]) -> str:
    """Constants as a statement lists them."""
    return ", ".join(f"'{value}'" for value in sorted(values))


def _one_of(column: str, values: Iterable[str]) -> CheckConstraint:
    return CheckConstraint(f"{column} IN ({quoted(values)})", name=column)


IS_OPEN = f"state NOT IN ({quoted(SETTLED_FALLOUTS)})"
"""How a statement asks whether a fallout is on the work list."""
OF_A_STEP = f"split_part(step, ':', 1) IN ({quoted(Function)})"
"""How a statement asks whether a fallout is that of a step, which its run has parked; null where it has no step."""


def _now(name: str) -> Column:  # type: ignore[type-arg]
    return Column(name, DateTime(timezone=True), nullable=False, server_default=func.now())


accounts = Table(
    "accounts",
    metadata,
    Column("id", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("class", Text, nullable=False),
    Column("parent", Text, ForeignKey("orderloom.accounts.id")),
    Column("billing_synced_at", DateTime(timezone=True)),
    _now("created_at"),
    CheckConstraint("class IN ('customer', 'billing', 'service')", name="class"),
    Index(None, "parent"),
)

billing_profiles = Table(
    "billing_profiles",
    metadata,
    Column("id", Text, primary_key=True),
    Column("account", Text, ForeignKey("orderloom.accounts.id"), nullable=False),
    _now("created_at"),
)

catalog_versions = Table(
    "catalog_versions",
    metadata,
    Column("version", Integer, primary_key=True, autoincrement=False),
    Column("document", JSONB, nullable=False),
    Column("digest", Text, nullable=False),
    Column("source", Text, nullable=False),
    _now("published_at"),
)

catalog_cross_references = Table(
    "catalog_cross_references",
    metadata,
    Column("product", Text, primary_key=True),
    Column("billing_product", Text, nullable=False, unique=True),
    _now("created_at"),
)

orders = Table(
    "orders",
    metadata,
    Column("id", UUID(as_uuid=False), primary_key=True),
    Column("number", BigInteger, Identity(start=1001), nullable=False, unique=True),
    Column("external_id", Text),
    Column("account", Text, ForeignKey("orderloom.accounts.id"), nullable=False),
    Column("revision", Integer, nullable=False, server_default=text("0")),
    Column("catalog_version", Integer, ForeignKey("orderloom.catalog_versions.version"), nullable=False),
    Column("state", Text, nullable=False),
    Column("reason", Text),
    Column("priority", Integer, nullable=False),
    Column("requested_start", DateTime(timezone=True)),
    Column("document", JSONB, nullable=False),
    Column("corrections", JSONB, nullable=False, server_default=text("'[]'")),
    Column("corrections_included", Integer, nullable=False, server_default=text("0")),
    Column("last_seq", Integer, nullable=False, server_default=text("1")),
    _now("submitted_at"),
    Column("run_started_at", DateTime(timezone=True)),
    Column("run_id", Text),
    Column("completed_at", DateTime(timezone=True)),
    UniqueConstraint("account", "external_id"),
    _one_of("state", State),
    CheckConstraint("priority BETWEEN 0 AND 4", name="priority"),
    Index(None, "account", "submitted_at"),
    Index(None, "submitted_at", "id"),
    CheckConstraint(f"(completed_at IS NOT NULL) = (state IN ({quoted(FINAL)}))", name="ended"),
    Index("orders_open", "submitted_at", postgresql_where=text("completed_at IS NULL")),
    Index("orders_not_started", "submitted_at", postgresql_where=text("run_started_at IS NULL")),
)

drafts = Table(
    "drafts",
    metadata,
    Column("id", UUID(as_uuid=False), primary_key=True),
    Column("account", Text, nullable=False),
    Column("document", JSONB, nullable=False),
    Column("version", Integer, nullable=False, server_default=text("1")),
    _now("drafted_at"),
    Index(None, "account"),
    Index(None, "drafted_at", "id"),
)

bulk_changes = Table(
    "bulk_changes",
    metadata,
    Column("id", UUID(as_uuid=False), primary_key=True),
    Column("change", Text, nullable=False),
    Column("document", JSONB, nullable=False),
    _now("submitted_at"),
)

bulk_change_items = Table(
    "bulk_change_items",
    metadata,
    Column("bulk_change", UUID(as_uuid=False), ForeignKey("orderloom.bulk_changes.id"), primary_key=True),
    Column("asset", UUID(as_uuid=False), primary_key=True),
    Column("position", Integer, nullable=False),
    Column("order_id", UUID(as_uuid=False), ForeignKey("orderloom.orders.id")),
    Column("refusal", Text),
    CheckConstraint("order_id IS NULL OR refusal IS NULL", name="became"),
    Index(None, "bulk_change", "position"),
    Index(
        "bulk_change_items_waiting",
        "bulk_change",
        "position",
        postgresql_where=text("order_id IS NULL AND refusal IS NULL"),
    ),
)

order_revisions = Table(
    "order_revisions",
    metadata,
    Column("order_id", UUID(as_uuid=False), ForeignKey("orderloom.orders.id"), primary_key=True),
    Column("revision", Integer, primary_key=True),
    Column("document", JSONB, nullable=False),
    Column("corrections_included", Integer, nullable=False),
    Column("state", Text, nullable=False, server_default=RevisionState.QUEUED.value),
    Column("force", Boolean, nullable=False),
    Column("actor", Text, nullable=False),
    Column("reason", Text, nullable=False),
    _now("submitted_at"),
    Column("decided_at", DateTime(timezone=True)),
    Column("code", Text),
    Column("step", Text),
    _one_of("state", RevisionState),
    CheckConstraint("revision >= 0", name="revision"),
    Index("order_revisions_one_active", "order_id", unique=True, postgresql_where=text("state = 'active'")),
    Index("order_revisions_queued", "submitted_at", postgresql_where=text("state = 'queued'")),
)

order_lines = Table(
    "order_lines",
    metadata,
    Column("order_id", UUID(as_uuid=False), ForeignKey("orderloom.orders.id"), primary_key=True),
    Column("id", Text, primary_key=True),
    Column("position", Integer, nullable=False),
    Column("parent", Text),
    Column("root", Text, nullable=False),
    Column("product", Text, nullable=False),
    Column("action", Text, nullable=False),
    Column("quantity", Integer, nullable=False),
    Column("asset", UUID(as_uuid=False), nullable=False),
    Column("state", Text, nullable=False),
    Column("actual_delivery_at", DateTime(timezone=True)),
    _one_of("state", State),
    CheckConstraint("quantity > 0", name="quantity"),
    ForeignKeyConstraint(["order_id", "parent"], ["orderloom.order_lines.order_id", "orderloom.order_lines.id"]),
    Index(None, "asset"),
    Index(None, "product"),
)

plan_items = Table(
    "plan_items",
    metadata,
    Column("order_id", UUID(as_uuid=False), ForeignKey("orderloom.orders.id"), primary_key=True),
    Column("id", Text, primary_key=True),
    Column("position", Integer, nullable=False),
    Column("function", Text, nullable=False),
    Column("system", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("root", Text, nullable=False),
    Column("lines", ARRAY(Text), nullable=False),
    Column("depends_on", ARRAY(Text), nullable=False),
    Column("no_return", Boolean, nullable=False),
    Column("state", Text, nullable=False, server_default=StepState.PENDING.value),
    Column("key", Text),
    Column("attempts", Integer, nullable=False, server_default=text("0")),
    Column("started_at", DateTime(timezone=True)),
    Column("finished_at", DateTime(timezone=True)),
    Column("actual_at", DateTime(timezone=True)),
    Column("result", JSONB),
    Column("last_error", Text),
    Column("undo_refusals", Integer, nullable=False, server_default=text("0")),
    _one_of("state", StepState),
)

order_events = Table(
    "order_events",
    metadata,
    Column("order_id", UUID(as_uuid=False), ForeignKey("orderloom.orders.id"), primary_key=True),
    Column("seq", Integer, primary_key=True),
    _now("at"),
    Column("type", Text, nullable=False),
    Column("body", JSONB, nullable=False),
)

fallouts = Table(
    "fallouts",
    metadata,
    Column("id", Text, primary_key=True),
    Column("subject", Text, nullable=False),
    Column("order_id", UUID(as_uuid=False), ForeignKey("orderloom.orders.id")),
    Column("account", Text, ForeignKey("orderloom.accounts.id")),
    Column("step", Text),
    Column("line", Text),
    Column("type", Text, nullable=False),
    Column("code", Text, nullable=False),
    Column("message", Text, nullable=False),
    Column("attempts", Integer, nullable=False, server_default=text("0")),
    Column("in_doubt", Boolean, nullable=False, server_default=text("false")),
    Column("priority", Integer, nullable=False),
    Column("owner", Text),
    Column("state", Text, nullable=False, server_default=FalloutState.OPEN.value),
    _now("opened_at"),
    Column("due_at", DateTime(timezone=True), nullable=False),
    Column("escalated_at", DateTime(timezone=True)),
    Column("closed_at", DateTime(timezone=True)),
    Column("decision", Text),
    Column("actor", Text),
    Column("reason", Text),
    _one_of("type", FalloutType),
    _one_of("state", FalloutState),
    CheckConstraint(f"priority BETWEEN {FIRST} AND {LAST}", name="priority"),
    CheckConstraint(f"({IS_OPEN}) = (closed_at IS NULL)", name="closed_at"),
    CheckConstraint("step IS NULL OR order_id IS NOT NULL", name="step"),
    Index("fallouts_one_open", "subject", unique=True, postgresql_where=text(IS_OPEN)),
    Index("fallouts_late", "due_at", postgresql_where=text(f"escalated_at IS NULL AND {IS_OPEN}")),
    Index(None, "order_id"),
    Index(None, "account"),
    Index(None, "opened_at", "id"),
)

assets = Table(
    "assets",
    metadata,
    Column("id", UUID(as_uuid=False), primary_key=True),
    Column("product", Text, nullable=False),
    Column("catalog_version", Integer, ForeignKey("orderloom.catalog_versions.version"), nullable=False),
    Column("root", UUID(as_uuid=False), nullable=False),
    Column("parent", UUID(as_uuid=False), ForeignKey("orderloom.assets.id")),
    Column("account", Text, ForeignKey("orderloom.accounts.id"), nullable=False),
    Column("service_account", Text, ForeignKey("orderloom.accounts.id"), nullable=False),
    Column("billing_account", Text, ForeignKey("orderloom.accounts.id"), nullable=False),
    Column("billing_profile", Text, ForeignKey("orderloom.billing_profiles.id"), nullable=False),
    Column("service_id", Text),
    Column("service_point", Text),
    Column("quantity", Integer, nullable=False),
    Column("attributes", JSONB, nullable=False),
    Column("price", JSONB),
    Column("promotion_ref", Text),
    Column("numbers", JSONB, nullable=False, server_default=text("'[]'")),
    Column("status", Text, nullable=False),
    Column("billing_type", Text),
    Column("service_start", DateTime(timezone=True), nullable=False),
    Column("service_end", DateTime(timezone=True)),
    Column("created_by_order", UUID(as_uuid=False), nullable=False),
    Column("created_by_line", Text, nullable=False),
    _one_of("status", AssetStatus),
    ForeignKeyConstraint(
        ["created_by_order", "created_by_line"], ["orderloom.order_lines.order_id", "orderloom.order_lines.id"]
    ),
    UniqueConstraint("created_by_order", "created_by_line"),
    Index(
        "assets_ending",
        "service_end",
        postgresql_where=text("service_end IS NOT NULL AND status <> 'inactive'"),
    ),
    Index(None, "account"),
    Index(None, "service_account"),
    Index(None, "product"),
    Index(None, "root"),
)

asset_claims = Table(
    "asset_claims",
    metadata,
    Column("asset", UUID(as_uuid=False), ForeignKey("orderloom.assets.id"), primary_key=True),
    Column("order_id", UUID(as_uuid=False), ForeignKey("orderloom.orders.id"), nullable=False),
    Column("root", Text, nullable=False),
    _now("claimed_at"),
    Index(None, "order_id"),
)

cross_references = Table(
    "cross_references",
    metadata,
    Column("asset", UUID(as_uuid=False), ForeignKey("orderloom.assets.id"), primary_key=True),
    Column("kind", Text, primary_key=True),
    Column("billing_id", Text, primary_key=True),
    Column("valid_from", DateTime(timezone=True), nullable=False),
    Column("valid_to", DateTime(timezone=True)),
    CheckConstraint("kind IN ('service_instance', 'purchased_product', 'discount')", name="kind"),
    UniqueConstraint("kind", "billing_id"),
)

reconciliations = Table(
    "reconciliations",
    metadata,
    Column("id", Text, primary_key=True),
    Column("as_of", DateTime(timezone=True), nullable=False),
    _now("finished_at"),
    Column("active", Integer, nullable=False),
    Column("billed", Integer, nullable=False),
    Column("by_class", JSONB, nullable=False),
    Column("leakage", JSONB, nullable=False),
    Column("complete", Boolean, nullable=False),
    Index(None, "as_of"),
)

reconciliation_totals = Table(
    "reconciliation_totals",
    metadata,
    Column("account", Text, primary_key=True),
    Column("billing_service_type", Text, primary_key=True),
    Column("active", Integer, nullable=False),
    Column("billed", Integer, nullable=False),
)

differences = Table(
    "differences",
    metadata,
    Column("id", BigInteger, Identity(), primary_key=True),
    Column("class", Text, nullable=False),
    Column("service", Text, nullable=False),
    Column("value", Text, nullable=False),
    Column("account", Text, nullable=False),
    Column("product", Text),
    Column("order_id", UUID(as_uuid=False), ForeignKey("orderloom.orders.id")),
    Column("message", Text, nullable=False),
    Column("leakage_minor", BigInteger),
    Column("currency", Text),
    Column("found_at", DateTime(timezone=True), nullable=False),
    Column("gone_at", DateTime(timezone=True)),
    Column("accepted_at", DateTime(timezone=True)),
    Column("accepted_by", Text),
    Column("accepted_reason", Text),
    _one_of("class", DifferenceClass),
    CheckConstraint("(leakage_minor IS NULL) = (currency IS NULL)", name="leakage"),
    CheckConstraint(
        "(accepted_at IS NULL) = (accepted_by IS NULL) AND (accepted_at IS NULL) = (accepted_reason IS NULL)",
        name="accepted",
    ),
    Index(
        "differences_one_standing", "class", "service", "value", unique=True, postgresql_where=text("gone_at IS NULL")
    ),
)

idempotency_keys = Table(
    "idempotency_keys",
    metadata,
    Column("route", Text, primary_key=True),
    Column("key", Text, primary_key=True),
    Column("fingerprint", Text, nullable=False),
    Column("status", Integer),
    Column("body", JSONB),
    Column("location", Text),
    _now("created_at"),
)

audit = Table(
    "audit",
    metadata,
    Column("id", BigInteger, Identity(), primary_key=True),
    _now("at"),
    Column("actor", Text, nullable=False),
    Column("action", Text, nullable=False),
    Column("object", Text),
    Column("decision", Text, nullable=False),
    Column("reason", Text),
    Column("body", JSONB),
)
