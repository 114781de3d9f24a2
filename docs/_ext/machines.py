"""The directive ``.. machine:: dotted.name``: an Automat machine as a picture and a table.

Both are made when the page is built, so they cannot differ from the code.
"""

from __future__ import annotations

from typing import Any, ClassVar

from docutils import nodes
from docutils.parsers.rst import Directive
from docutils.statemachine import StringList
from machinepicture import picture, table
from twisted.python.reflect import namedAny


class MachineDirective(Directive):
    """``.. machine:: dotted.name`` of what `TypeMachineBuilder.build` gave."""

    required_arguments: ClassVar[int] = 1

    def run(self) -> list[nodes.Node]:
        """The picture, and the table below it."""
        machine = namedAny(self.arguments[0])
        module = namedAny(self.arguments[0].rpartition(".")[0])
        self.state.document.settings.env.note_dependency(module.__file__)
        holder = nodes.container()
        lines = StringList(list(table(machine)), source=self.arguments[0])
        self.state.nested_parse(lines, self.content_offset, holder)
        return [nodes.raw("", picture(machine), format="html"), *holder.children]


def setup(app: Any) -> dict[str, bool]:
    """Sphinx's entry."""
    app.add_directive("machine", MachineDirective)
    return {"parallel_read_safe": True}
