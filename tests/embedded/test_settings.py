"""The environment, as the roots read it."""

from datetime import timedelta

import pytest
from pydantic import ValidationError

from domain.fallout import DUE
from embedded.system import PROMPT
from settings import Neighbours, Provided, Settings
from workflows import schedules

URL = "postgresql+psycopg2://app:secret@127.0.0.1/orderloom"


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    monkeypatch.setenv("ORDERLOOM_DATABASE_URL", URL)
    return monkeypatch


def test_migrations_run_in_the_same_database_unless_said_otherwise(environment: pytest.MonkeyPatch):
    assert Settings().owner_database_url == URL
    environment.setenv("ORDERLOOM_OWNER_DATABASE_URL", URL.replace("app", "owner"))
    assert Settings().owner_database_url == URL.replace("app", "owner")


@pytest.mark.parametrize("scheme", ["postgres", "postgresql"])
def test_a_url_as_other_programs_write_it_gets_our_driver(environment: pytest.MonkeyPatch, scheme: str):
    environment.setenv("ORDERLOOM_DATABASE_URL", URL.replace("postgresql+psycopg2", scheme))
    assert Settings().database_url == URL
    assert Provided().database_url == URL


def test_another_database_is_refused_without_showing_its_password(environment: pytest.MonkeyPatch):
    environment.setenv("ORDERLOOM_DATABASE_URL", "mysql://app:secret@127.0.0.1/orderloom")
    with pytest.raises(ValidationError, match=r"expected postgresql\+psycopg2://") as refused:
        Settings()
    assert "secret" not in str(refused.value)


def test_no_password_is_shown_by_a_log_of_the_settings():
    assert "secret" not in repr(Settings())
    assert "secret" not in repr(Provided())


def test_neighbours_elsewhere_need_the_address_of_each(environment: pytest.MonkeyPatch):
    environment.setenv("ORDERLOOM_NEIGHBOURS", "urls")
    environment.setenv("ORDERLOOM_INVENTORY_URL", "http://inventory")
    environment.setenv("ORDERLOOM_BILLING_URL", "http://billing")
    with pytest.raises(ValidationError, match="needs inventory_url, provisioning_url and billing_url"):
        Settings()
    environment.setenv("ORDERLOOM_PROVISIONING_URL", "http://provisioning")
    assert Settings().neighbours is Neighbours.URLS


def test_how_often_what_recurs_does_is_a_setting_and_so_is_whether_workers_schedule_it(
    environment: pytest.MonkeyPatch,
):
    assert Settings().recurring["reconciliation"] == timedelta(hours=1)
    environment.setenv("ORDERLOOM_RECONCILE_EVERY_S", "60")
    assert Settings().recurring["reconciliation"] == timedelta(minutes=1)
    environment.setenv("ORDERLOOM_SCHEDULES", "off")
    assert Settings().recurring == {}


@pytest.mark.req("F06")
def test_with_the_embedded_system_a_difference_is_seen_within_a_minute(environment: pytest.MonkeyPatch):
    for name, value in PROMPT.items():
        environment.setenv(name, value)
    every = Settings().recurring["reconciliation"]
    latest = every + schedules.jitter(every) + timedelta(seconds=Settings().reconcile_grace_s)
    assert latest <= timedelta(seconds=57)  # which leaves three for the comparison itself


def test_a_poisoned_order_is_seen_within_half_a_minute():
    every = Settings().recurring["watch"]
    reported_after = timedelta(seconds=10)  # embedded/temporal.py: two attempts of its workflow task
    assert reported_after + every + schedules.jitter(every) <= timedelta(seconds=27)


def test_when_fallouts_are_due_is_a_setting(environment: pytest.MonkeyPatch):
    assert Settings().due_times == DUE
    environment.setenv("ORDERLOOM_FALLOUT_DUE_HOURS", "[0.5, 1, 2, 3, 4]")
    assert Settings().due_times[1] == timedelta(minutes=30)
    environment.setenv("ORDERLOOM_FALLOUT_DUE_HOURS", "[1, 2, 3]")
    with pytest.raises(ValidationError):
        Settings()
