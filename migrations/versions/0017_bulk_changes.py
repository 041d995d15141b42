"""One request that changes many assets, and what becomes of each."""

from alembic import op

revision = "0017"
down_revision = "0016"

UPGRADE = """
CREATE TABLE orderloom.bulk_changes (
    id UUID NOT NULL,
    change TEXT NOT NULL,
    document JSONB NOT NULL,
    submitted_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    CONSTRAINT bulk_changes_pk PRIMARY KEY (id)
) WITH (autovacuum_analyze_threshold = 2000, autovacuum_vacuum_threshold = 2000,
        autovacuum_vacuum_insert_threshold = 2000);

CREATE TABLE orderloom.bulk_change_items (
    bulk_change UUID NOT NULL,
    asset UUID NOT NULL,
    position INTEGER NOT NULL,
    order_id UUID,
    refusal TEXT,
    CONSTRAINT bulk_change_items_pk PRIMARY KEY (bulk_change, asset),
    CONSTRAINT bulk_change_items_bulk_change_fk FOREIGN KEY (bulk_change) REFERENCES orderloom.bulk_changes (id),
    CONSTRAINT bulk_change_items_order_id_fk FOREIGN KEY (order_id) REFERENCES orderloom.orders (id),
    CONSTRAINT bulk_change_items_became CHECK (order_id IS NULL OR refusal IS NULL)
) WITH (autovacuum_analyze_threshold = 2000, autovacuum_vacuum_threshold = 2000,
        autovacuum_vacuum_insert_threshold = 2000);
CREATE INDEX bulk_change_items_bulk_change_position ON orderloom.bulk_change_items (bulk_change, position);
CREATE INDEX bulk_change_items_waiting ON orderloom.bulk_change_items (bulk_change, position)
 WHERE order_id IS NULL AND refusal IS NULL;
"""


def upgrade() -> None:
    """Create the tables."""
    op.execute(UPGRADE)


def downgrade() -> None:
    """Drop them; the orders stay."""
    op.execute("DROP TABLE orderloom.bulk_change_items, orderloom.bulk_changes")
