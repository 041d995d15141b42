"""An order as a person sees it: a tree of its lines and their steps, and the events as they happen."""

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from cli import screen
from cli.client import Api, Event

if TYPE_CHECKING:
    from rich.tree import Tree

Document = Mapping[str, Any]

FINAL = frozenset({"rejected", "cancelled", "completed", "failed", "partial"})
_LOST_AFTER_S = 20.0
_AGAIN_AFTER_S = 0.5
_WAITING = frozenset({"pending", "fallout_opened"})
"""The events after which an order may wait for something."""
_LEAVE = "This is watched until it goes on; Ctrl-C leaves the order as it is."
_MARK = {"pending": "·", "inProgress": "▸", "held": "✗", "done": "✓", "skipped": "-", "undone": "↶"}


def watch(api: Api, order_id: str, *, as_json: bool) -> Document:
    """Show an order until it is final, and return it as it is then."""
    if as_json:
        return _in_json(api, order_id)
    return show(api, order_id, followed(api, order_id))


def show(api: Api, order_id: str, events: Iterable[Sequence[Event]]) -> Document:
    """Show an order for as long as there are events of it, and return it as it is then."""
    if screen.console().is_terminal:
        return _alive(api, order_id, events)
    return _line_by_line(api, order_id, events)


def followed(api: Api, order_id: str, *, after: int = 0) -> Iterator[Sequence[Event]]:
    """Give an order's events beyond number `after` as they happen, in batches, until it is final.

    A stream that breaks is taken up again where it broke; `httpx.HTTPError` when that fails for 20 seconds.
    """
    import httpx

    seen = after
    patient_until = time.monotonic() + _LOST_AFTER_S
    while True:
        try:
            for batch in api.events(order_id, after=seen):
                patient_until = time.monotonic() + _LOST_AFTER_S
                if batch is None:
                    return
                seen = batch[-1].seq if batch else seen
                yield batch
        except httpx.TransportError:
            if time.monotonic() > patient_until:
                raise
            time.sleep(_AGAIN_AFTER_S)


def _in_json(api: Api, order_id: str) -> Document:
    for batch in followed(api, order_id):
        for event in batch:
            screen.say_json({"seq": event.seq, "at": event.at, "type": event.type, "body": event.body})
    return _order(api, order_id)


def _alive(api: Api, order_id: str, events: Iterable[Sequence[Event]]) -> Document:
    from rich.live import Live

    with Live(console=screen.console(), auto_refresh=False) as live:
        for _ in events:
            live.update(_drawn(api, order_id, watched=True), refresh=True)
        live.update(_drawn(api, order_id), refresh=True)
    return _order(api, order_id)


def _line_by_line(api: Api, order_id: str, events: Iterable[Sequence[Event]]) -> Document:
    begun: datetime | None = None
    for batch in events:
        for event in batch:
            at = datetime.fromisoformat(event.at)
            begun = begun or at
            screen.say(f"{(at - begun).total_seconds():8.3f} s  {event.type:<16}  {_particulars(event)}".rstrip())
        if any(event.type in _WAITING for event in batch):
            waits = waits_for(api, _order(api, order_id))
            for sentence in (*waits, *([_LEAVE] if waits else [])):
                screen.say(sentence)
    order = _order(api, order_id)
    screen.say(f"Order {order['number']}: {order['state']}.")
    return order


def _particulars(event: Event) -> str:
    match event.body:
        case {"fallout": fallout, "step": step, "code": code}:
            return f"{fallout} at {step}: {code}"
        case {"fallout": fallout, "code": code}:  # found by a detector
            return f"{fallout}: {code}"
        case {"fallout": fallout, "step": step, "decision": decision, "actor": actor}:
            return f"{fallout} at {step}: {decision}, decided by {actor}"
        case {"steps": [*steps]}:
            return f"{len(steps)} steps"
        case {"step": step, "lines": [*lines]}:
            return f"{step} ({_few(lines)})"
        case body:
            return ", ".join(f"{name} {value}" for name, value in body.items() if value is not None)


def _few(lines: Sequence[str], *, at_most: int = 8) -> str:
    more = f" and {len(lines) - at_most} more" if len(lines) > at_most else ""
    noun = "line" if len(lines) == 1 else "lines"
    return f"{noun} {', '.join(lines[:at_most])}{more}"


def draw(api: Api, order_id: str) -> Document:
    """Print the order as it stands, and return it."""
    screen.console().print(_drawn(api, order_id))
    return _order(api, order_id)


def waits_for(api: Api, order: Document) -> list[str]:
    """Say what an order waits for, and what a person does about it; nothing while it goes on by itself."""
    if order["state"] in FINAL:
        return []
    if order["state"] == "draft":
        return [f"It waits to be submitted: orderloom draft submit {order['id']}"]
    needed = [wanted(x) for x in _open_fallouts(api, order["id"])]
    return [_pending(order), *needed] if order["state"] == "pending" else needed


def _pending(order: Document) -> str:
    reason, start = str(order["reason"] or ""), screen.instant(order["requested_start"])
    if reason.startswith("approval"):
        return f"It waits for {reason.rstrip('.')}. Decide: orderloom approve|reject {order['number']} --reason …"
    if reason == "requested start":
        return f"It starts by itself at {start}, as requested."
    return f"It waits: {reason}." if reason else "It waits."


def wanted(fallout: Document) -> str:
    """Say what a fallout is about and what may be decided; an undo is tried for as long as it takes."""
    error, may_be = fallout["error"], "|".join(fallout["decisions"])
    said = f"{fallout['step'] or fallout['type']} needs a person: {error['code']}, {error['message'].rstrip('.')}. "
    decide = f"Decide: orderloom resolve {fallout['id']} {may_be} --reason …"
    return said + (decide if may_be else "It is tried again by itself.")


def _drawn(api: Api, order_id: str, *, watched: bool = False) -> "Tree":
    from rich.tree import Tree

    order = _order(api, order_id)
    steps = [] if order["state"] == "draft" else api.get(f"/v1/orders/{order_id}/plan")["steps"]
    named = f"Order {order['number']}" if order["number"] else "An order"
    drawn = Tree(_title(f"{named} of {order['account']}", order["state"]))
    waits = waits_for(api, order)
    for sentence in (*waits, *([_LEAVE] if waits and watched else [])):  # first: the end may be beyond the screen's
        drawn.add(screen.words(sentence, style="bold red"))
    by_subject: dict[str, list[Document]] = {}
    for step in steps:
        by_subject.setdefault(step["subject"], []).append(step)
    branches: dict[str, Tree] = {}
    for line in order["lines"]:
        quantity = f" x{line['quantity']}" if line["quantity"] != 1 else ""
        action = "" if line["action"] == "add" else f"{line['action'].replace('_', ' ')} "
        about = line["product"] or line["asset"]
        title = _title(f"{line['id']} {action}{about}{quantity}", line["state"])
        branches[line["id"]] = branches.get(line["parent"], drawn).add(title)
        for step in by_subject.pop(line["id"], ()):
            branches[line["id"]].add(_step(step))
    for step in (x for found in by_subject.values() for x in found):  # an account's, or of a line that was dropped
        drawn.add(_step(step, of=f" {step['subject']}"))
    if order["reason"] and order["state"] != "pending":
        drawn.add(screen.words(f"Why: {order['reason']}", style="bold"))
    return drawn


def _title(what: str, state: str) -> Any:  # noqa: ANN401 - rich's Text
    return screen.words(f"{what}  ", style="bold").append_text(screen.words(state, style=screen.state_style(state)))


def _step(step: Document, of: str = "") -> Any:  # noqa: ANN401 - rich's Text
    said = [f"{_MARK.get(step['state'], '?')} {step['function'].replace('_', ' ')}{of}"]
    if step["started_at"] and step["finished_at"]:
        taken = datetime.fromisoformat(step["finished_at"]) - datetime.fromisoformat(step["started_at"])
        said.append(f"{taken.total_seconds():.3f} s")
    if step["attempts"] > 1:
        said.append(f"{step['attempts']} attempts")
    if step["last_error"]:
        said.append(step["last_error"])
    return screen.words("  ".join(said), style=screen.state_style(step["state"]))


def _open_fallouts(api: Api, order_id: str) -> Iterator[Document]:
    return api.pages("/v1/fallouts", order=order_id)


def _order(api: Api, order_id: str) -> Document:
    order: Document = api.get(f"/v1/orders/{order_id}")
    return order
