#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""README.md speaks of what is in the tree: each path that it names exists, each folder is named."""
import os
import re
import sys

import lint

# `path/with/slash`, `path/` and [text](path)
NAMED = re.compile(r"`((?:[\w.-]+/)+[\w.-]*|[\w-]+/)(?:[ :][^`]*)?`|\]\(([^)#:]+)\)")
# Folders with code must be in the file map.
FOLDERS = ("kernel-shim", "mm", "drivers", "fuse-fb", "tests", "bench")


def check(tree):
    text = tree.read("README.md")
    complaints = []
    roots = {p.split("/")[0] for p in tree.files()}
    for number, line in enumerate(text.splitlines(), 1):
        for match in NAMED.finditer(line):
            path = match.group(1) or match.group(2)
            if match.group(1) and path.split("/")[0] not in roots:
                continue  # in the mount, in the build folder, on the system
            if not os.path.exists(os.path.join(tree.top, path)):
                complaints.append(f"README.md:{number}: {path} is not in the tree")
    folders = {os.path.dirname(p) for p in tree.files(*lint.CODE, below=FOLDERS)}
    for folder in sorted(folders):
        if not any(f"{part}/" in text for part in (folder, *parents(folder))):
            complaints.append(f"README.md: does not say what is in {folder}/")
    return complaints


def parents(folder):
    """Above FOLDER, without the top: a folder may be described by the one that holds it."""
    parts = folder.split("/")
    return ["/".join(parts[:n]) for n in range(len(parts) - 1, 1, -1)]


if __name__ == "__main__":
    sys.exit(lint.main(check, good={
        "README.md": "see `mm/x.cc` and `build/y`: `mm/`\n", "mm/x.cc": "",
    }, bad=[
        ({"README.md": "see `mm/y.cc --wat`, `mm/`\n", "mm/x.cc": ""}, "mm/y.cc is not in"),
        ({"README.md": "![shot](mm/shot.png) `mm/`\n", "mm/x.cc": ""}, "mm/shot.png is not"),
        ({"README.md": "nothing\n", "mm/x.cc": ""}, "does not say what is in mm/"),
    ]))
