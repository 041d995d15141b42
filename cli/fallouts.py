"""`orderloom fallouts`, `resolve`, `take` and `assign`: what needs a person, who sees to it, and what is decided."""

import getpass
import itertools
import json
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Annotated, Any
from urllib.parse import quote

import typer

from cli import screen
from cli.client import PANEL, Api, ApiUrl, Json, SaidNo, asking
from cli.orders import Newest, OfAccount, OfProduct, id_of

commands = typer.Typer()

_COLUMNS = ("id", "p", "age", "due", "owner", "step", "error", "decisions")
_MANY = 200
_FAILED = ("refused", "failed", "unknown")

Correction = Annotated[str, typer.Option("--input", metavar="JSON", help="What goes with retry_with or skip.")]
Actor = Annotated[str | None, typer.Option("--actor", help="Who you are. Default: your name on this machine.")]
OfType = Annotated[str | None, typer.Option("--type", help="Only of this type, such as Provisioning.")]
OfOrder = Annotated[str | None, typer.Option("--order", help="Only of this order: its id or number.")]
OfOwner = Annotated[str | None, typer.Option("--owner", help="Only those that this person has taken.")]
AtStep = Annotated[str | None, typer.Option("--step", help="Only at this step, or at all of a function: provision.")]
WithCode = Annotated[str | None, typer.Option("--code", help="Only with this error code.")]
Taken = Annotated[bool | None, typer.Option("--taken/--free", help="Only those that somebody, or nobody, has taken.")]
Overdue = Annotated[bool | None, typer.Option("--overdue/--in-time", help="Only those past their due date, or not.")]


class Decision(StrEnum):
    """What can be decided."""

    RETRY = "retry"
    RETRY_WITH = "retry_with"
    SKIP = "skip"
    ABORT = "abort"


class Shown(StrEnum):
    """Which fallouts to show: those not settled, those in one state, or all."""

    UNSETTLED = "unsettled"
    OPEN = "open"
    IN_PROGRESS = "inProgress"
    ON_HOLD = "onHold"
    AWAITING_INFO = "awaitingInfo"
    CLOSED = "closed"
    CANCELLED = "cancelled"
    ALL = "all"


class Work(StrEnum):
    """How far the work on a fallout is."""

    OPEN = "open"
    IN_PROGRESS = "inProgress"
    ON_HOLD = "onHold"
    AWAITING_INFO = "awaitingInfo"


class Sort(StrEnum):
    """Which come first."""

    NEWEST = "newest"
    DUE = "due"


@commands.command(rich_help_panel=PANEL)
def fallouts(  # noqa: PLR0913 - every filter of the API
    *,
    state: Annotated[Shown, typer.Option(help="Which of them.")] = Shown.UNSETTLED,
    of_type: OfType = None,
    account: OfAccount = None,
    order: OfOrder = None,
    product: OfProduct = None,
    owner: OfOwner = None,
    step: AtStep = None,
    code: WithCode = None,
    sort: Annotated[Sort, typer.Option(help="Which come first: the newest, or what is due first.")] = Sort.NEWEST,
    limit: Newest = 20,
    api: ApiUrl = None,
    taken: Taken = None,
    overdue: Overdue = None,
    as_json: Json = False,
) -> None:
    """List what needs a person: how urgent it is, who has taken it, and what may be decided."""
    with asking(api, as_json=as_json) as asked:
        filters = {
            "state": state.value, "type": of_type, "account": account, "order": _order(asked, order),
            "product": product, "owner": owner, "taken": taken, "step": step, "code": code, "overdue": overdue,
            "sort": sort.value,
        }  # fmt: skip
        found = list(itertools.islice(asked.pages("/v1/fallouts", **filters), limit))
        if as_json:
            screen.say_json({"items": found})
        elif found:
            now = datetime.now(UTC)
            screen.table(_COLUMNS, (_row(x, now) for x in found))
        elif {name for name, x in filters.items() if x is not None} == {"state", "sort"} and state is Shown.UNSETTLED:
            screen.say("Nothing needs a person.")
        else:
            screen.say("There are no such fallouts.")


@commands.command(rich_help_panel=PANEL)
def resolve(  # noqa: PLR0913 - every filter of the API
    words: Annotated[
        list[str],
        typer.Argument(metavar="ID|DECISION", help="Fallouts, unless they are selected; last, what is decided."),
    ],
    *,
    reason: Annotated[str, typer.Option(help="Why; it is kept.")],
    correction: Correction = "{}",
    of_type: OfType = None,
    account: OfAccount = None,
    order: OfOrder = None,
    product: OfProduct = None,
    owner: OfOwner = None,
    step: AtStep = None,
    code: WithCode = None,
    threshold: Annotated[int, typer.Option(min=1, max=200, help="Of many, stop after so many that fail.")] = 10,
    actor: Actor = None,
    api: ApiUrl = None,
    taken: Taken = None,
    overdue: Overdue = None,
    everything: Annotated[bool, typer.Option("--all", help="All that are open, without selecting.")] = False,
    yes: Annotated[
        bool,
        typer.Option("--yes", "-y", help="Do not ask before deciding about many; nobody is asked but at a terminal."),
    ] = False,
    as_json: Json = False,
) -> None:
    """Decide about fallouts, named or selected by what they have in common; their orders go on with it."""
    *ids, last = words
    decision = _decision(last)
    body = {
        "decision": decision.value,
        "reason": reason,
        "actor": actor or getpass.getuser(),
        "input": _correction(correction),
    }
    with asking(api, as_json=as_json) as asked:
        given = {
            "type": of_type, "account": account, "order": _order(asked, order), "product": product, "owner": owner,
            "taken": taken, "step": step, "code": code, "overdue": overdue,
        }  # fmt: skip
        selection: dict[str, Any] = {name: x for name, x in given.items() if x is not None}
        _require_one_way(ids, selection, everything=everything)
        if len(ids) == 1:
            _resolve_one(asked, ids[0], body, as_json=as_json)
            return
        if ids:
            selection = {"ids": ids}
        elif not yes:
            _make_sure(asked, selection, decision)
        _resolve_many(asked, {**body, "selection": selection}, threshold=threshold, as_json=as_json)


@commands.command(rich_help_panel=PANEL)
def take(
    ids: Annotated[list[str], typer.Argument(metavar="ID...", help="The fallouts.")],
    actor: Actor = None,
    api: ApiUrl = None,
    *,
    over: Annotated[bool, typer.Option("--over", help="Also from somebody who has taken it.")] = False,
    as_json: Json = False,
) -> None:
    """Take fallouts: others see that you work on them."""
    me = actor or getpass.getuser()
    _change(api, ids, {"owner": me, "state": "inProgress", "actor": me, "take_over": over}, as_json=as_json)


@commands.command(rich_help_panel=PANEL)
def assign(  # noqa: PLR0913 - each is one thing to say
    ids: Annotated[list[str], typer.Argument(metavar="ID...", help="The fallouts.")],
    *,
    to: Annotated[str | None, typer.Option(help="Who sees to it; an empty name puts it back.")] = None,
    state: Annotated[Work | None, typer.Option(help="How far it is.")] = None,
    priority: Annotated[int | None, typer.Option(min=1, max=5, help="1 is the most urgent.")] = None,
    reason: Annotated[str | None, typer.Option(help="Why; it is kept.")] = None,
    actor: Actor = None,
    api: ApiUrl = None,
    over: Annotated[bool, typer.Option("--over", help="Also from somebody who has taken it.")] = False,
    as_json: Json = False,
) -> None:
    """Say who sees to fallouts, how far that is, or how urgent they are."""
    changes = {"state": state.value if state else None, "priority": priority, "reason": reason}
    given: dict[str, Any] = {name: x for name, x in changes.items() if x is not None}
    if to is not None:
        given |= {"owner": to or None, "take_over": over}
    _change(api, ids, {**given, "actor": actor or getpass.getuser()}, as_json=as_json)


def _change(api: str | None, ids: Sequence[str], body: object, *, as_json: bool) -> None:
    with asking(api, as_json=as_json) as asked:
        changed, refusals = list[Any](), dict[str, SaidNo]()
        for x in ids:
            try:
                changed.append(asked.patch(f"/v1/fallouts/{quote(x, safe='')}", body))
            except SaidNo as refusal:
                refusals[x] = refusal
        if as_json:
            screen.say_json({"items": changed, "refused": {x: refusal.problem for x, refusal in refusals.items()}})
        else:
            for x in changed:
                owner = f"of {x['owner']}" if x["owner"] else "nobody's"
                screen.say(f"Fallout {x['id']}: {x['state']}, {owner}, priority {x['priority']}, due {_due(x)}.")
            for id_, said in refusals.items():
                screen.complain(f"Fallout {id_}: {said}")
        if refusals:
            raise typer.Exit(1)


def _resolve_one(api: Api, fallout: str, body: dict[str, Any], *, as_json: bool) -> None:
    resolved = api.post(f"/v1/fallouts/{quote(fallout, safe='')}/resolution", body)
    if as_json:
        screen.say_json(resolved)
    else:
        screen.say(f"Fallout {fallout}: {body['decision']}, {resolved['outcome']}.")


def _resolve_many(api: Api, body: dict[str, Any], *, threshold: int, as_json: bool) -> None:
    """Decide page by page, say how far it is, and end with status 1 if anything failed."""
    became: Counter[str] = Counter()
    for page in _resolved(api, body, threshold, became):
        if as_json:
            screen.say_json(page)
            continue
        for x in page["items"]:
            if x["became"] in _FAILED:
                screen.complain(f"Fallout {x['fallout']}: {x['detail']}")
        screen.say(", ".join(f"{count} {what.replace('_', ' ')}" for what, count in became.items()) or "None is open.")
    if any(became[x] for x in _FAILED):
        raise typer.Exit(1)


def _resolved(api: Api, body: dict[str, Any], threshold: int, became: Counter[str]) -> Iterator[Any]:
    cursor: str | None = ""
    while cursor is not None:
        left = threshold - became["refused"] - became["failed"]
        page = api.post("/v1/fallouts/resolutions", {**body, "threshold": left, "cursor": cursor})
        became.update(x["became"] for x in page["items"])
        yield page
        cursor = None if page["stopped"] else page["next_cursor"]


def _require_one_way(ids: Sequence[str], selection: dict[str, Any], *, everything: bool) -> None:
    ways = bool(ids) + bool(selection) + everything
    if ways != 1:
        message = "name fallouts, or select them (--type, --step, --code, …), or say --all"
        raise typer.BadParameter(message, param_hint="[ID]... DECISION")
    if len(ids) > _MANY:
        message = f"at most {_MANY} at once"
        raise typer.BadParameter(message, param_hint="[ID]...")


def _make_sure(api: Api, selection: dict[str, Any], decision: Decision) -> None:
    """Ask the person at a terminal whether so many are meant."""
    if sys.stdin.isatty():
        many = api.count("/v1/fallouts", **selection)
        typer.confirm(f"{decision} {many} fallouts?", abort=True)


def _decision(word: str) -> Decision:
    try:
        return Decision(word)
    except ValueError:
        message = f"{word!r} is not one of {', '.join(map(repr, map(str, Decision)))}"
        raise typer.BadParameter(message, param_hint="DECISION") from None


def _correction(text: str) -> Any:  # noqa: ANN401 - the API says what it takes
    try:
        return json.loads(text)
    except ValueError as error:
        raise typer.BadParameter(f"not JSON: {error}", param_hint="--input") from None


def _order(api: Api, which: str | None) -> str | None:
    return id_of(api, which) if which else None


def _row(fallout: Any, now: datetime) -> tuple[object, ...]:  # noqa: ANN401
    error = fallout["error"]
    decided = "{decision} by {actor}: {reason}".format_map(fallout) if fallout["closed_at"] else None
    return (
        fallout["id"], fallout["priority"], _span(now - datetime.fromisoformat(fallout["since"])),
        None if decided else _due(fallout), _owner(fallout), fallout["step"], f"{error['code']}: {error['message']}",
        decided or " ".join(fallout["decisions"]),
    )  # fmt: skip


def _owner(fallout: Any) -> str:  # noqa: ANN401
    owner = fallout["owner"] or "-"
    return owner if fallout["state"] in ("open", "inProgress") else f"{owner} ({fallout['state']})"


def _due(fallout: Any) -> str:  # noqa: ANN401
    """Return when it is due; with a sign once it is escalated."""
    left = datetime.fromisoformat(fallout["due_at"]) - datetime.now(UTC)
    due = f"{_span(-left)} ago" if left.total_seconds() < 0 else f"in {_span(left)}"
    return f"{due}!" if fallout["escalated_at"] else due


def _span(span: timedelta) -> str:
    """Return a stretch of time as people say it: its largest unit."""
    seconds = max(0, int(span.total_seconds()))
    for unit, size in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= 2 * size or (seconds >= size and unit != "d"):
            return f"{seconds // size} {unit}"
    return f"{seconds} s"
