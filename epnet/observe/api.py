"""What the HTTP interface does: the calls below ``/api/v1/``, each stated and answered here."""

from __future__ import annotations

from datetime import UTC, timedelta
from typing import TYPE_CHECKING, Any, Final, TypedDict

from twisted.web import http
from twisted.web.server import Request

from epnet.errors import UsageError
from epnet.observe.access import Access
from epnet.observe.calls import Call
from epnet.observe.export import CSV, HISTORY_FIELDS, JSON_LINES, HistoryAnswer, HistoryReader
from epnet.observe.fields import DEVICE, Field, Flag, Number, Text
from epnet.observe.looking import Snapshots
from epnet.observe.openapi import describe, schemaOf
from epnet.observe.resources import JSON, refuse, replyJson
from epnet.observe.snapshot import State
from epnet.observe.stream import EVENT_STREAM, EventStream
from epnet.securitylog import securityLog

if TYPE_CHECKING:
    from twisted.internet.interfaces import IReactorTime

    from epnet.router.decisions import Decision
    from epnet.router.ports import Port
    from epnet.router.router import Router

V1: Final = "/api/v1"
MAX_W: Final = 1e12
LONGEST_LIMIT: Final = 31 * 86400
"""How long an operator's limit may hold, s."""

NO_DEVICE: Final = {http.NOT_FOUND: "No port belongs to that device."}
BUSY: Final = {http.SERVICE_UNAVAILABLE: "Too many ask, or the disk does not answer."}


class DecisionState(TypedDict):
    """What holds or held for one direction of a port.

    time: since when, ISO 8601 in UTC.
    direction: import or export.
    state: where the transfer stands.
    power_w: the set-point, W; `target_w` is where it goes, `bound_w` the most that device, port,
        cable and policies allow.
    reason, text: which bound or rule ruled, its name and in words.
    more: what would have to change for more.
    """

    time: str
    direction: str
    state: str
    power_w: float
    target_w: float
    bound_w: float
    reason: str
    text: str
    more: str


class ChangeState(TypedDict):
    """A change of a set-point: from `before_w` to the decision `after`.

    cause: the bound or rule that set where it went.
    since, until: when it began and last moved, ISO 8601 in UTC.
    """

    before_w: float
    after: DecisionState
    cause: str
    since: str
    until: str


class PortDecisions(TypedDict):
    """What was decided for a port: what holds now by direction, and the last changes."""

    device: str
    name: str | None
    connected: bool
    decisions: list[DecisionState]
    changes: list[ChangeState]


class DecisionsAnswer(TypedDict):
    """The form of ``/api/v1/decisions``."""

    devices: list[PortDecisions]


class Api:
    """The calls of one router.

    access: tells who asks.
    history: reads it; None where none is kept.
    """

    def __init__(
        self,
        router: Router,
        snapshots: Snapshots,
        stream: EventStream,
        clock: IReactorTime,
        access: Access,
        history: HistoryReader | None = None,
    ) -> None:
        self._router = router
        self._snapshots = snapshots
        self._clock = clock
        self._access = access
        self._history = history
        self.calls = self._calls(stream)
        self._description = describe(self.calls, router.parameters.version or "0")

    def _calls(self, stream: EventStream) -> tuple[Call, ...]:
        below = f"{V1}/devices/{{device}}"
        return (
            Call(
                f"{V1}/state",
                "state",
                "Everything that is shown of the router now.",
                self._state,
                answers={JSON: schemaOf(State)},
            ),
            Call(
                f"{V1}/events",
                "events",
                "The state each second and what happens, as server-sent events.",
                lambda request, _: stream.listen(request),
                answers={EVENT_STREAM: {}},
                failures=BUSY,
            ),
            Call(
                f"{V1}/history",
                "history",
                "What was, downsampled by age.",
                self._pastValues,
                HISTORY_FIELDS,
                answers={JSON: schemaOf(HistoryAnswer), CSV: {}, JSON_LINES: {}},
                failures={**BUSY, http.NOT_FOUND: "No history is kept."},
            ),
            Call(
                f"{V1}/decisions",
                "decisions",
                "What was decided for each port, and why.",
                self._decisions,
                (Field("device", "The device; without it, all of them.", DEVICE),),
                answers={JSON: schemaOf(DecisionsAnswer)},
                failures=NO_DEVICE,
            ),
            Call(
                f"{below}/disconnect",
                "disconnect",
                "Ramp the device's transfer down and end its session.",
                self._disconnect,
                DISCONNECT_FIELDS,
                changes=True,
                failures={**NO_DEVICE, http.CONFLICT: "The device is not connected."},
            ),
            Call(
                f"{below}/limit",
                "limit",
                "Let the device have no more than so much for some time.",
                self._limit,
                LIMIT_FIELDS,
                changes=True,
                failures=NO_DEVICE,
            ),
            Call(
                f"{V1}/clear-bus",
                "clear_bus",
                "End the alarm of two drivers on the DC bus, where there is but one again.",
                self._clearBus,
                changes=True,
                failures={
                    http.NOT_FOUND: "The router is on no bus.",
                    http.CONFLICT: "There still are two drivers.",
                },
            ),
            Call(
                f"{below}/clear",
                "clear",
                "Let a port that was shut down for a fault carry power again at once.",
                self._clear,
                changes=True,
                failures={**NO_DEVICE, http.CONFLICT: "The device still reports a fault."},
            ),
            Call(f"{V1}/openapi.json", "openapi", "This description.", self._describe),
        )

    # To read

    def _describe(self, request: Request, _: dict[str, Any]) -> int:
        return replyJson(request, http.OK, self._description)

    def _state(self, request: Request, _: dict[str, Any]) -> int:
        return replyJson(request, http.OK, self._snapshots.state())

    def _pastValues(self, request: Request, values: dict[str, Any]) -> int:
        if self._history is None:
            return refuse(request, http.NOT_FOUND, "no history is kept here")
        return self._history.answer(request, values)

    def _decisions(self, request: Request, values: dict[str, Any]) -> int:
        identity = values["device"]
        if identity is not None and identity not in self._router.ports:
            return self._unknown(request, identity)
        ports = self._router.ports
        chosen = sorted(ports) if identity is None else [identity]
        return replyJson(
            request, http.OK, {"devices": [self._decided(ports[each]) for each in chosen]}
        )

    def _decided(self, port: Port) -> PortDecisions:
        now, time = self._clock.seconds(), self._snapshots.timeOfDay()

        def dated(when: float) -> str:
            moment = time - timedelta(seconds=now - when)
            return moment.astimezone(UTC).isoformat(timespec="milliseconds")

        def told(decision: Decision) -> DecisionState:
            return {
                "time": dated(decision.since),
                "direction": decision.direction.value,
                "state": decision.state.value,
                "power_w": round(decision.power_w, 3),
                "target_w": round(decision.target_w, 3),
                "bound_w": round(decision.bound_w, 3),
                "reason": decision.ruling.reason.name.lower(),
                "text": decision.ruling.text,
                "more": decision.ruling.more,
            }

        parameters = port.peer.parameters if port.peer is not None else None
        return {
            "device": port.identity,
            "name": parameters.name if parameters else None,
            "connected": port.link is not None,
            "decisions": [told(decision) for decision in port.decisions.values()],
            "changes": [
                {
                    "before_w": round(change.before_w, 3),
                    "after": told(change.after),
                    "cause": change.after.cause.text,
                    "since": dated(change.since),
                    "until": dated(change.until),
                }
                for change in port.changes
            ],
        }

    # To change

    def _disconnect(self, request: Request, values: dict[str, Any]) -> int:
        identity = values["device"]
        port = self._router.ports.get(identity)
        if port is None:
            return self._unknown(request, identity)
        if port.link is None:
            return refuse(request, http.CONFLICT, f"{identity} is not connected")
        securityLog.info(
            "{who} disconnects {device}: {reason!r}, reconnect {reconnect}",
            who=self._access.who(request),
            security=True,
            **values,
        )
        port.link.disconnect(values["reason"], values["reconnect"])
        return replyJson(request, http.OK, {"device": identity, "disconnecting": True})

    def _clearBus(self, request: Request, _: dict[str, Any]) -> int:
        bus = self._router.neighbours.bus
        if bus.settings is None:
            return refuse(request, http.NOT_FOUND, "this router is on no bus")
        try:
            bus.clear(self._clock.seconds())
        except UsageError as error:
            return refuse(request, http.CONFLICT, str(error))
        securityLog.info(
            "{who} ends the alarm of bus {bus}",
            who=self._access.who(request),
            bus=bus.name,
            security=True,
        )
        return replyJson(request, http.OK, {"bus": bus.name, "alarm": False})

    def _limit(self, request: Request, values: dict[str, Any]) -> int:
        identity, max_w, seconds = values["device"], values["max_w"], values["seconds"]
        if identity not in self._router.ports:
            return self._unknown(request, identity)
        who = self._access.who(request)
        if max_w is None:
            securityLog.info(
                "{who} lifts the limit of {device}", who=who, device=identity, security=True
            )
        else:
            securityLog.info(
                "{who} limits {device} to {max_w:g} W for {seconds:g} s",
                who=who,
                security=True,
                **values,
            )
        now = self._clock.seconds()
        self._router.limit(identity, max_w, now + seconds)
        until = (self._snapshots.timeOfDay() + timedelta(seconds=seconds)).astimezone(UTC)
        answer = {
            "device": identity,
            "max_w": max_w,
            "until": None if max_w is None else until.isoformat(timespec="seconds"),
        }
        return replyJson(request, http.OK, answer)

    def _clear(self, request: Request, values: dict[str, Any]) -> int:
        identity = values["device"]
        if identity not in self._router.ports:
            return self._unknown(request, identity)
        try:
            self._router.clear(identity)
        except UsageError as error:
            return refuse(request, http.CONFLICT, str(error))
        who = self._access.who(request)
        securityLog.info("{who} clears {device}", who=who, device=identity, security=True)
        return replyJson(request, http.OK, {"device": identity, "cleared": True})

    def _unknown(self, request: Request, identity: str) -> int:
        return refuse(request, http.NOT_FOUND, f"no port belongs to {identity!r}")


DISCONNECT_FIELDS: Final = (
    Field("reason", "Why; the device is told.", Text(200), default="asked by an operator"),
    Field("reconnect", "Whether it may connect again soon.", Flag(), default=True),
)

LIMIT_FIELDS: Final = (
    Field(
        "max_w",
        "The most power in either direction, W; null lifts the limit.",
        Number(0.0, MAX_W, nullable=True),
        required=True,
    ),
    Field(
        "seconds",
        "How long it holds, s; then it is lifted by itself.",
        Number(1.0, LONGEST_LIMIT),
        default=3600.0,
    ),
)
