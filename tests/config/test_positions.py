"""Every key is found on the line where it stands, or none is."""

from __future__ import annotations

import json
import tomllib

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from epnet.config.positions import linesOf

TRICKY = '''# [no.table]
[a."b.c".d]   # x
k = 1
'q r' . "s\\"t" = [1,
  "x # ]", # not the end ]
  {z = 2, y.w = """a
[no]
b"""}, ]
s = """
[no]
k = 2
five = """""
[a]
m = 1979-05-27 07:32:00
[[g]]
n = 1
[g.sub]
o = \'\'\'x
\'\'\'\'
[[g]]
n.p = 5
[[g.h]]
u=""
[[g.h]]
e=[]
f={}
'''

LINES = {
    ("a",): 13,
    ("a", "b.c"): 2,
    ("a", "b.c", "d"): 2,
    ("a", "b.c", "d", "k"): 3,
    ("a", "b.c", "d", "q r"): 4,
    ("a", "b.c", "d", "q r", 's"t'): 4,
    ("a", "b.c", "d", "q r", 's"t', 0): 4,
    ("a", "b.c", "d", "q r", 's"t', 1): 5,
    ("a", "b.c", "d", "q r", 's"t', 2): 6,
    ("a", "b.c", "d", "q r", 's"t', 2, "z"): 6,
    ("a", "b.c", "d", "q r", 's"t', 2, "y"): 6,
    ("a", "b.c", "d", "q r", 's"t', 2, "y", "w"): 6,
    ("a", "b.c", "d", "s"): 9,
    ("a", "m"): 14,
    ("g",): 15,
    ("g", 0): 15,
    ("g", 0, "n"): 16,
    ("g", 0, "sub"): 17,
    ("g", 0, "sub", "o"): 18,
    ("g", 1): 20,
    ("g", 1, "n"): 21,
    ("g", 1, "n", "p"): 21,
    ("g", 1, "h"): 22,
    ("g", 1, "h", 0): 22,
    ("g", 1, "h", 0, "u"): 23,
    ("g", 1, "h", 1): 24,
    ("g", 1, "h", 1, "e"): 25,
    ("g", 1, "h", 1, "f"): 26,
}

NAMES = st.text(st.sampled_from("ab.#[]\"'= é"), max_size=3)
TEXTS = st.text(st.sampled_from("a#[]{}=,\"'\n\\"), max_size=6)
VALUES = st.recursive(
    st.integers() | st.booleans() | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=6,
)
NOISE = st.sampled_from(["", "# k = 1 [x]\n", "\n", "  \n\n", "# \"\"\"\n# '''\n"])


def inline(value: object) -> str:
    """A value as TOML, on one line or, for texts with line ends, on several."""
    if isinstance(value, str):
        if "\n" in value and "'''" not in value and not value.endswith("'"):
            return f"'''\n{value}'''"
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, list):
        return "[\n" + "".join(f"{inline(each)}, # ]\n" for each in value) + "]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{inline(k)} = {inline(v)}" for k, v in value.items()) + "}"
    return str(value) if isinstance(value, float) else json.dumps(value)


@st.composite
def documents(draw: st.DrawFn) -> tuple[str, dict[tuple[str | int, ...], int]]:
    """A TOML text, and the lines of its headers and of the keys under them as written."""
    text, lines = "", {}
    for number, name in enumerate(draw(st.lists(NAMES, unique=True, max_size=4))):
        several = draw(st.booleans())
        for copy in range(draw(st.integers(1, 3)) if several else 1):
            text += draw(NOISE)
            path: tuple[str | int, ...] = (name, copy) if several else (name,)
            lines[path] = text.count("\n") + 1
            head = inline(name)
            text += f"[[ {head} ]] # {number}\n" if several else f"[{head}]\n"
            for key, value in draw(st.dictionaries(NAMES, VALUES, max_size=3)).items():
                text += draw(NOISE)
                lines[*path, key] = text.count("\n") + 1
                text += f"{inline(key)} = {inline(value)} # end\n"
    return text.replace("\n", draw(st.sampled_from(["\n", "\r\n"]))), lines


class PositionTests(SynchronousTestCase):
    def test_dottedQuotedInlineNestedAndMultiLine(self) -> None:
        for text in (TRICKY, TRICKY.replace("\n", "\r\n")):
            self.assertEqual(linesOf(text, tomllib.loads(text)), LINES)

    @given(documents())
    def test_everyKeyIsFoundWhereItWasWritten(
        self, document: tuple[str, dict[tuple[str | int, ...], int]]
    ) -> None:
        text, lines = document
        found = linesOf(text, tomllib.loads(text))
        self.assertEqual({path: found.get(path) for path in lines}, lines)

    def test_noLineIsBetterThanAWrongOne(self) -> None:
        self.assertEqual(linesOf("a = 1\n", {"a": 1, "b": 2}), {})
        self.assertEqual(linesOf("a = 1\nb 2\n", {"a": 1}), {})
        self.assertEqual(linesOf("a = " + "[" * 5000, {"a": []}), {})
