"""``epnet dissector``."""

from __future__ import annotations

from pathlib import Path
from unittest.mock import patch

from twisted.trial.unittest import SynchronousTestCase

from epnet.cli.dissector import FILE, pluginFolder
from epnet.dissector import MARK, dissector
from tests.clicase import run
from tests.tsharkcase import NO_TSHARK, PORT


class CommandTests(SynchronousTestCase):
    """Printed or installed."""

    def dissector(self, *arguments: str) -> tuple[int, str, str]:
        result = run("dissector", *arguments)
        return result.status, result.text, result.err

    def test_itIsPrinted(self) -> None:
        self.assertEqual(self.dissector(), (0, dissector(PORT), ""))

    def test_itIsInstalled(self) -> None:
        folder = Path(self.mktemp()) / "plugins"
        status, out, _ = self.dissector("--install", str(folder))
        self.assertEqual(status, 0)
        self.assertIn(str(folder / FILE), out)
        self.assertEqual((folder / FILE).read_text("utf-8"), dissector(PORT))

    def test_anOlderOneIsReplaced(self) -> None:
        folder = Path(self.mktemp())
        folder.mkdir()
        (folder / FILE).write_text(f"{MARK} once")
        self.assertEqual(self.dissector("--install", str(folder))[0], 0)
        self.assertEqual((folder / FILE).read_text("utf-8"), dissector(PORT))

    def test_aForeignFileIsLeftAlone(self) -> None:
        folder = Path(self.mktemp())
        folder.mkdir()
        (folder / FILE).write_bytes(b"-- mine \xff")
        status, out, err = self.dissector("--install", str(folder))
        self.assertEqual((status, out), (2, ""))
        self.assertIn(str(folder / FILE), err)
        self.assertEqual((folder / FILE).read_bytes(), b"-- mine \xff")

    def test_withoutAFolderItIsThatOfTheUser(self) -> None:
        home = Path(self.mktemp())
        with patch("shutil.which", lambda name: None), patch.dict("os.environ", HOME=str(home)):
            status, out, _ = self.dissector("--install")
        self.assertEqual(status, 0)
        self.assertTrue((home / ".local/lib/wireshark/plugins" / FILE).is_file(), out)

    def test_tsharkSaysWhereTheFolderIs(self) -> None:
        folder = pluginFolder()
        self.assertTrue(folder.is_absolute())
        self.assertEqual(folder.name, "plugins")

    test_tsharkSaysWhereTheFolderIs.skip = NO_TSHARK  # type: ignore[attr-defined]
