#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Scripts: shellcheck of every shell script, compilation of every Python one, executable bits.

A file with `#!` can be run (tests that meson starts through an interpreter need no `#!`... but then
they are no commands either); a shell script stops at errors it does not handle (set -e or -u).
"""
import os
import re
import subprocess
import sys

import lint

SHELLCHECK = lint.tool("shellcheck")
# Meant to be read by `.`, so they set nothing for their caller.
LIBRARIES = ("tests/setup.sh",)


def check(tree):
    complaints = []
    for path in tree.files():
        if path.endswith((".png", ".cc", ".h", ".md")):
            continue
        text = tree.read(path)
        first = text.split("\n", 1)[0]
        full = os.path.join(tree.top, path)
        if path.endswith(".py") or re.match(r"#!.*\bpython", first):
            try:
                compile(text, path, "exec")
            except SyntaxError as error:
                complaints.append(f"{path}:{error.lineno}: {error.msg}")
        elif path.endswith(".sh") or re.match(r"#!.*\b(ba|da)?sh\b", first):
            done = subprocess.run([SHELLCHECK, "-x", "-s", "bash", "-f", "gcc", "-P", "SCRIPTDIR",
                                   "-P", tree.top, "-e", "SC1091", path],
                                  cwd=tree.top, capture_output=True, text=True, check=False)
            complaints += done.stdout.splitlines()
            if done.returncode and not done.stdout:
                complaints.append(f"{path}: shellcheck: {done.stderr.strip()}")
            if path not in LIBRARIES and not re.search(r"^\s*set -\w*[eu]", text, re.M) \
                    and first.startswith("#!"):
                complaints.append(f"{path}: neither set -e nor set -u")
        if first.startswith("#!") and tree.build != tree.top \
                and not path.endswith((".sh", ".py")) and not os.access(full, os.X_OK):
            complaints.append(f"{path}: starts with #! but cannot be run; chmod +x it")
    return complaints


if __name__ == "__main__":
    sys.exit(lint.main(check, good={"a.sh": '#!/bin/bash\nset -eu\necho "$1"\n'}, bad=[
        ({"a.sh": "#!/bin/bash\nset -eu\necho $1\n"}, "SC2086"),
        ({"tool": "#!/usr/bin/env bash\nset -eu\ncd x\nrm -rf $1/bin\n"}, "tool:4"),
        ({"a.sh": "#!/bin/bash\necho a\n"}, "neither set -e"),
        ({"a.py": "def f(:\n"}, "a.py:1"),
    ]))
