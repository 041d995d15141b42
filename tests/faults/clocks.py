"""A worker's clock is wrong, or in another part of the world: business dates are right all the same (TI1, TI3)."""

from calendar import monthrange
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from tests.faults import oracle
from tests.faults.stories import ORDER_TYPES
from tests.faults.trials import Trial, Try, told
from tests.faults.worlds import World

YEARS_S = timedelta(days=3_652).total_seconds()
ZONES = ("Pacific/Kiritimati", "Etc/GMT+12", "America/St_Johns", "Australia/Lord_Howe")
"""The furthest ahead and behind, and two that are not whole hours away, one of which shifts by half an hour."""
BEFORE = timedelta(milliseconds=60)
"""An order that begins so long before a moment is under way when it comes."""
MOMENTS: Mapping[str, tuple[str, str]] = {
    "the clocks go forward": ("2027-03-28T01:00Z", "Europe/Berlin"),
    "the clocks go back": ("2027-10-31T01:00Z", "Europe/Berlin"),
    "29 February begins": ("2028-02-29T00:00Z", "America/St_Johns"),
    "29 February ends": ("2028-03-01T00:00Z", "Pacific/Kiritimati"),
    "a 31st ends": ("2027-02-01T00:00Z", "Etc/GMT+12"),
    "the year ends": ("2027-01-01T00:00Z", "Pacific/Kiritimati"),
}
"""Instants at which calendars stumble, and where the worker thinks that it is."""
TOLD = ("wireless_bundle", "physical_goods", "future_start", "refused_and_skipped", "cancelled")
OFF_BY_AT_MOST = "5 seconds"
NOT_MEANT = frozenset(
    {
        ("fallouts", "due_at"),
        ("plan_items", "actual_at"),
        ("accounts", "billing_synced_at"),
        ("orders", "requested_start"),
        ("purchases", "ends"),
    }
)
"""What lies ahead on purpose; and what only tells when a worker heard of something, by its own clock."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Column:
    schema: str
    table: str
    name: str


def dated(stories: Sequence[str] = TOLD) -> Sequence[Try]:
    """A trial for each story: no instant in any ledger lies ahead of the database's clock, or before it began."""
    return [_dated(x) for x in stories]


def passing(stories: Sequence[str] = TOLD) -> Sequence[Try]:
    """A trial for each story, in which a moment passes: what lasts for months ends on the day it has to."""
    return [_passing(x) for x in stories]


def _passing(story: str) -> Try:
    async def attempt(world: World) -> Trial:
        before = len(world.orders())
        violations = [*await told(world, ORDER_TYPES[story], before)]
        sold = world.shop.rows("SELECT usage_start, ends, duration_months AS months FROM billing.purchases")
        violations += [
            f"TI3: what begins {x['usage_start']} for {x['months']} months ends {x['ends']}"
            for x in sold
            if x["ends"] != (x["months"] and _later(x["usage_start"], x["months"]))
        ]
        if story == "wireless_bundle" and not any(x["months"] for x in sold):
            violations.append("N3: nothing was sold for some months")
        begins = world.joining.begins
        return Trial(
            what=f"{story}, {begins}, {world.joining.zone}",
            effects=len(oracle.books(world, world.orders()[before:])),
            violations=[*violations, *await oracle.broken(world)],
        )

    return attempt


def _later(at: datetime, months: int) -> datetime:
    """The same day of another month by the calendar of UTC, or that month's last."""
    at = at.astimezone(UTC)
    year, month = divmod(at.year * 12 + at.month - 1 + months, 12)
    return at.replace(year=year, month=month + 1, day=min(at.day, monthrange(year, month + 1)[1]))


def _dated(story: str) -> Try:
    async def attempt(world: World) -> Trial:
        before = len(world.orders())
        began = world.shop.one("SELECT now()")
        violations = [*await told(world, ORDER_TYPES[story], before)]
        orders = world.orders()[before:]
        violations += [
            f"TI1: {x.schema}.{x.table}.{x.name} has instants {found[0]} s off"
            for x in _columns(world)
            if (found := _off(world, x, began))
        ]
        joining = world.joining
        return Trial(
            what=f"{story}, {joining.ahead_s:+.0f} s, {joining.zone or 'UTC'}",
            effects=len(oracle.books(world, orders)),
            violations=[*violations, *await oracle.broken(world)],
        )

    return attempt


def _columns(world: World) -> Sequence[_Column]:
    rows = world.shop.rows("""
        SELECT c.table_schema, c.table_name, c.column_name FROM information_schema.columns AS c
          JOIN information_schema.tables AS t USING (table_schema, table_name)
         WHERE t.table_type = 'BASE TABLE' AND c.data_type = 'timestamp with time zone'
           AND c.table_schema IN ('orderloom', 'inventory', 'provisioning', 'billing')
    """)
    found = (_Column(schema=x["table_schema"], table=x["table_name"], name=x["column_name"]) for x in rows)
    return [x for x in found if (x.table, x.name) not in NOT_MEANT]


def _off(world: World, column: _Column, began: object) -> Sequence[int]:
    """By how many seconds instants lie too early, or ahead of now; billing sets a year ahead what has not begun."""
    question = f"""
        SELECT CAST(extract(epoch FROM {column.name} - now()) AS bigint) AS off FROM {column.schema}.{column.table}
         WHERE {column.name} > now() + interval '{OFF_BY_AT_MOST}'
               AND {column.name} NOT BETWEEN now() + interval '11 months' AND now() + interval '13 months'
            OR {column.name} < :began - interval '1 hour'
    """  # noqa: S608 - made of the database's own names
    return [x["off"] for x in world.shop.rows(question, began=began)]
