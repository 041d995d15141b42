"""The environment, read once, typed and frozen. Only the roots and `migrations/env.py` import it."""

from datetime import timedelta
from enum import StrEnum
from typing import Annotated, Self

from pydantic import AfterValidator, Field, HttpUrl, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

DRIVER = "postgresql+psycopg2"


def _with_driver(url: str) -> str:
    scheme, separator, rest = url.partition("://")
    if not separator or scheme not in {DRIVER, "postgresql", "postgres"}:
        message = f"expected {DRIVER}://user:password@host:port/database"
        raise ValueError(message)
    return f"{DRIVER}://{rest}"


DatabaseUrl = Annotated[str, AfterValidator(_with_driver)]


Hours = Annotated[float, Field(gt=0, le=8_760)]


class Neighbours(StrEnum):
    """Where inventory, provisioning and billing live."""

    EMBEDDED = "embedded"
    URLS = "urls"


class WorkflowSandbox(StrEnum):
    """Whether the worker guards workflow code against nondeterminism, at an eighth more CPU for each order."""

    ON = "on"
    OFF = "off"


class Schedules(StrEnum):
    """Whether workers see to it that what recurs is scheduled."""

    ON = "on"
    OFF = "off"


class AssetBasedOrdering(StrEnum):
    """Whether what is installed is shown for ordering, and changed by orders (A05)."""

    ON = "on"
    OFF = "off"


class Settings(BaseSettings):
    """Every setting of the system; the variable of a field is `ORDERLOOM_` and its name in capitals."""

    model_config = SettingsConfigDict(env_prefix="ORDERLOOM_", frozen=True, extra="forbid", hide_input_in_errors=True)

    database_url: DatabaseUrl = Field(repr=False)
    """Where rows are read and written: `postgresql+psycopg2://…`, a role that is not a superuser."""

    owner_database_url: DatabaseUrl = Field(default_factory=lambda given: given["database_url"], repr=False)
    """Where migrations run: the same database, the role that owns the schemas. Absent: `database_url`."""

    temporal_address: str = "127.0.0.1:7233"
    """Temporal's `host:port`."""

    temporal_namespace: str = "default"
    """The Temporal namespace of all runs."""

    temporal_ui_url: str = "http://127.0.0.1:8233"
    """Where a person opens Temporal's UI; links in answers start with it."""

    task_queue: str = "orderloom"
    """The task queue that workers poll and the API starts runs on."""

    api_host: str = "127.0.0.1"
    """The address the API listens on."""

    api_port: int = Field(default=8000, ge=1, le=65535)
    """The port the API listens on."""

    neighbours: Neighbours = Neighbours.EMBEDDED
    """`embedded`: the three neighbours of this repository, in the same database. `urls`: the three systems below."""

    inventory_url: HttpUrl | None = None
    """The inventory system, with `neighbours=urls`."""

    provisioning_url: HttpUrl | None = None
    """The provisioning system, with `neighbours=urls`."""

    billing_url: HttpUrl | None = None
    """The billing system, with `neighbours=urls`."""

    asset_based_ordering: AssetBasedOrdering = AssetBasedOrdering.ON
    """`off`: no service profiles (404) and no changes of assets (409); new products are ordered as ever (A05)."""

    bulk_change_orders: int = Field(default=50, ge=1)
    """About how many orders of one bulk change are under way at once, so that other orders are not kept waiting."""

    propagated_fields: frozenset[str] = frozenset({"state"})
    """What lines take over from the bundle above them (B29): `state`, also `actual_delivery_at`; never ids or keys."""

    fallout_due_hours: tuple[Hours, Hours, Hours, Hours, Hours] = (1, 4, 24, 72, 168)
    """After how many hours a fallout of priority 1, 2, 3, 4 and 5 is due; past that it is escalated."""

    schedules: Schedules = Schedules.ON
    """`off`: workers leave the schedules as they are; `on`: they make and update them when they start."""

    reconcile_every_s: int = Field(default=3_600, ge=10)
    """How often the network is compared with billing; `orderloom up` sets 50, so that a difference is seen in 60."""

    watch_every_s: int = Field(default=15, ge=5)
    """How often it is looked for orders that nobody carries out, and for what else waits unseen."""

    service_ends_every_s: int = Field(default=60, ge=1)
    """How often it is looked for services that have reached their end."""

    reconcile_grace_s: int = Field(default=300, ge=0)
    """How long ago what an order did may still be under way, and is no difference; `orderloom up` sets 5."""

    workflow_sandbox: WorkflowSandbox = WorkflowSandbox.OFF
    """`off`: 12 ms of CPU less for each order. The guard is for whoever changes workflows: every test works in it."""

    worker_threads: int = Field(default=16, ge=2, le=256)
    """How many activities a worker runs at once; also the size of its database pool."""

    worker_cached_workflows: int = Field(default=5_000, ge=1)
    """How many open runs a worker keeps in memory (about 50 kB each); keep it above those in flight."""

    @property
    def recurring(self) -> dict[str, timedelta]:
        """How often what recurs is started, by its name; nothing when the schedules are not ours to keep."""
        if self.schedules is Schedules.OFF:
            return {}
        every_s = {
            "reconciliation": self.reconcile_every_s,
            "service-ends": self.service_ends_every_s,
            "watch": self.watch_every_s,
        }
        return {name: timedelta(seconds=seconds) for name, seconds in every_s.items()}

    @property
    def due_times(self) -> dict[int, timedelta]:
        """When a fallout is due, by its priority."""
        return {priority: timedelta(hours=x) for priority, x in enumerate(self.fallout_due_hours, start=1)}

    @model_validator(mode="after")
    def _complete(self) -> Self:
        urls = (self.inventory_url, self.provisioning_url, self.billing_url)
        if self.neighbours is Neighbours.URLS and None in urls:
            message = "neighbours=urls needs inventory_url, provisioning_url and billing_url"
            raise ValueError(message)
        return self


class Provided(BaseSettings):
    """What `orderloom up` is given; for the rest it starts its own."""

    model_config = SettingsConfigDict(env_prefix="ORDERLOOM_", frozen=True, hide_input_in_errors=True)

    database_url: DatabaseUrl | None = Field(default=None, repr=False)
    owner_database_url: DatabaseUrl | None = Field(default=None, repr=False)
    temporal_address: str | None = None
    temporal_namespace: str = Settings.model_fields["temporal_namespace"].default
    temporal_ui_url: str = Settings.model_fields["temporal_ui_url"].default
    api_port: int = Settings.model_fields["api_port"].default
