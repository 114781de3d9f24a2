"""The reference of the wire shows every table."""

from __future__ import annotations

import sys
from pathlib import Path

from twisted.trial.unittest import SkipTest, SynchronousTestCase

import epnet
from epnet.wire import Code, registeredMessages

DOCS = Path(epnet.__file__).parent.parent / "docs"


class ReferenceTests(SynchronousTestCase):
    def setUp(self) -> None:
        if not DOCS.is_dir():
            raise SkipTest("the documentation is not part of an installation")

    def reference(self) -> str:
        self.patch(sys, "path", [str(DOCS / "_ext"), *sys.path])
        self.addCleanup(sys.modules.pop, "wiretables", None)
        import wiretables

        return str(wiretables.__doc__)

    def test_everyFieldAndCode(self) -> None:
        text = self.reference()
        for cls in registeredMessages():
            self.assertIn(f"{cls.__name__} (0x{cls.typeId:08x})\n~~~", text)
            for row in cls.fields:
                self.assertIn(f"- `{row.name}`\n     - {row.kind.name}\n", text)
        for code in Code:
            self.assertEqual(text.count(f"   * - ``{code.value}``\n"), 1, code)
