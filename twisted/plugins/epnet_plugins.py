"""What epnet adds to twistd: the four roles, and the kinds of device they can be."""

from twisted.application.service import ServiceMaker

from epnet.devices.makers import DeviceMaker

router = ServiceMaker(
    "epnet router",
    "epnet.tap.router",
    "An energy router: devices share power by consent (Energy Protocol)",
    "ep-router",
)
client = ServiceMaker(
    "epnet client",
    "epnet.tap.client",
    "An energy device that dials its upstream devices (Energy Protocol)",
    "ep-client",
)
server = ServiceMaker(
    "epnet server",
    "epnet.tap.server",
    "An energy device that waits for downstream devices (Energy Protocol)",
    "ep-server",
)
peer = ServiceMaker(
    "epnet peer",
    "epnet.tap.peer",
    "An energy device that dials its peers and listens for them (Energy Protocol)",
    "ep-peer",
)

solar = DeviceMaker("solar", "epnet.devices.solar.Solar", "Solar panels, by the sun of the day")
battery = DeviceMaker("battery", "epnet.devices.battery.Battery", "A stationary battery")
load = DeviceMaker("load", "epnet.devices.load.Load", "A household's load over the day")
ev = DeviceMaker("ev", "epnet.devices.ev.Vehicle", "An electric car at its charger")
grid = DeviceMaker("grid", "epnet.devices.grid.Grid", "The connection to the public grid")
