"""``epnet config``, as it is used."""

from __future__ import annotations

from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from tests.clicase import run


class CheckTests(SynchronousTestCase):
    def check(self, text: str, *options: str) -> tuple[int, list[str]]:
        file = Path(self.mktemp())
        file.write_text(text)
        result = run("config", "check", *options, str(file))
        self.assertEqual(result.err, "")
        return result.status, result.text.replace(str(file), "FILE").splitlines()

    def test_goodWithAWarning(self) -> None:
        status, lines = self.check("[ports.a]\ncable_current = 16\n")
        self.assertEqual((status, len(lines)), (0, 2))
        self.assertTrue(lines[0].startswith("FILE:2: ports.a.cable_current "))
        self.assertTrue(lines[0].endswith(" (warning)"))
        self.assertEqual(lines[1], "FILE: good for ep-router")

    def test_everyProblemOnALine(self) -> None:
        status, lines = self.check("[ports.a]\nsyde = 'A'\nweight = 0\n")
        self.assertEqual(
            (status, lines),
            (
                1,
                [
                    "FILE:2: ports.a.syde is not known here; did you mean side?",
                    "FILE:3: ports.a.weight is 0; it must be a number from 1e-06 to 1,000,000",
                ],
            ),
        )

    def test_forAnotherPlugin(self) -> None:
        text = "[upstream]\nhosts = ['a']\n"
        self.assertEqual(self.check(text, "--for=ep-client")[0], 0)
        self.assertEqual(self.check(text, "--for=ep-server")[0], 1)

    def test_whatCannotBeRead(self) -> None:
        result = run("config", "check", "/nowhere/house.toml")
        self.assertEqual((result.status, result.text), (2, ""))
        self.assertIn("/nowhere/house.toml: cannot be read: No such file", result.err)
        self.assertEqual(run("config").status, 2)
