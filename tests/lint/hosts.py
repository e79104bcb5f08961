#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Every source is compiled, and every kernel-side source for both hosts.

A file of kernel-shim/host/threads or one with `threads` in its name or folder belongs to that host
alone, the same with `explore`. Every other .cc of the kernel side is compiled with KSHIM_EXPLORE=0
and =1, without exceptions and run-time types.
"""
import json
import re
import sys

import lint

# Sources that are meant not to be compiled.
NOT_BUILT = ("tests/lint/must_not_compile/",)


def check(tree):
    complaints = []
    seen = {}
    for source, arguments, _, _ in tree.commands():
        hosts = {a[-1] for a in arguments if a.startswith("-DKSHIM_EXPLORE=")}
        seen.setdefault(source, set()).update(hosts)
        if source.startswith(lint.KERNEL_SIDE):
            for flag in ("-fno-exceptions", "-fno-rtti"):
                if flag not in arguments:
                    complaints.append(f"{source}: compiled without {flag}")
    for source in tree.files(".cc"):
        if source.startswith(NOT_BUILT):
            continue
        if source not in seen:
            complaints.append(f"{source}: not compiled at all; name it in its meson.build")
        elif source.startswith(lint.KERNEL_SIDE):
            only = re.search(r"threads|explore", source)
            want = {"0", "1"} if not only else {"0" if only.group() == "threads" else "1"}
            if seen[source] != want:
                complaints.append(f"{source}: compiled for KSHIM_EXPLORE={sorted(seen[source])}, "
                                  f"should be {sorted(want)}")
    return complaints


KERNEL = "-fno-exceptions -fno-rtti"


def example(source, *hosts, flags=KERNEL, more=None):
    entries = [{"directory": ".", "file": source, "output": "x.o",
                "arguments": ["c++", *flags.split(), f"-DKSHIM_EXPLORE={h}"]} for h in hosts]
    return {source: "", **(more or {}), "compile_commands.json": json.dumps(entries)}


if __name__ == "__main__":
    if not lint.Tree(lint.TOP, sys.argv[1]).option("explore"):
        print("configured without -Dexplore=true: one host alone is built")
        sys.exit(lint.SKIP)
    if not lint.Tree(lint.TOP, sys.argv[1]).option("fuse"):
        print("configured without -Dfuse=true")
        sys.exit(lint.SKIP)
    sys.exit(lint.main(check, good=example("mm/a.cc", "0", "1"), bad=[
        (example("mm/a.cc", "0"), "compiled for KSHIM_EXPLORE=['0']"),
        (example("mm/a.cc", "1"), "compiled for KSHIM_EXPLORE=['1']"),
        (example("kernel-shim/host/threads/a.cc", "0", "1"), "should be ['0']"),
        (example("mm/a.cc", "0", "1", flags="-fno-rtti"), "without -fno-exceptions"),
        (example("mm/a.cc", "0", "1", more={"mm/b.cc": ""}), "mm/b.cc: not compiled at all"),
    ]))
