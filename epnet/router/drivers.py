"""Converters of others' making: found by name, and kept from harming more than their own port.

An installer names a class that implements `epnet.interfaces.IPort`, with its options, as
``MODULE.CLASS[:key=value,…]``; it is called as ``cls(clock, **options)``.
"""

from __future__ import annotations

from collections.abc import Callable
from inspect import isawaitable
from math import inf
from typing import TYPE_CHECKING, Final

from twisted.logger import Logger
from twisted.python.reflect import safe_str
from zope.interface import implementer
from zope.interface.exceptions import Invalid
from zope.interface.verify import verifyClass

from epnet.devices.options import checkedOptions, classNamed, described, makeWithOptions
from epnet.errors import UsageError
from epnet.interfaces import IPort, PortReading
from epnet.router.terms import MOST

if TYPE_CHECKING:
    from twisted.internet.interfaces import IReactorTime

TOLD_SECONDS: Final = 60.0
"""How often the errors of one converter are told of in the log: it is asked many times a second."""

MOST_TEXT: Final = 200
"""How much of what an error says is passed on."""


def checkConverter(text: str) -> type:
    """The class of a converter, as an installer names it; nothing is made.

    Raises `UsageError` if it cannot be imported, is no `IPort`, or does not take its options.
    """
    name, options = described(text)
    try:
        found = classNamed(name)
        verifyClass(IPort, found)
        checkedOptions(found, options)
    except UsageError as error:
        raise UsageError(f"converter {name}: {error}") from error
    except Invalid as error:
        raise UsageError(f"converter {name} is no IPort: {error}") from error
    return found


def makeConverter(text: str, clock: IReactorTime) -> IPort:
    """Make the converter that an installer names.

    clock: the one clock; it lives by it.
    Raises `UsageError` as `checkConverter` does, and whatever its class raises.
    """
    converter: IPort = makeWithOptions(checkConverter(text), clock, described(text)[1])
    return converter


@implementer(IPort)
class GuardedConverter:
    """A converter in which an error shuts down its own port, and nothing else.

    converter: what may fail.
    identity: whose port it is, for the log.
    clock: the one clock.
    failed: called at each error, with what is wrong in words and the time, s; by then the contactor
        has been told to open.
    """

    log = Logger()

    def __init__(self, converter: IPort, identity: str, clock: IReactorTime) -> None:
        self.converter = converter
        self.failed: Callable[[str, float], None] = lambda reason, now: None
        self._identity = identity
        self._clock = clock
        self._toldAt = -inf
        self._hasToOpen = False

    def setLimits(self, import_w: float, export_w: float, expires: float) -> None:
        """Let up to this much power through, W, until `expires`."""
        try:
            _do(self.converter.setLimits, import_w, export_w, expires)
        except Exception as error:
            self._fails(error)

    def close(self) -> None:
        """Close the contactor."""
        try:
            _do(self.converter.close)
        except Exception as error:
            self._fails(error)

    def open(self) -> None:
        """Ramp to zero, then open the contactor; where that fails, again at each reading."""
        self._hasToOpen = True
        try:
            _do(self.converter.open)
            self._hasToOpen = False
        except Exception as error:
            self._tell(error)

    def reading(self) -> PortReading | None:
        """What its meter measures, None without one, or where it fails."""
        if self._hasToOpen:
            self.open()
        try:
            reading = self.converter.reading()
            if reading is not None:
                _checkReading(reading)
        except Exception as error:
            self._fails(error)
            return None
        return reading

    def _fails(self, error: Exception) -> None:
        self.open()
        self._tell(error)

    def _tell(self, error: Exception) -> None:
        now = self._clock.seconds()
        if not 0.0 <= now - self._toldAt < TOLD_SECONDS:
            self._toldAt = now
            self.log.failure("{identity}: ITS CONVERTER FAILS", identity=self._identity)
        text = safe_str(error)[:MOST_TEXT] or type(error).__name__
        self.failed(f"its converter fails: {text}", now)


def _do(command: Callable[..., object], *arguments: float) -> None:
    """Raise `TypeError` for a command that is to be carried out later: nobody waits for it."""
    if isawaitable(command(*arguments)):
        name = getattr(command, "__name__", "it")
        raise TypeError(f"{name}() puts it off: it has to act at once, and to give nothing")


def _checkReading(reading: object) -> None:
    """Raise `TypeError` or `ValueError` for a reading of what is no voltage or no power."""
    if not isinstance(reading, PortReading):
        raise TypeError(f"reading() gives {reading!r}: not a PortReading, and not None")
    for number in (reading.voltage_v, reading.import_w, reading.export_w):
        # Written so that NaN fails it.
        if not (isinstance(number, int | float) and 0.0 <= number <= MOST):
            raise ValueError(f"reading() gives {reading!r}: V and W have to be numbers from 0")
