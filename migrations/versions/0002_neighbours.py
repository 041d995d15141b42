"""The embedded neighbours: inventory, provisioning and billing, each with a ledger in a schema of its own."""

from alembic import op

revision = "0002"
down_revision = "0001"

# What every neighbour remembers of its calls. A call that did something, or was refused, is one row of `calls`; only
# the surprises (asked again, failed) are rows of `attempts`: the everyday call writes once. There are no foreign keys
# where a row is written from the one it would point to: nothing is ever deleted there, and each key costs a query.
LEDGER = """
CREATE SCHEMA {schema};

CREATE TABLE {schema}.calls (
    key TEXT NOT NULL,
    operation TEXT NOT NULL,
    request TEXT NOT NULL,
    outcome TEXT NOT NULL,
    answer JSONB NOT NULL,
    at TIMESTAMP WITH TIME ZONE NOT NULL,
    ready_at TIMESTAMP WITH TIME ZONE,
    CONSTRAINT calls_pk PRIMARY KEY (key),
    CONSTRAINT calls_outcome CHECK (outcome IN ('applied', 'refused'))
);

CREATE TABLE {schema}.attempts (
    id BIGINT GENERATED ALWAYS AS IDENTITY,
    key TEXT NOT NULL,
    operation TEXT NOT NULL,
    outcome TEXT NOT NULL,
    at TIMESTAMP WITH TIME ZONE NOT NULL,
    CONSTRAINT attempts_pk PRIMARY KEY (id),
    CONSTRAINT attempts_outcome CHECK (outcome IN ('replayed', 'failed'))
);

CREATE VIEW {schema}.journal AS
    SELECT key, operation, outcome, at FROM {schema}.calls
    UNION ALL
    SELECT key, operation, outcome, at FROM {schema}.attempts;

CREATE TABLE {schema}.switches (
    operation TEXT NOT NULL,
    mode TEXT NOT NULL,
    match TEXT,
    remaining INTEGER,
    code TEXT NOT NULL,
    message TEXT NOT NULL,
    ms INTEGER NOT NULL,
    CONSTRAINT switches_pk PRIMARY KEY (operation),
    CONSTRAINT switches_mode CHECK (mode IN ('refuse', 'delay', 'fail_before', 'fail_after', 'lose_answer', 'slow')),
    CONSTRAINT switches_remaining CHECK (remaining >= 0),
    CONSTRAINT switches_ms CHECK (ms >= 0)
);
"""

INVENTORY = """
CREATE TABLE inventory.stock (
    sku TEXT NOT NULL,
    location TEXT NOT NULL,
    on_hand INTEGER NOT NULL,
    reserved INTEGER NOT NULL DEFAULT 0,
    reorder_point INTEGER NOT NULL DEFAULT 0,
    CONSTRAINT stock_pk PRIMARY KEY (sku, location),
    CONSTRAINT stock_on_hand CHECK (on_hand >= 0),
    CONSTRAINT stock_reserved CHECK (reserved BETWEEN 0 AND on_hand)
);

CREATE TABLE inventory.movements (
    id BIGINT GENERATED ALWAYS AS IDENTITY,
    sku TEXT NOT NULL,
    location TEXT NOT NULL,
    quantity INTEGER NOT NULL,
    reason TEXT NOT NULL,
    reservation TEXT,
    at TIMESTAMP WITH TIME ZONE NOT NULL,
    CONSTRAINT movements_pk PRIMARY KEY (id),
    CONSTRAINT movements_reason CHECK (reason IN ('received', 'taken'))
);

CREATE TABLE inventory.low_stock (
    id BIGINT GENERATED ALWAYS AS IDENTITY,
    sku TEXT NOT NULL,
    location TEXT NOT NULL,
    on_hand INTEGER NOT NULL,
    at TIMESTAMP WITH TIME ZONE NOT NULL,
    CONSTRAINT low_stock_pk PRIMARY KEY (id)
);

CREATE TABLE inventory.reservations (
    key TEXT NOT NULL,
    order_id TEXT NOT NULL,
    state TEXT NOT NULL,
    handing_out BOOLEAN NOT NULL DEFAULT FALSE,
    at TIMESTAMP WITH TIME ZONE NOT NULL,
    settled_at TIMESTAMP WITH TIME ZONE,
    CONSTRAINT reservations_pk PRIMARY KEY (key),
    CONSTRAINT reservations_state CHECK (state IN ('reserved', 'committed', 'released')),
    CONSTRAINT reservations_settled CHECK ((state = 'reserved') = (settled_at IS NULL))
);

CREATE TABLE inventory.holds (
    reservation TEXT NOT NULL,
    line TEXT NOT NULL,
    sku TEXT NOT NULL,
    location TEXT NOT NULL,
    quantity INTEGER NOT NULL,
    taken_at TIMESTAMP WITH TIME ZONE,
    CONSTRAINT holds_pk PRIMARY KEY (reservation, line, sku, location),
    CONSTRAINT holds_quantity CHECK (quantity > 0)
);

CREATE TABLE inventory.numbers (
    pool TEXT NOT NULL,
    value TEXT NOT NULL,
    state TEXT NOT NULL DEFAULT 'available',
    reservation TEXT,
    line TEXT,
    quarantined_until TIMESTAMP WITH TIME ZONE,
    CONSTRAINT numbers_pk PRIMARY KEY (pool, value),
    CONSTRAINT numbers_state CHECK (state IN ('available', 'reserved', 'assigned', 'quarantined')),
    CONSTRAINT numbers_held CHECK ((state IN ('reserved', 'assigned')) = (reservation IS NOT NULL)),
    CONSTRAINT numbers_line CHECK ((reservation IS NULL) = (line IS NULL)),
    CONSTRAINT numbers_quarantine CHECK ((state = 'quarantined') = (quarantined_until IS NOT NULL))
);

CREATE INDEX numbers_available ON inventory.numbers (pool, value) WHERE state = 'available';

CREATE INDEX numbers_reservation ON inventory.numbers (reservation) WHERE reservation IS NOT NULL;
"""

PROVISIONING = """
CREATE TABLE provisioning.services (
    id BIGINT GENERATED ALWAYS AS IDENTITY,
    service TEXT NOT NULL,
    product TEXT NOT NULL,
    account TEXT NOT NULL,
    billable BOOLEAN NOT NULL,
    service_id TEXT,
    features TEXT[] NOT NULL,
    numbers JSONB NOT NULL,
    attributes JSONB NOT NULL,
    since TIMESTAMP WITH TIME ZONE NOT NULL,
    until TIMESTAMP WITH TIME ZONE,
    CONSTRAINT services_pk PRIMARY KEY (id),
    CONSTRAINT services_period CHECK (until >= since)
);

CREATE UNIQUE INDEX services_running ON provisioning.services (service) WHERE until IS NULL;

CREATE INDEX services_stopped ON provisioning.services (service) WHERE until IS NOT NULL;
"""

BILLING = """
CREATE TABLE billing.accounts (
    id TEXT NOT NULL,
    name TEXT NOT NULL,
    owner TEXT,
    status TEXT NOT NULL DEFAULT 'active',
    balance_group TEXT NOT NULL,
    CONSTRAINT accounts_pk PRIMARY KEY (id),
    CONSTRAINT accounts_status CHECK (status IN ('active', 'closed'))
);

CREATE TABLE billing.service_instances (
    id TEXT NOT NULL,
    billing_service_type TEXT NOT NULL,
    account TEXT NOT NULL,
    profile TEXT,
    service_id TEXT,
    asset TEXT NOT NULL,
    line TEXT NOT NULL,
    status TEXT NOT NULL,
    balance_group TEXT NOT NULL,
    made_at TIMESTAMP WITH TIME ZONE NOT NULL,
    active_from TIMESTAMP WITH TIME ZONE,
    ended_at TIMESTAMP WITH TIME ZONE,
    CONSTRAINT service_instances_pk PRIMARY KEY (id),
    CONSTRAINT service_instances_status CHECK (status IN ('initiated', 'active', 'suspended', 'closed', 'voided')),
    CONSTRAINT service_instances_active_from CHECK ((status IN ('initiated', 'voided')) = (active_from IS NULL)),
    CONSTRAINT service_instances_ended_at CHECK ((status IN ('closed', 'voided')) = (ended_at IS NOT NULL))
);

CREATE UNIQUE INDEX service_instances_open ON billing.service_instances (asset)
    WHERE status NOT IN ('closed', 'voided');

CREATE TABLE billing.purchases (
    id TEXT NOT NULL,
    product TEXT NOT NULL,
    billing_type TEXT NOT NULL,
    account TEXT NOT NULL,
    service_instance TEXT,
    balance_group TEXT NOT NULL,
    asset TEXT NOT NULL,
    line TEXT NOT NULL,
    quantity INTEGER NOT NULL,
    price_minor BIGINT,
    currency TEXT,
    promotion_ref TEXT,
    duration_months INTEGER,
    status TEXT NOT NULL,
    purchase_start TIMESTAMP WITH TIME ZONE NOT NULL,
    cycle_start TIMESTAMP WITH TIME ZONE NOT NULL,
    usage_start TIMESTAMP WITH TIME ZONE NOT NULL,
    ends TIMESTAMP WITH TIME ZONE,
    ended_at TIMESTAMP WITH TIME ZONE,
    CONSTRAINT purchases_pk PRIMARY KEY (id),
    CONSTRAINT purchases_billing_type CHECK (billing_type IN ('subscription', 'item', 'discount')),
    CONSTRAINT purchases_quantity CHECK (quantity > 0),
    CONSTRAINT purchases_price CHECK ((price_minor IS NULL) = (currency IS NULL)),
    CONSTRAINT purchases_status CHECK (status IN ('initiated', 'active', 'suspended', 'cancelled', 'voided')),
    CONSTRAINT purchases_ended_at CHECK ((status IN ('cancelled', 'voided')) = (ended_at IS NOT NULL))
);

CREATE UNIQUE INDEX purchases_open ON billing.purchases (asset) WHERE status NOT IN ('cancelled', 'voided');

CREATE INDEX purchases_service_instance ON billing.purchases (service_instance);

CREATE INDEX purchases_product ON billing.purchases (product) WHERE status NOT IN ('cancelled', 'voided');

CREATE TABLE billing.charges (
    purchase TEXT NOT NULL,
    line TEXT NOT NULL,
    balance_group TEXT NOT NULL,
    amount_minor BIGINT NOT NULL,
    currency TEXT NOT NULL,
    at TIMESTAMP WITH TIME ZONE NOT NULL,
    CONSTRAINT charges_pk PRIMARY KEY (purchase)
);

CREATE TABLE billing.products (
    code TEXT NOT NULL,
    name TEXT NOT NULL,
    billing_type TEXT NOT NULL,
    billing_service_type TEXT NOT NULL,
    price_minor BIGINT,
    currency TEXT,
    events TEXT[] NOT NULL,
    CONSTRAINT products_pk PRIMARY KEY (code),
    CONSTRAINT products_price CHECK ((price_minor IS NULL) = (currency IS NULL))
);
"""

FOR_THE_APPLICATION = """
DO $$
BEGIN
  IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'orderloom_app') THEN
    GRANT USAGE ON SCHEMA {schema} TO orderloom_app;
    GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA {schema} TO orderloom_app;
    GRANT USAGE, SELECT ON ALL SEQUENCES IN SCHEMA {schema} TO orderloom_app;
  END IF;
END
$$
"""

# A connection keeps the plans of its statements. Those made for a table of unknown size look rows up by index, and stay
# right as it grows; those made right after a small table was analyzed read all of it, and get slower with every order.
JUDGED_LATE = """
DO $$
DECLARE
  grown text;
BEGIN
  FOR grown IN SELECT format('%I.%I', schemaname, tablename) FROM pg_tables WHERE schemaname = '{schema}' LOOP
    EXECUTE 'ALTER TABLE ' || grown || ' SET (autovacuum_analyze_threshold = 2000, autovacuum_vacuum_threshold = 2000,'
      || ' autovacuum_vacuum_insert_threshold = 2000)';
  END LOOP;
END
$$
"""

NEIGHBOURS = {"inventory": INVENTORY, "provisioning": PROVISIONING, "billing": BILLING}


def upgrade() -> None:
    """Create the three schemas and their tables."""
    for schema, tables in NEIGHBOURS.items():
        op.execute(LEDGER.format(schema=schema))
        op.execute(tables)
        op.execute(JUDGED_LATE.format(schema=schema))
        op.execute(FOR_THE_APPLICATION.format(schema=schema))


def downgrade() -> None:
    """Drop the three schemas with all they hold."""
    for schema in NEIGHBOURS:
        op.execute(f"DROP SCHEMA {schema} CASCADE")
