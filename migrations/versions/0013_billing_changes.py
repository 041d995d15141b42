"""Billing keeps what it suspended, and what was otherwise before."""

from alembic import op

revision = "0013"
down_revision = "0012"

UPGRADE = """
-- Since when it is suspended, or since it was resumed.
ALTER TABLE billing.service_instances
    ADD COLUMN state_since TIMESTAMP WITH TIME ZONE,
    ADD CONSTRAINT service_instances_suspended CHECK (COALESCE(state_since >= active_from, status <> 'suspended')),
    ADD CONSTRAINT service_instances_period CHECK (ended_at >= active_from);

ALTER TABLE billing.purchases
    ADD COLUMN state_since TIMESTAMP WITH TIME ZONE,
    ADD CONSTRAINT purchases_suspended CHECK (COALESCE(state_since >= purchase_start, status <> 'suspended')),
    ADD CONSTRAINT purchases_period CHECK (status <> 'cancelled' OR ended_at >= purchase_start);

-- Those that are over, of instances and of purchases.
CREATE TABLE billing.suspensions (
    id TEXT NOT NULL,
    since TIMESTAMP WITH TIME ZONE NOT NULL,
    until TIMESTAMP WITH TIME ZONE NOT NULL,
    CONSTRAINT suspensions_pk PRIMARY KEY (id, since),
    CONSTRAINT suspensions_period CHECK (until > since)
) WITH (autovacuum_analyze_threshold = 2000, autovacuum_vacuum_threshold = 2000,
        autovacuum_vacuum_insert_threshold = 2000);

-- What an instance or a purchase was until then, of what has changed.
CREATE TABLE billing.updates (
    n BIGINT GENERATED ALWAYS AS IDENTITY,
    id TEXT NOT NULL,
    at TIMESTAMP WITH TIME ZONE NOT NULL,
    was JSONB NOT NULL,
    CONSTRAINT updates_pk PRIMARY KEY (n)
) WITH (autovacuum_analyze_threshold = 2000, autovacuum_vacuum_threshold = 2000,
        autovacuum_vacuum_insert_threshold = 2000);

CREATE INDEX updates_id ON billing.updates (id);
"""


def upgrade() -> None:
    """Create the tables and the columns; nothing was ever suspended or changed."""
    op.execute(UPGRADE)


def downgrade() -> None:
    """Drop them: what is suspended stays so, since nobody knows when."""
    op.execute("DROP TABLE billing.updates, billing.suspensions")
    op.execute("ALTER TABLE billing.purchases DROP COLUMN state_since, DROP CONSTRAINT purchases_period")
    op.execute(
        "ALTER TABLE billing.service_instances DROP COLUMN state_since, DROP CONSTRAINT service_instances_period"
    )
