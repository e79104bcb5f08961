#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Who may include whom, and who knows the operating system.

The table below is the layering: for each folder what its #include lines may name, as prefixes of
paths; the longest folder that matches counts. The compiler's include path enforces much of it;
system headers are always on that path, so they are what this lint is for.
"""
import re
import sys

import lint

# What a freestanding kernel has of its own, under C's names: no system behind it.
PLAIN = ["stddef.h", "stdint.h", "stdarg.h", "stdbool.h", "limits.h", "errno.h", "string.h",
         "immintrin.h", "new", "bit", "compare", "concepts", "initializer_list", "type_traits",
         "utility", "limits"]
API = ["linux/", "asm/", "xen/", "kshim/"]
ANY = [""]

# folder or file: what it may include; "./": files beside it
RULES = {
    "kernel-shim/include/": API + PLAIN + ["sys/types.h", "./"],
    # What only tests include: it speaks C++.
    "kernel-shim/include/kshim/explore.h": API + PLAIN + ["functional", "new", "string", "vector"],
    "kernel-shim/core/": API + PLAIN + ["./", "stdio.h", "stdlib.h"],
    "kernel-shim/core/rcu.cc": API + PLAIN + ["./", "urcu/"],
    "kernel-shim/core/slab.cc": API + PLAIN + ["./", "jemalloc/", "dlfcn.h", "stdio.h",
                                             "stdlib.h"],
    "kernel-shim/host/": ANY,
    "kernel-shim/mmu/": ANY,
    "kernel-shim/xen/": API + PLAIN + ["./"],
    "kernel-shim/xen/ptwr_decode.cc": API + PLAIN + ["./", "Zydis/", "ucontext.h"],
    "mm/": API + PLAIN + ["./", "pin/"],
    "mm/pin/": API + PLAIN + ["./", "../pgtable.h"],
    "drivers/video/": API + PLAIN + ["./", "video/"],
    "drivers/xen/": API + PLAIN + ["./", "drivers-xen/"],
    "drivers/backend/": API + PLAIN + ["./", "backend/", "video/"],
    "fuse-fb/": ANY,
    "tests/": ANY,
    "bench/": ANY,
}
# What only some may name, wherever they stand: a header, and the folders.
ONLY = {
    r"fuse(3|_lowlevel)?[./]|fuse_\w+\.h": ("fuse-fb/", "tests/e2e/", "bench/"),
    r"rfb/|rfb\.h|png\.h": ("fuse-fb/", "tests/", "bench/"),
    r"jemalloc/": ("kernel-shim/core/slab.cc",),
    r"Zydis/": ("kernel-shim/xen/ptwr_decode.cc", "tests/"),
    r"urcu": ("kernel-shim/core/rcu.cc", "kernel-shim/host/", "kernel-shim/mmu/"),
    r"gtest/|gmock/": ("tests/",),
    r"benchmark/": ("bench/",),
}
INCLUDE = re.compile(r'^[ \t]*#[ \t]*include(?:_next)?[ \t]*([<"])([^>"]+)[>"]', re.M)


def check(tree):
    complaints = []
    for path in tree.files(*lint.CODE):
        rule = max((r for r in RULES if path.startswith(r)), key=len, default=None)
        if rule is None:
            complaints.append(f"{path}: no layer owns this folder; give it a line in "
                              "tests/lint/layering.py")
            continue
        allowed = RULES[rule]
        for quote, header in INCLUDE.findall(tree.read(path)):
            beside = quote == '"' and "/" not in header and "./" in allowed
            if not beside and not any(
                    header.startswith(a) if a.endswith("/") or not a else header == a
                    for a in allowed):
                complaints.append(f"{path}: includes <{header}>, which {rule} may not "
                                  "(RULES in tests/lint/layering.py)")
            for pattern, owners in ONLY.items():
                if re.match(pattern, header) and not path.startswith(owners):
                    complaints.append(f"{path}: includes <{header}>; only {', '.join(owners)} may")
    return complaints


if __name__ == "__main__":
    sys.exit(lint.main(check, good={
        "mm/a.cc": '#include <linux/mm.h>\n#include "mm_internal.h"\n#include <xen/xen.h>\n',
        "kernel-shim/host/threads/a.cc": "#include <pthread.h>\n",
        "fuse-fb/fs.cc": "#include <fuse_lowlevel.h>\n#include <thread>\n",
    }, bad=[
        ({"mm/a.cc": "#include <pthread.h>\n"}, "mm/a.cc: includes <pthread.h>"),
        ({"mm/a.cc": "#  include <sys/mman.h>\n"}, "includes <sys/mman.h>"),
        ({"mm/a.cc": "#include <atomic>\n"}, "includes <atomic>"),
        ({"mm/a.cc": '#include "video/damage.h"\n'}, "includes <video/damage.h>"),
        ({"drivers/video/a.cc": "#include <backend/xenfb_back.h>\n"}, "includes <backend/"),
        ({"kernel-shim/core/mutex.cc": "#include <urcu.h>\n"}, "includes <urcu.h>"),
        ({"kernel-shim/include/linux/x.h": "#include <mutex>\n"}, "includes <mutex>"),
        ({"kernel-shim/host/a.cc": "#include <fuse_lowlevel.h>\n"}, "only fuse-fb/"),
        ({"fuse-fb/x.cc": "#include <urcu.h>\n"}, "only kernel-shim/core/rcu.cc"),
        ({"attic/x.cc": ""}, "no layer owns this folder"),
    ]))
