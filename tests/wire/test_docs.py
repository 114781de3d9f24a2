"""The reference of the wire shows every table."""

from __future__ import annotations

import sys
from pathlib import Path

from twisted.trial.unittest import SkipTest, SynchronousTestCase

import epnet
from epnet.wire import Code, decode, encode, registeredMessages
from epnet.wire import registry as registryModule

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

    def test_theExamplesRun(self) -> None:
        """The code of the page, but for the loop over a stream."""
        self.patch(registryModule, "_classes", dict(registryModule._classes))
        for cls in registeredMessages():
            self.patch(cls, "_byId", dict(cls._byId))
        blocks = (DOCS / "reference" / "wire.rst").read_text().split("::\n\n    ")[1:]
        names: dict[str, object] = {}
        for block in blocks:
            code = "\n".join(
                line.removeprefix("    ")
                for line in ("    " + block).splitlines()
                if not line or line.startswith("    ")
            )
            if "reader" not in code:
                exec(code, names)
        supply = names["supply"]
        self.assertEqual(decode(encode(supply)).message, supply)  # type: ignore[arg-type]
