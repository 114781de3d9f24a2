"""What every port has: a device, a converter, and set-points (EnergyNet §2.1).

Who decides on the set-points builds on it: `epnet.router.ports.Port` carries out a router's plan,
`epnet.router.plainport.PlainPort` the shares of a device in the middle.  A port whose device is to
be spoken to in another way overrides `grant` and `request`.
"""

from __future__ import annotations

from math import inf, isfinite
from typing import TypeVar

from epnet.consent import IsolationGuard, Transfer
from epnet.interfaces import ILink, IPort, PortReading
from epnet.router import speech
from epnet.router.settings import PortSettings
from epnet.wire import DemandParameters, Message, StorageParameters, SupplyParameters

Said = TypeVar("Said", SupplyParameters, DemandParameters, StorageParameters)


class BasePort:
    """One port with what its device says, what it is granted, and what is measured.

    identity: the device that belongs to it.
    settings: what its installer says of it.
    converter: its power electronics.
    link: the open session with its device, or None.
    leaving: whether its session is being closed on purpose.
    isolation: whether isolation blocks it.
    import_w, export_w: the set-points, W; at most one of them above 0.
    asked_w: what its device is asked to supply, W: `import_w`, or ahead of it while that rises.
    reversing: whether its device demands to be rid of energy (M6).
    transfer: whether a transfer is ongoing.
    resting: whether nothing flows, and its converter was told so: there is no need to say it again.
    """

    __slots__ = (
        "_closed",
        "_grant",
        "_request",
        "asked_w",
        "converter",
        "export_w",
        "identity",
        "import_w",
        "isolation",
        "leaving",
        "link",
        "resting",
        "reversing",
        "settings",
        "transfer",
    )

    def __init__(self, identity: str, settings: PortSettings, converter: IPort) -> None:
        self.identity = identity
        self.settings = settings
        self.converter = converter
        self.link: ILink | None = None
        self.leaving = False
        self.isolation = IsolationGuard()
        self.import_w = self.export_w = self.asked_w = 0.0
        self.reversing = False
        self.transfer = Transfer(settings.max_power)
        self.resting = False
        self._closed = False
        self._grant = speech.Repeated(speech.grant)
        self._request = speech.Repeated(speech.request)

    # Its device

    def attach(self, link: ILink) -> None:
        """Its device has connected.  Consent is never inherited: nothing is granted yet."""
        self.link = link
        self.leaving = False

    def release(self) -> None:
        """Its device is gone: no power can flow."""
        self.link = None
        self.isolation.interrupt()
        self.stop()
        self.transfer = Transfer(self.settings.max_power)
        self.resting = False

    def noteIsolation(self, supply: SupplyParameters, now: float) -> None:
        """Follow the isolation its device reports; a fault opens the contactor at once."""
        self.isolation.note(supply, now)
        if self.isolation.blocked:
            self.open()

    @property
    def blocked(self) -> bool:
        """Whether nothing may flow: an isolation fault, or its device is leaving."""
        return self.isolation.blocked or self.leaving

    @property
    def busy(self) -> bool:
        """Whether it gives or gets power, or its device is asked to give some."""
        return self.import_w > 0.0 or self.export_w > 0.0 or self.asked_w > 0.0

    @property
    def supplies(self) -> bool:
        """Whether its device has ever said that it supplies."""
        return self.link is not None and self.link.latest(SupplyParameters) is not None

    @property
    def stores(self) -> bool:
        """Whether its device is a storage."""
        return self.link is not None and self.link.latest(StorageParameters) is not None

    # What it carries

    def stop(self) -> None:
        """Carry nothing from now on."""
        self.import_w = self.export_w = self.asked_w = 0.0
        self.open()

    def open(self) -> None:
        """Open the contactor, once."""
        if self._closed:
            self._closed = False
            self.converter.open()

    @property
    def consentExpires(self) -> float:
        """When the consent for what flows ends, s."""
        assert self.link is not None
        supplies = self.import_w > 0.0 and not self.reversing
        return self.link.consentExpires(SupplyParameters if supplies else DemandParameters)

    def drive(self, now: float, until: float = inf) -> None:
        """Hand the set-points to the converter, with their expiry, and follow the transfer."""
        if self.link is None:
            return
        allowed_w = max(self.import_w, self.asked_w) + self.export_w
        if self.import_w > 0.0 or self.export_w > 0.0:
            self._closed = True
            self.converter.close()
        elif self._closed and self.blocked:
            self.open()
        if self.resting and allowed_w == 0.0:
            return
        expires = min(self.consentExpires, until)
        self.converter.setLimits(self.import_w, self.export_w, expires)
        import_w, export_w, _ = self.flows()
        ongoing = self.transfer.update(allowed_w, import_w + export_w, now)
        self.resting = allowed_w == 0.0 and not ongoing

    def announce(self) -> None:
        """Tell the session whether a transfer is on."""
        if self.link is not None:
            self.link.setTransferring(self.transfer.ongoing)

    def actuate(self, now: float, until: float = inf) -> None:
        """Drive the converter, and tell the session whether a transfer is on."""
        rested = self.resting
        self.drive(now, until)
        if not (rested and self.resting):
            self.announce()

    def measured(self) -> PortReading:
        """What flows: by the port's meter, or as estimated from the messages without one."""
        return self.converter.reading() or PortReading(self.exportVoltage(), *self._estimate())

    def flows(self) -> tuple[float, float, bool]:
        """The power of `measured` alone: W in, W out, and whether that is an estimate."""
        reading = self.converter.reading()
        if reading is None:
            return self._estimate()
        return reading.import_w, reading.export_w, reading.estimated

    def metered(self) -> PortReading | None:
        """What the port's meter reads; None without one, or where it reads no numbers."""
        reading = self.converter.reading()
        if reading is None or not isfinite(reading.import_w + reading.export_w):
            return None
        return reading

    @property
    def estimated(self) -> bool:
        """Whether `measured` is an estimate."""
        return self.converter.reading() is None

    def _estimate(self) -> tuple[float, float, bool]:
        import_w = 0.0
        if self.import_w > 0.0:
            supply = self.said(SupplyParameters)
            if supply is not None:
                said_w = (supply.voltage or 0.0) * (supply.current or 0.0)
                import_w = max(0.0, min(said_w, self.settings.max_power))
        return import_w, self.export_w, True

    # What it says to its device

    def grant(self, demand: DemandParameters, now: float) -> SupplyParameters:
        """What its device, which has demanded that, may draw, sent now."""
        voltage = speech.exportVoltage(self.settings, demand)
        _, flowing_w, _ = self.flows()
        return self._grant.saying(self.settings, self.export_w, voltage, flowing_w)

    def request(self, supply: SupplyParameters | None, now: float) -> DemandParameters:
        """What its device, which has offered that, is asked to supply, sent now.

        None: it has offered nothing, but demands to be rid of energy.
        """
        if supply is None or self.reversing:
            voltage = self.exportVoltage()
        else:
            voltage = speech.importVoltage(self.settings, supply)
        return self._request.saying(self.settings, self.asked_w, voltage)

    def messages(self, now: float) -> list[Message]:
        """The grant for a device that demands, the request for one that supplies; sent now."""
        messages: list[Message] = []
        demand, supply = self.said(DemandParameters), self.said(SupplyParameters)
        if demand is not None:
            messages.append(self.grant(demand, now))
        if supply is not None or (self.reversing and self.link is not None):
            messages.append(self.request(supply, now))
        return messages

    def said(self, kind: type[Said]) -> Said | None:
        """The newest message of that kind from its device, however old."""
        message = None if self.link is None else self.link.latest(kind)
        return message if isinstance(message, kind) else None

    def exportVoltage(self) -> float:
        """What it puts out, V."""
        return speech.exportVoltage(self.settings, self.said(DemandParameters))

    def wireVoltage(self) -> float:
        """The voltage on its wire, as far as its device tells, V: for a simulated converter."""
        supply = self.said(SupplyParameters)
        if supply is not None and supply.voltage:
            return supply.voltage
        return self.exportVoltage()
