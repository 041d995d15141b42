"""The API, as the commands ask it."""

import contextlib
import functools
import inspect
import ipaddress
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import urlsplit

import typer

from cli import screen, whereabouts
from cli.whereabouts import DataFolder

if TYPE_CHECKING:
    import httpx

ApiUrl = Annotated[
    str | None,
    typer.Option(
        "--api",
        envvar="ORDERLOOM_API",
        metavar="URL",
        help="The API. Default: the system on --data, else on your data folder, else http://127.0.0.1:8000.",
        show_default=False,
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON, one document a line.")]
DocumentFile = Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="A YAML or JSON file.")]

PANEL = "The API from a shell"
_folder: ContextVar[Path | None] = ContextVar("folder", default=None)
_USUAL_API = "http://127.0.0.1:8000"
_MAX_PAGE = 200
_PATIENCE_S = 60.0
_SILENCE_S = 45.0
"""How long a stream may be silent: the API says at least every 15 seconds that it is there."""


class SaidNo(Exception):  # noqa: N818 - an answer
    """The API refused; `problem` is its answer (RFC 9457)."""

    def __init__(self, problem: Mapping[str, Any]) -> None:
        super().__init__(": ".join(x for x in (problem["title"], problem.get("detail")) if x))
        self.problem = problem


@dataclass(frozen=True, slots=True)
class Event:
    """One event of an order's log, `at` an instant in ISO 8601."""

    seq: int
    at: str
    type: str
    body: Mapping[str, Any]


def name_systems_alike(commands: typer.Typer) -> None:
    """Let every command that takes `--api` take `--data` as well, as those do that start a system or look into it."""
    for command in commands.registered_commands:
        if command.callback and "api" in inspect.signature(command.callback).parameters:
            command.callback = _with_folder(command.callback)
    for group in commands.registered_groups:
        if group.typer_instance:
            name_systems_alike(group.typer_instance)


def _with_folder(command: Callable[..., None]) -> Callable[..., None]:
    @functools.wraps(command)
    def told(*, data: Path | None, **given: Any) -> None:  # noqa: ANN401 - the command's own parameters
        forget = _folder.set(data)
        try:
            command(**given)
        finally:
            _folder.reset(forget)

    data = inspect.Parameter("data", inspect.Parameter.KEYWORD_ONLY, default=None, annotation=DataFolder)
    own = inspect.signature(command)
    vars(told)["__signature__"] = own.replace(parameters=[*own.parameters.values(), data])
    told.__annotations__ = {**command.__annotations__, "data": DataFolder}
    return told


@contextlib.contextmanager
def asking(url: str | None, *, as_json: bool) -> Iterator["Api"]:
    """Give the API to ask: of the system on the folder that is named, else at `url`, else on your own folder.

    When it says no, or nothing, say so and exit with status 1.
    """
    import httpx

    folder = _folder.get()
    found = whereabouts.running_api(folder) if folder else url or whereabouts.running_api() or _USUAL_API
    if found is None:
        screen.complain(f"No system runs on {folder}. Start one with: orderloom up --data {folder}")
        raise typer.Exit(1)
    try:
        with connected(found) as api:
            yield api
    except SaidNo as refusal:
        _tell(refusal, as_json=as_json)
        raise typer.Exit(1) from None
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        reason = str(error) or type(error).__name__
        screen.complain(f"No answer from {found} ({reason}). Is it running? Name another with --api.")
        raise typer.Exit(1) from None


@contextlib.contextmanager
def connected(url: str) -> Iterator["Api"]:
    """Give the API at a URL; `SaidNo` and `httpx.HTTPError` go through."""
    import httpx

    # The proxy of the environment is for other machines.
    with httpx.Client(base_url=url, timeout=_PATIENCE_S, trust_env=not _is_here(url)) as http:
        yield Api(http)


class Api:
    """The API's operations; `SaidNo` when it refuses, `httpx.HTTPError` when it cannot be asked."""

    def __init__(self, http: "httpx.Client") -> None:
        self._http = http

    def get(self, path: str, **filters: object) -> Any:  # noqa: ANN401 - any JSON value
        """Read; filters that are `None` are left out."""
        return _body(self._http.get(path, params=_given(filters)))

    def post(self, path: str, body: object) -> Any:  # noqa: ANN401
        """Send a JSON document."""
        return _body(self._http.post(path, json=body))

    def patch(self, path: str, body: object) -> Any:  # noqa: ANN401
        """Change what is given."""
        return _body(self._http.patch(path, json=body))

    def delete(self, path: str) -> None:
        """Remove what is there."""
        answer = self._http.delete(path)
        if answer.is_error:
            _body(answer)

    def count(self, path: str, **filters: object) -> int:
        """How many a list has in all."""
        answer = self._http.get(path, params=_given({**filters, "limit": 1}))
        _body(answer)
        return int(answer.headers["X-Total-Count"])

    def send(self, method: str, path: str, content: bytes, *, media_type: str) -> Any:  # noqa: ANN401
        """Send a document as it stands."""
        return _body(self._http.request(method, path, content=content, headers={"Content-Type": media_type}))

    def pages(self, path: str, **filters: object) -> Iterator[Any]:
        """Read a list to its end, page by page."""
        cursor = None
        while True:
            page = self.get(path, **filters, limit=_MAX_PAGE, cursor=cursor)
            yield from page["items"]
            cursor = page["next_cursor"]
            if cursor is None:
                return

    def events(self, order_id: str, *, after: int) -> Iterator[Sequence[Event] | None]:
        """Follow an order's events beyond number `after`: each time all there are so far. At the order's end, `None`.

        Ends before that when the API ends.
        """
        headers = {"Accept": "text/event-stream", "Last-Event-ID": str(after)}
        with self._http.stream("GET", f"/v1/orders/{order_id}/events", headers=headers, timeout=_SILENCE_S) as answer:
            if answer.status_code == 204:  # noqa: PLR2004 - nothing more to come
                yield None
                return
            if answer.is_error:
                answer.read()
                _body(answer)
            yield from _batches(answer.iter_lines())


def _batches(lines: Iterator[str]) -> Iterator[Sequence[Event]]:
    """Read server-sent events; a comment says that there are no more for now."""
    import json

    batch: list[Event] = []
    for line in lines:
        if line.startswith("data:"):
            batch.append(Event(**json.loads(line.removeprefix("data:"))))
        elif line.startswith(":"):
            yield tuple(batch)
            batch.clear()
    yield tuple(batch)


def _body(answer: "httpx.Response") -> Any:  # noqa: ANN401
    if not answer.is_error:
        return answer.json()
    try:
        problem = answer.json()
    except ValueError:
        problem = None
    if not isinstance(problem, dict) or "title" not in problem:
        problem = {"title": f"{answer.status_code} {answer.reason_phrase}", "status": answer.status_code}
    raise SaidNo(problem)


def _tell(refusal: SaidNo, *, as_json: bool) -> None:
    if as_json:
        screen.say_json(refusal.problem)
        return
    screen.complain(str(refusal))
    if refusal.problem.get("violations"):
        screen.violations(refusal.problem["violations"])


def _given(filters: Mapping[str, object]) -> dict[str, str]:
    return {
        name: str(value).lower() if isinstance(value, bool) else str(value)
        for name, value in filters.items()
        if value is not None
    }


def _is_here(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
