"""The world simulated devices live in: a day that may pass faster than real time, and its sun.

Energy integrates in world time, so that a compressed day is coherent: the sun, the states of charge
and the loads all hurry alike.  Ramps and the expiry of permissions stay in real time.
"""

from __future__ import annotations

import math
from datetime import datetime
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from twisted.internet.interfaces import IReactorTime

DAY_SECONDS: Final = 86_400.0
DAYS_A_YEAR: Final = 365


class World:
    """The time of day for simulated devices.

    clock: the one clock.
    start_s: the time of day now, s since midnight; None for the local time.
    speed: world seconds per real second, above 0.
    day: the day of the year now, 1 to 365; None for today.

    Times of day are solar time: the sun stands highest at noon.
    """

    def __init__(
        self,
        clock: IReactorTime,
        start_s: float | None = None,
        speed: float = 1.0,
        day: int | None = None,
    ) -> None:
        now = datetime.now()
        self._clock = clock
        self._began = clock.seconds()
        self._start_s = (now.hour * 60 + now.minute) * 60.0 if start_s is None else start_s
        self._day = now.timetuple().tm_yday if day is None else day
        self.speed = speed

    @property
    def sinceMidnight(self) -> float:
        """World seconds since the midnight before the start; above a day's length later on."""
        return self._start_s + (self._clock.seconds() - self._began) * self.speed

    @property
    def timeOfDay(self) -> float:
        """World seconds since midnight."""
        return self.sinceMidnight % DAY_SECONDS

    @property
    def dayOfYear(self) -> int:
        """The day, 1 to 365."""
        return (self._day - 1 + int(self.sinceMidnight // DAY_SECONDS)) % DAYS_A_YEAR + 1


def sineOfElevation(latitude: float, day: int, timeOfDay: float) -> float:
    """The sine of the sun's elevation above the horizon, -1 to 1; below 0 at night.

    latitude: in degrees, -90 to 90, north positive.
    day: of the year.
    timeOfDay: solar time, s since midnight.
    """
    declination = math.radians(-23.44) * math.cos(math.tau * (day + 10) / DAYS_A_YEAR)
    hourAngle = math.tau * (timeOfDay / DAY_SECONDS - 0.5)
    north = math.radians(latitude)
    return math.sin(north) * math.sin(declination) + math.cos(north) * math.cos(
        declination
    ) * math.cos(hourAngle)


def clearSky(elevation: float) -> float:
    """Sunlight on level ground under a clear sky, in kW/m², 0 or more (Haurwitz's model).

    elevation: the sine of the sun's elevation.
    """
    if elevation <= 0.0:
        return 0.0
    return 1.098 * elevation * math.exp(-0.057 / elevation)
