"""A network that runs each service once, and may take its time."""

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from adapters.switches import Mode, Switch
from domain.neighbour import Refused
from domain.provisioning import Activation, NetworkService, RunningService, ServiceState, Working
from tests.adapters.conftest import ACCOUNT, Neighbours, at_once


def _service(name: str) -> NetworkService:
    return NetworkService(
        service=name,
        product="GSM",
        account=ACCOUNT,
        billable=True,
        service_id="+1-555-0100",
        features=("VOICEMAIL",),
        numbers={"MSISDN": ("+1-555-0100",)},
        attributes={"apn": "internet", "speed": 100, "roaming": True, "note": None},
    )


def _running(neighbours: Neighbours, name: str, as_of: datetime) -> list[RunningService]:
    return [x for x in neighbours.provisioning.list_active(as_of=as_of) if x.service == name]


@pytest.mark.req("F20")
def test_a_service_activated_twice_runs_once_and_since_the_first_time(neighbours: Neighbours, name: str):
    began = neighbours.clock()
    neighbours.provisioning.activate(key=f"{name}-1", service=_service(name))
    neighbours.clock.forward(hours=1)
    changed = replace(_service(name), features=("VOICEMAIL", "ROAMING"))
    again = neighbours.provisioning.activate(key=f"{name}-2", service=changed)
    assert again == Activation(key=f"{name}-2", service=name, state=ServiceState.ACTIVE, at=began)
    assert _running(neighbours, name, neighbours.clock()) == [
        RunningService(service=name, account=ACCOUNT, billable=True, since=began)
    ]
    rows = neighbours.rows("SELECT features FROM provisioning.services WHERE service = :name", name=name)
    assert [row.features for row in rows] == [["VOICEMAIL", "ROAMING"]]


@pytest.mark.req("F20")
def test_a_service_activated_many_times_at_once_runs_once(neighbours: Neighbours, name: str):
    at_once(lambda i: neighbours.provisioning.activate(key=f"{name}-{i}", service=_service(name)), 20)
    assert len(_running(neighbours, name, neighbours.clock())) == 1


@pytest.mark.req("F20", "F06")
def test_what_ran_at_an_instant_can_be_asked_later(neighbours: Neighbours, name: str):
    began = neighbours.clock()
    neighbours.provisioning.activate(key=f"{name}-1", service=_service(name))
    neighbours.clock.forward(days=3)
    ended = neighbours.clock()
    down = neighbours.provisioning.deactivate(key=f"{name}-2", service=name)
    assert down == Activation(key=f"{name}-2", service=name, state=ServiceState.INACTIVE, at=ended)
    second = timedelta(seconds=1)
    running = [bool(_running(neighbours, name, at)) for at in (began - second, began, ended - second, ended)]
    assert running == [False, True, True, False]


def test_a_service_that_went_down_can_come_up_again(neighbours: Neighbours, name: str):
    neighbours.provisioning.activate(key=f"{name}-1", service=_service(name))
    neighbours.provisioning.deactivate(key=f"{name}-2", service=name)
    neighbours.clock.forward(hours=1)
    neighbours.provisioning.activate(key=f"{name}-3", service=_service(name))
    assert [x.since for x in _running(neighbours, name, neighbours.clock())] == [neighbours.clock()]


def test_a_service_that_is_down_is_taken_down_with_the_same_instant_and_one_that_never_was_with_none(
    neighbours: Neighbours, name: str
):
    assert neighbours.provisioning.deactivate(key=f"{name}-0", service=name) is None
    neighbours.provisioning.activate(key=f"{name}-1", service=_service(name))
    first = neighbours.provisioning.deactivate(key=f"{name}-2", service=name)
    neighbours.clock.forward(hours=1)
    second = neighbours.provisioning.deactivate(key=f"{name}-3", service=name)
    assert isinstance(first, Activation)
    assert second == replace(first, key=f"{name}-3")


@pytest.mark.req("F20")
def test_a_slow_network_works_on_it_and_then_has_done_it_when_its_time_had_passed(neighbours: Neighbours, name: str):
    neighbours.own_provisioning.switches.set("activate", Switch(mode=Mode.SLOW, ms=60_000, remaining=1))
    done_at = neighbours.clock() + timedelta(seconds=60)
    assert neighbours.provisioning.activate(key=name, service=_service(name)) == Working(key=name, again_in_s=60)
    assert neighbours.provisioning.query(key=name) is None
    neighbours.clock.forward(seconds=45)
    assert neighbours.provisioning.activate(key=name, service=_service(name)) == Working(key=name, again_in_s=15)
    assert _running(neighbours, name, neighbours.clock()) == []
    neighbours.clock.forward(seconds=45)
    answer = neighbours.provisioning.activate(key=name, service=_service(name))
    assert answer == Activation(key=name, service=name, state=ServiceState.ACTIVE, at=done_at)
    assert neighbours.provisioning.query(key=name) == answer
    assert [x.since for x in _running(neighbours, name, neighbours.clock())] == [done_at]
    assert neighbours.outcomes("provisioning", name) == ["applied", "replayed", "replayed"]


def test_a_slow_activation_that_is_called_off_never_runs(neighbours: Neighbours, name: str):
    neighbours.own_provisioning.switches.set("activate", Switch(mode=Mode.SLOW, ms=60_000, remaining=1))
    neighbours.provisioning.activate(key=name, service=_service(name))
    neighbours.provisioning.deactivate(key=f"{name}-off", service=name)
    assert _running(neighbours, name, neighbours.clock() + timedelta(days=1)) == []


def test_a_network_that_refuses_runs_nothing(neighbours: Neighbours, name: str):
    refusing = Switch(mode=Mode.REFUSE, match=name, code="NO_COVERAGE", message="no mast in reach")
    neighbours.own_provisioning.switches.set("activate", refusing)
    answer = neighbours.provisioning.activate(key=name, service=_service(name))
    assert answer == Refused(code="NO_COVERAGE", message="no mast in reach")
    assert _running(neighbours, name, neighbours.clock()) == []
