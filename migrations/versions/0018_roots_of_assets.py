"""What joined a part deep down stands in the tree of its root: for a time it was put into one of its own."""

from alembic import op

revision = "0018"
down_revision = "0017"

UPGRADE = """
WITH RECURSIVE upward (asset, root, parent) AS (
    SELECT a.id, r.root, r.parent FROM orderloom.assets AS a JOIN orderloom.assets AS r ON r.id = a.root
     WHERE r.parent IS NOT NULL
    UNION
    SELECT u.asset, r.root, r.parent FROM upward AS u JOIN orderloom.assets AS r ON r.id = u.root
     WHERE u.parent IS NOT NULL
)
UPDATE orderloom.assets AS a SET root = u.root FROM upward AS u WHERE a.id = u.asset AND u.parent IS NULL;
"""
"""From a root that is a part of something up to one that is not."""


def upgrade() -> None:
    """Repair them."""
    op.execute(UPGRADE)


def downgrade() -> None:
    """Leave it: it is true."""
