"""Our own tables, too, are analyzed only when they have grown, as those of the embedded neighbours are (0002)."""

from alembic import op

revision = "0007"
down_revision = "0006"

# A connection keeps the plans of its statements. Those made for a table of unknown size look rows up by index, and stay
# right as it grows; those made right after a small table was analyzed read all of it, and get slower with every order.
SETTINGS = "autovacuum_analyze_threshold", "autovacuum_vacuum_threshold", "autovacuum_vacuum_insert_threshold"
EVERY_TABLE = """
DO $$
DECLARE
  grown text;
BEGIN
  FOR grown IN SELECT format('%I.%I', schemaname, tablename) FROM pg_tables WHERE schemaname = 'orderloom' LOOP
    EXECUTE 'ALTER TABLE ' || grown || ' {change}';
  END LOOP;
END
$$
"""


def upgrade() -> None:
    op.execute(EVERY_TABLE.format(change=f"SET ({', '.join(f'{name} = 2000' for name in SETTINGS)})"))


def downgrade() -> None:
    op.execute(EVERY_TABLE.format(change=f"RESET ({', '.join(SETTINGS)})"))
