"""What a bind has done, and how the observer is told of it."""

from __future__ import annotations

from heliograph.gateways.smpp.ports import Observer
from heliograph.protocols.smpp.constants import (
    CommandId,
    CommandStatus,
    describe_command,
    describe_status,
)

__all__ = ["Counters"]

_OK = CommandStatus.ESME_ROK.value
_SUBMIT_SM = describe_command(CommandId.SUBMIT_SM.value)


class Counters:
    """What one bind has done. `statuses`: answers by (command_id, command_status) but good ones to
    submit_sm, which are `accepted`."""

    __slots__ = (
        "_told",
        "_told_statuses",
        "accepted",
        "delivered",
        "refused",
        "statuses",
        "submitted",
        "unanswered",
    )

    def __init__(self) -> None:
        self.submitted = 0
        self.accepted = 0
        self.delivered = 0
        self.refused = 0
        self.unanswered = 0
        self.statuses: dict[tuple[int, int], int] = {}
        self._told: tuple[int, int, int, int] = (0, 0, 0, 0)
        self._told_statuses: dict[tuple[int, int], int] = {}

    def note(self, command_id: int, status: int) -> None:
        """Counts an answer."""
        key = (command_id, status)
        self.statuses[key] = self.statuses.get(key, 0) + 1

    def tell(self, observer: Observer) -> None:
        """Tells what came since the last time."""
        now = (self.accepted, self.delivered, self.refused, self.unanswered)
        accepted, *deliveries = (new - old for new, old in zip(now, self._told, strict=True))
        if accepted:
            observer.session_requests(_SUBMIT_SM, describe_status(_OK), accepted)
        for result, count in zip(("delivered", "refused", "unanswered"), deliveries, strict=True):
            if count:
                observer.session_deliveries(result, count)
        self._told = now
        told = self._told_statuses
        for key, total in self.statuses.items():
            if new := total - told.get(key, 0):
                command_id, status = key
                name = describe_command(command_id).removesuffix("_resp")
                observer.session_requests(name, describe_status(status), new)
                told[key] = total
