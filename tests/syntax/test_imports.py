from __future__ import annotations

import pytest

from sparkcode.syntax.imports import imports_used
from sparkcode.syntax.lines import Region, line_count


def first_of(path: str, text: str, disk: set[str]) -> list[str]:
    """The files that the imports used by the last line lead to."""
    last = line_count(text)
    found = (
        next((place for place in places if place in disk), "")
        for places in imports_used(text, path, Region(last, last))
    )
    return [place for place in found if place]


@pytest.mark.parametrize(
    ("path", "text", "disk", "expected"),
    [
        ("a.py", "import b\nb.x()\n", {"b.py"}, ["b.py"]),
        ("a.py", "import b\nc.x()\n", {"b.py"}, []),
        ("a.py", "import x.b as b, c\nb.x(c)\n", {"x/b.py", "c.py"}, ["x/b.py", "c.py"]),
        ("a.py", "from b import B, C\nC()\n", {"b.py", "b/B.py"}, ["b.py"]),
        ("a.py", "from b import (\n    B as D,\n)\nD()\n", {"b/B.py"}, ["b/B.py"]),
        ("a.py", "from b import (\n    B as D,\n)\nB()\n", {"b.py"}, []),
        ("a.py", "from b import *\nfoo()\n", {"b.py"}, []),
        ("p/a.py", "from .b import f\nf()\n", {"p/b.py", "b.py"}, ["p/b.py"]),
        ("p/q/a.py", "from ..b import f\nf()\n", {"p/b.py", "p/q/b.py"}, ["p/b.py"]),
        ("p/a.py", "from . import b\nb.f()\n", {"p/b.py", "p/__init__.py"},
         ["p/b.py", "p/__init__.py"]),
        ("a.py", "from ...b import f\nf()\n", {"b.py"}, []),
        ("src/p/a.py", "from p.b import f\nf()\n", {"src/p/b.py"}, ["src/p/b.py"]),
        ("tests/t.py", "from p.b import f\nf()\n", {"src/p/b.py"}, ["src/p/b.py"]),
        ("p/q/a.py", "from p import f\nf()\n", {"p/__init__.py"}, ["p/__init__.py"]),
        ("a.py", "from a import f\nf()\n", {"a.py"}, []),
        ("s/a.ts", 'import { b } from "./b";\nb();\n', {"s/b.ts"}, ["s/b.ts"]),
        ("s/a.ts", 'import b from "./b.js";\nb();\n', {"s/b.ts"}, ["s/b.ts"]),
        ("s/a.tsx", 'import B from "../b";\nB();\n', {"b/index.tsx"}, ["b/index.tsx"]),
        ("s/a.js", 'const { b } = require("./b");\nb();\n', {"s/b.js"}, ["s/b.js"]),
        ("s/a.js", 'import b from "b";\nb();\n', {"s/b.js", "b.js"}, []),
        ("s/a.js", 'import b from "../../b";\nb();\n', {"b.js", "../b.js"}, []),
        ("s/a.c", '#include <b.h>\n#include "b.h"\nint x = b();\n', {"include/b.h"},
         ["include/b.h"]),
        ("s/a.cc", '#include "/etc/passwd"\nint x;\n', {"/etc/passwd"}, []),
        ("src/x/a.rs", "use crate::b::{f, g};\nfn h() { f() }\n", {"src/b.rs"}, ["src/b.rs"]),
        ("src/x/a.rs", "use crate::b::c::f;\nfn h() { f() }\n", {"src/b/mod.rs"},
         ["src/b/mod.rs"]),
        ("src/x/a.rs", "use super::b::f;\nfn h() { f() }\n", {"src/x/b.rs"}, ["src/x/b.rs"]),
        ("src/main.rs", "mod b;\nfn h() { b::f() }\n", {"src/b.rs"}, ["src/b.rs"]),
        ("src/a.rs", "use self::b::f;\nfn h() { f() }\n", {"src/a/b.rs"}, ["src/a/b.rs"]),
        ("lib/a.rs", "use crate::b::f;\nfn h() { f() }\n", {"src/b.rs"}, ["src/b.rs"]),
        ("m/p/A.java", "package p;\nimport q.B;\nclass A { B b; }\n", {"m/q/B.java"},
         ["m/q/B.java"]),
        ("a.py", "from b import B\n\nclass C:\n    x: B\n\n    def f(self):\n        pass\n",
         {"b.py"}, ["b.py"]),
        ("a.go", 'package a\nimport "b"\nvar x = b.Y\n', {"b.go"}, []),
        ("a.txt", "import b\nb\n", {"b.py"}, []),
    ],
)  # fmt: skip
def test_where_imports_lead(path: str, text: str, disk: set[str], expected: list[str]) -> None:
    assert first_of(path, text, disk) == expected
