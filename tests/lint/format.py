#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""How sources look: clang-format of the tree's .clang-format, 100 columns, a licence line.

    tests/lint/format.py --fix      formats every source

clang-format leaves comments alone (ReflowComments), so that pictures survive; their width is
looked at here, with a tab of 8 columns.
"""
import re
import subprocess
import sys

import lint

WIDTH = 100
# Files that carry a licence line. `#!` scripts without a suffix are found by their first line.
LICENSED = (".cc", ".h", ".py", ".sh", "meson.build", "meson_options.txt")
SPDX = "SPDX-License-Identifier: GPL-2.0-or-later"
CLANG_FORMAT = lint.tool("clang-format-14")


def formatted(top, paths):
    """clang-format's complaints, one a place."""
    if not paths:
        return []
    done = subprocess.run([CLANG_FORMAT, "--dry-run", "-Werror", "--ferror-limit=3",
                           f"--style=file:{lint.TOP}/.clang-format", *paths],
                          cwd=top, stdin=subprocess.DEVNULL, capture_output=True, text=True,
                          check=False)
    found = re.findall(r"^(.+?:\d+):\d+: error: code should be clang-formatted", done.stderr, re.M)
    if done.returncode != 0 and not found:
        return [done.stderr.strip()]
    return [f"{place}: not formatted; tests/lint/format.py --fix" for place in found]


def check(tree):
    complaints = []
    for path in tree.files():
        text = tree.read(path) if not path.endswith((".png", ".svg")) else ""
        if path.endswith(LICENSED) or text.startswith("#!"):
            if SPDX not in "\n".join(text.splitlines()[:3]):
                complaints.append(f"{path}: its first lines lack '{SPDX}'")
        if path.endswith(lint.CODE + (".py", ".sh")) or text.startswith("#!"):
            for number, line in enumerate(text.splitlines(), 1):
                if len(line.expandtabs(8)) > WIDTH:
                    complaints.append(f"{path}:{number}: wider than {WIDTH} columns")
                if line != line.rstrip():
                    complaints.append(f"{path}:{number}: blanks at the end")
    sources = tree.files(*lint.CODE)
    size = max(1, (len(sources) + 7) // 8)
    chunks = [sources[i:i + size] for i in range(0, len(sources), size)]
    for found in lint.parallel(lambda chunk: formatted(tree.top, chunk), chunks):
        complaints += found
    return complaints


HEAD = f"// {SPDX}\n"

if __name__ == "__main__":
    if sys.argv[1:] == ["--fix"]:
        sys.exit(subprocess.run([CLANG_FORMAT, "-i", *lint.Tree(lint.TOP).files(*lint.CODE)],
                                cwd=lint.TOP, check=False).returncode)
    sys.exit(lint.main(check, good={"mm/a.cc": HEAD + "int f(void)\n{\n\treturn 1;\n}\n"}, bad=[
        ({"mm/a.cc": HEAD + "int f(void) {\n  return 1;\n}\n"}, "mm/a.cc:2: not formatted"),
        ({"mm/a.cc": "int i;\n"}, "mm/a.cc: its first lines lack"),
        ({"tool": "#!/bin/sh\n"}, "tool: its first lines lack"),
        ({"mm/a.cc": HEAD + "/*\t" + "x" * 93 + " */\n"}, "mm/a.cc:2: wider than 100"),
        ({"a.sh": f"# {SPDX}\nls \n"}, "a.sh:2: blanks at the end"),
    ]))
