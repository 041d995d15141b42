"""What was installed before assets knew their numbers knows them too: it gives them back when it is disconnected."""

from alembic import op

revision = "0016"
down_revision = "0015"

UPGRADE = """
UPDATE orderloom.assets AS a SET numbers = taken.numbers
  FROM (SELECT p.order_id, held.line,
               jsonb_agg(jsonb_build_object(
                   'pool', held.pool, 'values', held."values", 'reservation', p.key, 'line', held.line)) AS numbers
          FROM orderloom.plan_items AS p
         CROSS JOIN jsonb_to_recordset(p.result -> 'held') AS held (line text, pool text, "values" jsonb)
         WHERE p.function = 'reserve' AND p.state = 'done' AND held.pool IS NOT NULL
         GROUP BY p.order_id, held.line) AS taken
 WHERE a.created_by_order = taken.order_id AND a.created_by_line = taken.line AND a.numbers = '[]';
"""


def upgrade() -> None:
    """Write down what each asset was given out of pools."""
    op.execute(UPGRADE)


def downgrade() -> None:
    """Leave it: it is true."""
