"""The network keeps when each service was suspended."""

from alembic import op

revision = "0012"
down_revision = "0011"

UPGRADE = """
ALTER TABLE provisioning.services
    ADD COLUMN suspended_at TIMESTAMP WITH TIME ZONE,
    ADD CONSTRAINT services_suspended CHECK (suspended_at IS NULL OR until IS NULL AND suspended_at >= since);

-- Those that are over.
CREATE TABLE provisioning.suspensions (
    service TEXT NOT NULL,
    since TIMESTAMP WITH TIME ZONE NOT NULL,
    until TIMESTAMP WITH TIME ZONE NOT NULL,
    CONSTRAINT suspensions_pk PRIMARY KEY (service, since),
    CONSTRAINT suspensions_period CHECK (until > since)
) WITH (autovacuum_analyze_threshold = 2000, autovacuum_vacuum_threshold = 2000,
        autovacuum_vacuum_insert_threshold = 2000);
"""


def upgrade() -> None:
    """Create the table and the column; nothing was ever suspended."""
    op.execute(UPGRADE)


def downgrade() -> None:
    """Drop both: what is suspended runs."""
    op.execute("DROP TABLE provisioning.suspensions")
    op.execute("ALTER TABLE provisioning.services DROP COLUMN suspended_at")
