#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Words that do not belong into the tree: paths of one machine, hosts of registries, things undone.

The patterns below are written so that they do not find themselves.
"""
import re
import sys

import lint

PATTERNS = [
    (r"(?<![\w.}$*-])/(work|root|home|Users|mnt/data)/\w", "the path of one machine"),
    (r"\.\./shared\b", "the path of one machine"),
    (r"\b(ghcr|quay|docker|gcr)[.]io\b|\b(pypi|npmjs|crates)[.](org|com|io)\b"
     r"|\b(registry|mirror)s?[.]\w+[.](com|org|net|io)\b"
     r"|\bproxy[.]golang\b|\bdeb[.]debian[.]org\b", "the host of a registry"),
    (r"\b(TO" r"DO|FIX" r"ME|X" r"XX)\b", "something undone"),
    (r"(?i)\bnot (yet )?imple" r"mented\b", "something undone"),
    (r"(?i)\bst" r"ub(s|bed)?\b", "a promise of something undone"),
    (r"(?i)\b(issue|pull request|PR) #?\d+\b", "a number that means nothing here"),
]
# What is data, or someone else's words.
EXEMPT = ("LICENSE",)
BINARY = (".png", ".xwd", ".gz")


def check(tree):
    complaints = []
    for path in tree.files():
        if path in EXEMPT or path.endswith(BINARY):
            continue
        for number, line in enumerate(tree.read(path).splitlines(), 1):
            for pattern, what in PATTERNS:
                found = re.search(pattern, line)
                if found:
                    complaints.append(f"{path}:{number}: '{found.group()}': {what}")
    return complaints


if __name__ == "__main__":
    sys.exit(lint.main(check, good={
        "a.cc": '/* a stubborn todo-list; mkstemp("/tmp/aXXXXXX") in $HOME/work/x */\n',
        "LICENSE": "FIX" "ME\n",
    }, bad=[
        ({"a.cc": "/* /wo" "rk/main */\n"}, "a.cc:1: '/wo"),
        ({"README.md": "cd ../sha" "red\n"}, "README.md:1"),
        ({"run": "curl https://ghcr" ".io/x\n"}, "the host of a registry"),
        ({"a.h": "// TO" "DO: all\n"}, "something undone"),
        ({"a.h": "// not imple" "mented\n"}, "something undone"),
        ({"a.h": "int f(); // st" "ub\n"}, "a promise"),
        ({"a.h": "// see issue" " 7\n"}, "a number"),
    ]))
