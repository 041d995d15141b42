"""Neighbours over HTTP that answer badly, or not at all."""

import contextlib
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import httpx
import pytest

from adapters.billing.client import BillingClient
from adapters.inventory.client import InventoryClient
from adapters.provisioning.client import ProvisioningClient
from adapters.remote import MOST_IN_DOUBT, PLACE_WITHIN_S
from domain.inventory import Demand
from domain.neighbour import OutcomeUnknown, Refused, Unacceptable, Unavailable
from domain.provisioning import NetworkService, Working
from embedded.process import free_port

KEY = "order:1.2:provision:0"
SERVICE = NetworkService(service="asset", product="GSM", account="A", billable=True, numbers={}, attributes={})
ACTIVATION = {"key": KEY, "service": "asset", "state": "active", "at": "2026-05-01T00:00:00Z"}
REFUSAL = {"code": "NO_COVERAGE", "message": "no mast in reach"}

Client = TypeVar("Client", InventoryClient, ProvisioningClient, BillingClient)


class Impatient(httpx.HTTPTransport):
    """Waits half a second for what others wait ten."""

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        request.extensions["timeout"]["read"] = 0.5
        return super().handle_request(request)


class Peer:
    """Someone at the other end of a line who does with each connection what it is told, and remembers what it heard."""

    def __init__(self, do: Callable[[socket.socket], None]) -> None:
        self.heard: list[bytes] = []
        self.left = threading.Event()
        self._do = do
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"

    def serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                with connection, contextlib.suppress(OSError):
                    self.heard.append(_request(connection))
                    self._do(connection)

    def leave(self) -> None:
        self.left.set()
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()


def _request(connection: socket.socket) -> bytes:
    """The head of a request, and all its body, so that closing the connection afterwards loses nothing."""
    heard = b""
    while b"\r\n\r\n" not in heard:
        heard += connection.recv(65_536)
    head, _, body = heard.partition(b"\r\n\r\n")
    length = next((int(x.split(b":")[1]) for x in head.lower().split(b"\r\n") if x.startswith(b"content-length")), 0)
    while len(body) < length:
        body += connection.recv(65_536)
    return head + b"\r\n\r\n" + body


@contextlib.contextmanager
def talking_to(do: Callable[[socket.socket], None], client: type[Client]) -> Iterator[tuple[Peer, Client]]:
    peer = Peer(do)
    thread = threading.Thread(target=peer.serve, daemon=True)
    thread.start()
    try:
        with contextlib.closing(client(peer.url, transport=Impatient())) as talking:
            yield peer, talking
    finally:
        peer.leave()
        thread.join(5)


def saying(status: int, body: bytes = b"", *headers: str) -> Callable[[socket.socket], None]:
    """Answer with this status, these headers and this body."""
    head = [f"HTTP/1.1 {status} Said", f"Content-Length: {len(body)}", "Connection: close", *headers]
    return lambda connection: connection.sendall("\r\n".join([*head, "", ""]).encode() + body)


def activating(do: Callable[[socket.socket], None]) -> object:
    """The answer to an activation by someone who does this."""
    with talking_to(do, ProvisioningClient) as (_, network):
        return network.activate(key=KEY, service=SERVICE)


def asking(do: Callable[[socket.socket], None]) -> object:
    """The answer to a question by someone who does this."""
    with talking_to(do, ProvisioningClient) as (_, network):
        return network.query(key=KEY)


def _json(found: object) -> bytes:
    return json.dumps(found).encode()


def test_the_key_goes_in_its_header_and_the_request_is_sent_once():
    with talking_to(saying(503), ProvisioningClient) as (peer, network):
        with pytest.raises(Unavailable):
            network.activate(key="a:1.2 ü", service=SERVICE)
        (heard,) = peer.heard
    assert heard.startswith(b"POST /activate HTTP/1.1\r\n")
    assert b"Idempotency-Key: a:1.2%20%C3%BC\r\n" in heard


def test_a_base_url_may_have_a_path_and_nothing_of_the_environment_leads_elsewhere(monkeypatch: pytest.MonkeyPatch):
    peer = Peer(saying(204))
    threading.Thread(target=peer.serve, daemon=True).start()
    monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{free_port()}")
    with contextlib.closing(ProvisioningClient(f"{peer.url}/network/")) as network:
        assert network.query(key=KEY) is None
    peer.leave()
    assert peer.heard[0].startswith(b"GET /network/query?key=order%3A1.2%3Aprovision%3A0 HTTP/1.1\r\n")


def test_who_is_not_there_did_nothing():
    with contextlib.closing(ProvisioningClient(f"http://127.0.0.1:{free_port()}")) as network:
        with pytest.raises(Unavailable):
            network.activate(key=KEY, service=SERVICE)
        with pytest.raises(Unavailable):
            network.query(key=KEY)


class Mute(httpx.BaseTransport):
    """Lets whoever asks wait for nothing, until it answers: with ``says``."""

    def __init__(self) -> None:
        self.waiting, self.answers, self.says = threading.Semaphore(0), threading.Event(), b""

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        if self.answers.is_set():
            return httpx.Response(200 if self.says else 204, stream=httpx.ByteStream(self.says))
        self.waiting.release()
        self.answers.wait(20)
        raise httpx.ReadTimeout("no answer", request=request)

    @contextlib.contextmanager
    def waited_for(self, network: ProvisioningClient, *, by: int) -> Iterator[None]:
        """So many ask, and wait; they are let go at the end of the block, from which on it answers."""

        def ask() -> None:
            with contextlib.suppress(Unavailable):
                network.query(key=KEY)

        self.answers.clear()
        asking = [threading.Thread(target=ask) for _ in range(by)]
        for thread in asking:
            thread.start()
            assert self.waiting.acquire(timeout=10), "it was not asked"
        yield
        self.answers.set()
        for thread in asking:
            thread.join()


@pytest.mark.parametrize("says", [b"", b"nonsense", b" " * 1_000_001])
def test_a_neighbour_that_does_not_answer_is_waited_for_by_few_until_it_does(says: bytes):
    """The others are told at once: their threads are wanted elsewhere. What makes no sense is an answer, too."""
    mute = Mute()
    network, mute.says = ProvisioningClient("http://mute", transport=mute), says
    with mute.waited_for(network, by=MOST_IN_DOUBT + 1):
        pass
    with mute.waited_for(network, by=MOST_IN_DOUBT), pytest.raises(Unavailable, match="others wait for it"):
        network.query(key=KEY)
    with contextlib.suppress(Unacceptable):
        network.query(key=KEY)
    with mute.waited_for(network, by=MOST_IN_DOUBT + 1):
        pass


def test_what_a_neighbour_does_not_answer_holds_up_nothing_else_that_it_is_asked():
    mute = Mute()
    network = ProvisioningClient("http://mute", transport=mute)
    with mute.waited_for(network, by=MOST_IN_DOUBT):
        pass
    with mute.waited_for(network, by=MOST_IN_DOUBT), ThreadPoolExecutor(1) as other:
        asked = other.submit(network.activate, key=KEY, service=SERVICE)
        assert mute.waiting.acquire(timeout=10), "it was not asked"
        mute.answers.set()
    assert isinstance(asked.exception(), OutcomeUnknown)


def test_a_neighbour_is_asked_by_so_many_at_once_and_no_more():
    """Who comes after them waits for a place, for a moment: others who come then do not wait at all."""
    mute = Mute()
    network = ProvisioningClient("http://mute", at_once=2, transport=mute)
    with mute.waited_for(network, by=2):
        waited_s = []
        for _ in range(2):
            began = time.monotonic()
            with pytest.raises(Unavailable, match="others wait for it"):
                network.query(key=KEY)
            waited_s.append(time.monotonic() - began)
    assert waited_s[0] >= PLACE_WITHIN_S > waited_s[1]
    assert network.query(key=KEY) is None
    with mute.waited_for(network, by=2):
        pass


@pytest.mark.parametrize("status", [408, 425, 429, 502, 503, 504])
def test_not_now_means_nothing_was_done(status: int):
    with pytest.raises(Unavailable) as unavailable:
        activating(saying(status))
    assert unavailable.value.retry_after_s is None


@pytest.mark.parametrize(
    ("headers", "pause_s"),
    [
        (["Retry-After: 7"], 7),
        (["Retry-After: 999999999"], 3_600),
        (["Retry-After: -1"], None),
        (["Retry-After: soon"], None),
        (["Date: Fri, 01 May 2026 12:00:00 GMT", "Retry-After: Fri, 01 May 2026 12:01:30 GMT"], 90),
        (["Date: Fri, 01 May 2026 12:00:00 GMT", "Retry-After: Fri, 01 May 2026 11:00:00 GMT"], 0),
        (["Retry-After: Fri, 01 May 2026 12:01:30 GMT"], None),
    ],
)
def test_a_pause_that_is_asked_for_is_told(headers: list[str], pause_s: float | None):
    with pytest.raises(Unavailable) as unavailable:
        activating(saying(429, b"", *headers))
    assert unavailable.value.retry_after_s == pause_s


def _reset(connection: socket.socket) -> None:
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")


def _hang(connection: socket.socket) -> None:
    connection.settimeout(5)
    connection.recv(1)  # until the other one hangs up


def _trickle(connection: socket.socket) -> None:
    connection.sendall(b"HTTP/1.1 200 Said\r\nContent-Length: 1000\r\n\r\n")
    hung_up = threading.Event()
    while not hung_up.wait(0.03):
        connection.sendall(b" ")


def _break_off(connection: socket.socket) -> None:
    connection.sendall(b"HTTP/1.1 200 Said\r\nContent-Length: 1000\r\n\r\n{")


NO_ANSWER = {
    "hangs up": lambda _: None,
    "resets": _reset,
    "never answers": _hang,
    "breaks off": _break_off,
    "trickles": _trickle,
    "is no HTTP": lambda connection: connection.sendall(b"SSH-2.0-dropbear\r\n"),
    "changes the subject": saying(101),
    "fails": saying(500),
    "fails oddly": saying(599),
}


@pytest.mark.parametrize("do", NO_ANSWER.values(), ids=NO_ANSWER)
def test_what_was_sent_and_not_answered_may_have_happened(do: Callable[[socket.socket], None]):
    with pytest.raises(OutcomeUnknown):
        activating(do)


@pytest.mark.parametrize("do", NO_ANSWER.values(), ids=NO_ANSWER)
def test_a_question_that_is_not_answered_can_be_asked_again(do: Callable[[socket.socket], None]):
    with pytest.raises(Unavailable):
        asking(do)


@pytest.mark.parametrize("status", [409, 422])
def test_no_is_an_answer(status: int):
    assert activating(saying(status, _json(REFUSAL))) == Refused(code=REFUSAL["code"], message=REFUSAL["message"])


@pytest.mark.parametrize("status", [400, 401, 403, 404, 405, 409, 410, 413, 422, 300, 301, 302, 307, 308, 205])
def test_an_answer_that_is_neither_yes_nor_no_nor_later_is_not_acceptable(status: int):
    with pytest.raises(Unacceptable):
        activating(saying(status, b'{"detail": "something is wrong with it"}'))


def test_nobody_is_sent_elsewhere():
    with talking_to(saying(204), ProvisioningClient) as (elsewhere, _):
        with pytest.raises(Unacceptable):
            activating(saying(307, b"", f"Location: {elsewhere.url}/activate"))
        assert elsewhere.heard == []


def test_a_network_at_work_says_so():
    working = {"key": KEY, "again_in_s": 2.5}
    assert activating(saying(202, _json(working))) == Working(key=KEY, again_in_s=2.5)


NONSENSE = {
    "nothing": b"",
    "a page": b"<html><body>Welcome</body></html>",
    "half of it": _json(ACTIVATION)[:-5],
    "a list": _json([ACTIVATION]),
    "null": b"null",
    "another shape": _json({"ok": True}),
    "an unknown state": _json({**ACTIVATION, "state": "splendid"}),
    "a number for a text": _json({**ACTIVATION, "service": 5}),
    "a number for an instant": _json({**ACTIVATION, "at": 1777593600}),
    "no instant": _json({**ACTIVATION, "at": "soon"}),
    "an instant without a zone": _json({**ACTIVATION, "at": "2026-05-01T00:00:00"}),
    "another key": _json({**ACTIVATION, "key": "another"}),
    "another service": _json({**ACTIVATION, "service": "another"}),
    "the opposite": _json({**ACTIVATION, "state": "inactive"}),
    "NUL": _json({**ACTIVATION, "note": "\0"}),
    "half a character": b'{"key": "\\ud800"}',
    "no UTF-8": b'{"key": "\xff"}',
    "NaN": b'{"key": "order:1.2:provision:0", "again_in_s": NaN}',
    "Infinity": b'{"key": "order:1.2:provision:0", "again_in_s": Infinity}',
    "1e400": b'{"key": "order:1.2:provision:0", "again_in_s": 1e400}',
    "a time to come that is past": b'{"key": "order:1.2:provision:0", "again_in_s": -1}',
    "a number of 100,000 digits": b'{"key": "order:1.2:provision:0", "again_in_s": ' + b"9" * 100_000 + b"}",
    "a deep nest": b"[" * 400_000,
    "too much": _json({**ACTIVATION, "padding": " " * 1_000_000}),
    "far too much": b" " * 10_000_000,
}


@pytest.mark.parametrize("body", NONSENSE.values(), ids=NONSENSE)
def test_an_answer_that_makes_no_sense_is_not_acceptable(body: bytes):
    with pytest.raises(Unacceptable):
        activating(saying(200, body))


def test_a_compressed_answer_was_not_asked_for():
    with pytest.raises(Unacceptable):
        activating(saying(200, b"\x1f\x8b", "Content-Encoding: gzip"))


def test_an_answer_is_about_what_was_asked():
    held: dict[str, object] = {"key": KEY, "state": "reserved", "held": []}
    for answer in ({**held, "key": "another"}, {**held, "state": "released"}):
        with talking_to(saying(200, _json(answer)), InventoryClient) as (_, inventory), pytest.raises(Unacceptable):
            inventory.reserve(key=KEY, order="1", demands=[Demand(line="1", sku="R")])
    proof = {"key": KEY, "line": "2", "at": "2026-05-01T00:00:00Z"}
    remembered = {**proof, "key": "another"}
    with talking_to(saying(200, _json(remembered)), InventoryClient) as (_, inventory), pytest.raises(Unacceptable):
        inventory.query(key=KEY)
    with talking_to(saying(200, _json(proof)), InventoryClient) as (_, inventory), pytest.raises(Unacceptable):
        inventory.deliver(key=KEY, reservation="r", line="1")
    billed: dict[str, object] = {
        "key": KEY,
        "state": "active",
        "service_instance": None,
        "balance_group": None,
        "purchases": [],
    }
    with talking_to(saying(200, _json(billed)), BillingClient) as (_, billing), pytest.raises(Unacceptable):
        billing.void_initiated(key=KEY, asset="a")
