"""The rules of the house: floors import downwards only, and what stays pure stays pure."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

import epnet

PACKAGE = Path(epnet.__file__).parent

FLOORS: list[set[str]] = [
    {"errors", "wire"},
    {"identity", "consent", "lifecycle", "limits", "session"},
    {
        "interfaces",
        "clock",
        "state",
        "pem",
        "handshake",
        "story",
        "securitylog",
        "jsonlog",
        "tls",
        "trust",
        "pki",
        "prompt",
        "memory",
        "protocol",
        "factory",
        "endpoints",
        "connections",
        "dialler",
        "upstream",
        "door",
        "turns",
        "inflow",
        "socketpoll",
        "duplicates",
        "node",
        "sockets",
    },
    {"devices", "router", "observe", "config", "middle", "passage"},
    {"bench", "cli", "tap", "demo", "dissector", "testing"},
]
"""What stands on which floor, the lowest first."""

IMPURE = {"twisted", "time", "random", "socket", "asyncio", "threading"}

DECIDES = {
    "epnet.router.allocation",
    "epnet.router.bounds",
    "epnet.router.constancy",
    "epnet.router.decisions",
    "epnet.router.dynamics",
    "epnet.router.fairness",
    "epnet.router.losses",
    "epnet.router.merit",
    "epnet.router.planning",
    "epnet.router.policy",
    "epnet.router.prices",
    "epnet.router.provenance",
    "epnet.router.reasons",
    "epnet.router.restraints",
    "epnet.router.settings",
    "epnet.router.supervision",
    "epnet.router.terms",
    "epnet.router.transfers",
}
"""What says who gets how much, and why: from the same inputs always the same."""


def room(module: str) -> str:
    """The part of the package a dotted name belongs to: 'wire' for 'epnet.wire.codec'."""
    return module.split(".")[1] if "." in module else ""


def importsOf(tree: ast.AST) -> Iterator[str]:
    """The modules imported at run time; those for type checkers alone do not count."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
            continue
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
        else:
            yield from importsOf(node)


def modules() -> Iterator[tuple[str, list[str]]]:
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
        name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        yield name, list(importsOf(ast.parse(path.read_text())))


class FloorTests(SynchronousTestCase):
    def floorOf(self, name: str) -> int:
        for number, rooms in enumerate(FLOORS):
            if name in rooms:
                return number
        self.fail(f"epnet.{name} stands on no floor: say on which in FLOORS")

    def test_floorsImportDownwardsOnly(self) -> None:
        for module, imported in modules():
            if module == "epnet":
                continue
            floor = self.floorOf(room(module))
            for other in imported:
                if other.startswith("epnet."):
                    self.assertLessEqual(
                        self.floorOf(room(other)), floor, f"{module} imports {other} from above"
                    )

    def test_wireAndSessionArePure(self) -> None:
        for module, imported in modules():
            if room(module) in FLOORS[0] | FLOORS[1]:
                found = {name.split(".")[0] for name in imported} & IMPURE
                self.assertEqual(found, set(), f"{module} does I/O or knows the time")

    def test_whatDecidesIsPure(self) -> None:
        found = dict(modules())
        for module in sorted(DECIDES):
            impure = {name.split(".")[0] for name in found[module]} & IMPURE
            self.assertEqual(impure, set(), f"{module} does I/O or knows the time")
            ours = {name for name in found[module] if name.startswith("epnet.router.")}
            self.assertLessEqual(ours, DECIDES, f"{module} leans on what is not pure")

    def test_whatIsMarkedAsSecurityIsLoggedAsSecurity(self) -> None:
        found = 0
        for path in PACKAGE.rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                    marks = [ast.unparse(each) for each in node.keywords if each.arg == "security"]
                    if marks == ["security=True"]:
                        self.assertEqual(ast.unparse(node.func.value), "securityLog", path)
                        found += 1
        self.assertGreater(found, 5)

    def test_everyFloorIsInhabited(self) -> None:
        found = {room(module) for module, _ in modules()}
        self.assertEqual(set().union(*FLOORS) - found, set())


class ImportTests(SynchronousTestCase):
    def importing(self, statement: str) -> set[str]:
        """The modules in memory after a statement in a fresh interpreter."""
        code = f"{statement}\nimport sys\nprint(*sys.modules)"
        run = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True
        )
        return set(run.stdout.split())

    def test_wireNeedsNoTwisted(self) -> None:
        loaded = self.importing("import epnet.wire")
        self.assertIn("epnet.wire", loaded)
        self.assertNotIn("twisted", loaded)

    def test_pluginDiscoveryLoadsNoDevicesAndNoRouter(self) -> None:
        loaded = self.importing(
            "from twisted.plugin import getPlugins\n"
            "from twisted.application.service import IServiceMaker\n"
            "assert 'ep-router' in [plugin.tapname for plugin in getPlugins(IServiceMaker)]"
        )
        self.assertNotIn("epnet.router", loaded)
        self.assertNotIn("epnet.tap", loaded)
        self.assertNotIn("epnet.devices.solar", loaded)

    def test_publicNames(self) -> None:
        for name in epnet.__all__:
            self.assertIsNotNone(getattr(epnet, name))
        self.assertRaises(AttributeError, getattr, epnet, "nonsense")
