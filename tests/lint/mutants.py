#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Every mutant of the kernel side stands in the race catalogue, and the other way round.

A mutant that is in no catalogue is a bug that nothing kills; one that no code asks for was once.
"""
import re
import sys

import lint

ASKED = re.compile(r"\bKSHIM_MUTANT\((\w+)\)")
LISTED = re.compile(r"\.name = \"(\w+)\",\s*\.variant = ")
# Bugs of the models themselves, which the catalogue's searches do not meet: the test that kills
# them.
KILLED_BY = {
    "kernel-shim/mmu/explore/real_mmu.cc": "tests/unit/mmu_real_test.cc",
    "kernel-shim/mmu/explore/soft_area.cc": "tests/unit/mmu_soft_test.cc",
}
# Says what the macro is for.
NOT_CODE = ("kernel-shim/include/kshim/mutant.h",)


def check(tree):
    asked, listed = {}, {}
    for path in tree.files(*lint.CODE, below=lint.KERNEL_SIDE):
        if not path.startswith(NOT_CODE):
            asked.update((name, path) for name in ASKED.findall(tree.read(path)))
    for path in tree.files("_scenarios.cc", below=("tests/races/",)):
        listed.update((name, path) for name in LISTED.findall(tree.read(path)))
    for path, test in KILLED_BY.items():
        names = [name for name, where in asked.items() if where == path]
        listed.update((name, test) for name in names if f'"{name}"' in tree.read(test))
    return ([f"{path}: mutant {name} is in no tests/races/*_scenarios.cc; name a scenario that "
             "kills it" for name, path in sorted(asked.items()) if name not in listed]
            + [f"{path}: no code asks for mutant {name}; delete it"
               for name, path in sorted(listed.items()) if name not in asked])


CODE = {"mm/a.cc": "if (KSHIM_MUTANT(a_bug))"}
ENTRY = '{.name = "a_bug",\n .variant = nullptr,'

if __name__ == "__main__":
    sys.exit(lint.main(check, good={**CODE, "tests/races/a_scenarios.cc": ENTRY}, bad=[
        (CODE, "mm/a.cc: mutant a_bug is in no"),
        ({"tests/races/a_scenarios.cc": ENTRY}, "no code asks for mutant a_bug"),
    ]))
