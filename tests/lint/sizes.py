#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""A file holds one concept: names those of more than 500 lines, refuses those of more than 1000."""
import sys

import lint


def check(tree):
    complaints = []
    for path in tree.files(*lint.CODE):
        lines = tree.read(path).count("\n")
        if lines > 1000:
            complaints.append(f"{path}: {lines} lines; split it")
        elif lines > 500:
            print(f"note: {path}: {lines} lines; is it one concept?")
    return complaints


if __name__ == "__main__":
    sys.exit(lint.main(check, good={"mm/a.cc": "\n" * 500},
                       bad=[({"mm/a.cc": "\n" * 1001}, "mm/a.cc: 1001 lines")]))
