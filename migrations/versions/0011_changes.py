"""Changes of what is installed: what an asset costs and has out of pools, and who may change it now."""

from alembic import op

revision = "0011"
down_revision = "0010"

UPGRADE = """
ALTER TABLE orderloom.assets
    ADD COLUMN price JSONB,
    ADD COLUMN promotion_ref TEXT,
    ADD COLUMN numbers JSONB NOT NULL DEFAULT '[]';

-- One bundle at a time changes the tree of a root asset (I20).
CREATE TABLE orderloom.asset_claims (
    asset UUID NOT NULL,
    order_id UUID NOT NULL,
    root TEXT NOT NULL,
    claimed_at TIMESTAMP WITH TIME ZONE NOT NULL DEFAULT now(),
    CONSTRAINT asset_claims_pk PRIMARY KEY (asset),
    CONSTRAINT asset_claims_asset_fk FOREIGN KEY (asset) REFERENCES orderloom.assets (id),
    CONSTRAINT asset_claims_order_id_fk FOREIGN KEY (order_id) REFERENCES orderloom.orders (id)
) WITH (autovacuum_analyze_threshold = 2000, autovacuum_vacuum_threshold = 2000,
        autovacuum_vacuum_insert_threshold = 2000);

CREATE INDEX asset_claims_order_id ON orderloom.asset_claims (order_id);
"""


def upgrade() -> None:
    """Add what changes need."""
    op.execute(UPGRADE)


def downgrade() -> None:
    """Take it away again; what was changed stays so."""
    op.execute("DROP TABLE orderloom.asset_claims")
    op.execute("ALTER TABLE orderloom.assets DROP COLUMN price, DROP COLUMN promotion_ref, DROP COLUMN numbers")
