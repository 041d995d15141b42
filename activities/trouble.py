"""What a run cannot get done by itself, on the work list for as long as it lasts."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Protocol

from temporalio import activity

from domain.fallout import Finding


class WorkList(Protocol):
    """The work list, as far as runs write it themselves."""

    def open(self, findings: Iterable[Finding]) -> Collection[str]:
        """Put findings on the work list, each subject once while it is open."""
        ...

    def close(self, subjects: Iterable[str], *, reason: str) -> Collection[str]:
        """Take off the list what is not there any more."""
        ...


@dataclass(frozen=True)
class TroubleActivities:
    """How a run calls for help, and says that it is over."""

    work_list: WorkList

    @activity.defn(no_thread_cancel_exception=True)
    def report_trouble(self, finding: Finding) -> None:
        """Put what does not succeed on the work list; twice is once (5.4)."""
        self.work_list.open([finding])

    @activity.defn(no_thread_cancel_exception=True)
    def end_trouble(self, subject: str) -> None:
        """Take it off again, now that it has succeeded."""
        self.work_list.close([subject], reason="it succeeded")
