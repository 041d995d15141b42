"""What is asked about installed assets in every change of one."""

import re

import pytest

from models import assets
from sql.connections import autocommit
from sql.prepared import Prepared
from tests.models.conftest import Books

ONE = ["00000000-0000-0000-0000-000000000001"]


@pytest.mark.parametrize("statement", [assets._LOCK, assets._TREES, assets._PENDING], ids=["lock", "trees", "pending"])  # noqa: SLF001
def test_a_change_finds_its_assets_and_what_is_open_on_them_by_key_however_small_the_tables_are(
    books: Books, statement: Prepared
):
    with autocommit(books.engine) as connection:
        statement.on(connection, assets=ONE)
        rows = connection.exec_driver_sql(f"EXPLAIN {statement._execute}", {"assets": ONE})  # noqa: SLF001
        plan = "\n".join(rows.scalars())
    read = set(re.findall(r"using (\w+) on|Bitmap Index Scan on (\w+)", plan))
    assert "Seq Scan" not in plan
    assert {x or y for x, y in read} <= {"assets_pk", "assets_root", "order_lines_asset", "order_lines_pk", "orders_pk"}
