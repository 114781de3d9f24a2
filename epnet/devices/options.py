"""What a device's options are: declared as attrs fields, given as text, checked with clear errors.

A device declares an option as a field; its name is the key on the command line::

    @attrs.define(slots=False, eq=False)
    class Battery(SimulatedDevice):
        \"""A battery.\"""

        capacity_wh: float = quantity(10_000, "Wh", above=0)

Any attrs class will do: a plain `attrs.field(converter=float)` is an option as well.
"""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final

import attrs
from twisted.python.reflect import namedAny

from epnet.errors import UsageError

if TYPE_CHECKING:
    from twisted.internet.interfaces import IReactorTime

EXPECTED: Final = "expected"
"""The key in a field's metadata that says in words what its values are."""


def quantity(
    default: float, unit: str, *, above: float | None = None, low: float = 0.0, high: float = 1e12
) -> Any:
    """An option that is a number.

    unit: what it counts.
    above: the value must be above this; otherwise from `low` to `high`.
    """
    least = f"above {above:g}" if above is not None else f"from {low:g}"
    expected = f"a number of {unit} {least}" + (f" to {high:g}" if high < 1e12 else "")

    def check(device: object, field: attrs.Attribute[float], value: float) -> None:
        enough = value > above if above is not None else value >= low
        if not (enough and value <= high):
            raise _badValue(field, value)

    return option(default, float, expected, check)


def whole(default: int | None, unit: str, low: int, high: int) -> Any:
    """An option that is a whole number, from `low` to `high`; None if it may be left out."""

    def check(device: object, field: attrs.Attribute[int | None], value: int | None) -> None:
        if value is not None and not low <= value <= high:
            raise _badValue(field, value)

    convert = attrs.converters.optional(int)
    return option(default, convert, f"a whole number, {unit}, from {low} to {high}", check)


def flag(default: bool) -> Any:
    """An option that is yes or no."""
    return option(default, attrs.converters.to_bool, "yes or no")


def timeOfDay() -> Any:
    """An option that is a time of day, HH:MM, kept as seconds since midnight; None by default."""
    return option(None, attrs.converters.optional(_timeOfDay), "a time of day, HH:MM")


def _timeOfDay(value: object) -> float:
    if isinstance(value, int | float):
        return float(value)
    hours, minutes = (int(part) for part in str(value).split(":"))
    if not (0 <= hours < 24 and 0 <= minutes < 60):
        raise ValueError("no such time")
    return 3600.0 * hours + 60.0 * minutes


def option(
    default: object,
    convert: Callable[[Any], object],
    expected: str,
    check: Callable[[object, Any, Any], None] | None = None,
) -> Any:
    """An option of any kind.

    convert: from its text to its value; raises ValueError.
    expected: in words, what its values are.
    check: raises for a value that may not be.
    """
    return attrs.field(
        default=default,
        converter=convert,
        validator=check,
        kw_only=True,
        metadata={EXPECTED: expected},
    )


def _badValue(field: attrs.Attribute[Any], value: object) -> UsageError:
    return UsageError(f"{field.alias}={value}: expected {field.metadata[EXPECTED]}")


def described(text: str) -> tuple[str, dict[str, str]]:
    """The name and the options that ``NAME[:key=value,…]`` says.  Raises `UsageError`."""
    name, _, rest = text.partition(":")
    options: dict[str, str] = {}
    for part in filter(None, rest.split(",")):
        key, equals, value = part.partition("=")
        if not (key and equals):
            raise UsageError(f"{name}: {part!r} is no option: write key=value")
        if key in options:
            raise UsageError(f"{name}: {key} is given twice")
        options[key] = value
    return name, options


def classNamed(name: str) -> type:
    """The class of that dotted name.  Raises `UsageError` if it cannot be imported."""
    try:
        found: object = namedAny(name)
    except (ImportError, AttributeError, ValueError) as error:
        hint = "is it installed, or its folder in PYTHONPATH?"
        raise UsageError(f"cannot import it: {error}; {hint}") from error
    if not isinstance(found, type):
        raise UsageError(f"{name} is not a class")
    return found


def makeWithOptions(maker: type, clock: IReactorTime, options: Mapping[str, str]) -> Any:
    """Make `maker(clock, **options)` with the options the class declares.

    An attrs class gets its values converted by its fields; anything else gets them as text.
    Raises `UsageError` for an option that is unknown or has a bad value.
    """
    values = checkedOptions(maker, options)
    try:
        return maker(clock, **values)
    except UsageError:
        raise
    except ValueError as error:
        raise UsageError(f"an option has a bad value: {error}") from error


def checkedOptions(maker: type, options: Mapping[str, str]) -> dict[str, object]:
    """The options as `makeWithOptions` gives them to a class, which is not called."""
    values: dict[str, object] = dict(options)
    if attrs.has(maker):
        fields = {f.alias: f for f in attrs.fields(maker) if f.init and f.alias != "clock"}
        refuseUnknown(options, fields)
        values = {key: _converted(fields[key], text) for key, text in options.items()}
    try:
        inspect.signature(maker).bind(None, **values)
    except (TypeError, ValueError) as error:
        raise UsageError(f"these options do not fit: {error}") from error
    return values


def refuseUnknown(given: Iterable[str], known: Iterable[str], what: str = "option") -> None:
    """Raise `UsageError` for the first that is not known, with the nearest that is."""
    names = sorted(known)
    for name in given:
        if name not in names:
            nearest = difflib.get_close_matches(name, names, 1, 0.5)
            hint = f"did you mean {nearest[0]}? " if nearest else ""
            raise UsageError(f"unknown {what} {name!r}: {hint}Known are {', '.join(names)}")


def _converted(field: attrs.Attribute[Any], text: str) -> object:
    converter: Any = field.converter
    if converter is None or isinstance(converter, attrs.Converter):
        return text
    try:
        return converter(text)
    except ValueError as error:
        if EXPECTED in field.metadata:
            raise _badValue(field, text) from error
        raise UsageError(f"{field.alias}={text}: {error}") from error
