#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""clang's thread-safety analysis of every source, with -Werror, without a second build.

Each command of compile_commands.json is run again through clang++-14 -fsyntax-only: the kernel side
as both hosts compile it, and all the rest.

Files in must_not_compile/ prove that the annotations still bite. Each must fail with the message
that its `expect:` line names, and must compile when PVSHIM_RIGHT is defined.
"""
import os
import re
import subprocess
import sys

import lint

CLANG = lint.tool("clang++-14")
FLAGS = ["-fsyntax-only", "-Wthread-safety", "-Werror", "-Wno-unused-command-line-argument",
         "-Wno-unknown-warning-option", "-Wno-gnu-include-next", "-Qunused-arguments",
         "-fno-color-diagnostics"]
ROOMS = lint.KERNEL_SIDE + ("fuse-fb/", "bench/", "tests/")
# g++'s own flags and everything about output files.
DROP = re.compile(r"^(-c|-fdiagnostics-color.*|-MD|-MQ|-MF|-o|-g\d?|-O\d|-D_GLIBCXX_ASSERTIONS"
                  r"|-fsanitize=.*|-fpch.*|-Winvalid-pch|-fno-fat-.*)$")


def arguments_of(arguments, source):
    """The flags of a compilation that clang shall see too."""
    kept, skip = [], False
    for argument in arguments[1:]:
        if skip:
            skip = False
        elif argument in ("-o", "-MQ", "-MF", "-include"):
            skip = True
        elif not DROP.match(argument) and not argument.endswith(source) \
                and not re.match(r"^(\S*/)?(c\+\+|g\+\+|clang\+\+|cc|gcc|clang)(-\d+)?$", argument):
            kept.append(argument)
    return kept


def run(job):
    source, flags, folder, path = job
    done = subprocess.run([CLANG, *flags, *FLAGS, path], cwd=folder, stdin=subprocess.DEVNULL,
                          capture_output=True, text=True, check=False)
    return source, done.returncode, done.stderr


def check(tree):
    jobs, flags_of_mm = [], None
    for source, arguments, folder, _ in tree.commands():
        if not source.startswith(ROOMS):
            continue
        flags = arguments_of(arguments, source)
        if source.endswith(".c"):
            flags += ["-x", "c"]
        jobs.append((source, flags, folder, os.path.join(tree.top, source)))
        if source.startswith("kernel-shim/core/") and "-DKSHIM_EXPLORE=0" in flags:
            flags_of_mm = (flags, folder)
    complaints = []
    for source, status, text in lint.parallel(run, jobs):
        if status:
            errors = [x for x in text.splitlines() if "error:" in x] or text.splitlines()[-3:]
            complaints += [f"{source}: clang: {x}" for x in dict.fromkeys(errors[:10])]
    if not jobs or not flags_of_mm:
        return complaints + ["no kernel-side source is compiled: nothing was looked at"]
    print(f"{len(jobs)} compilations looked at")
    return complaints + must_not_compile(tree, *flags_of_mm)


def must_not_compile(tree, flags, folder):
    jobs, wants = [], {}
    for source in tree.files(".cc", below=("tests/lint/must_not_compile/",)):
        path = os.path.join(tree.top, source)
        wants[source] = re.search(r"expect: (.+)", tree.read(source)).group(1).strip()
        jobs += [(source, flags, folder, path), (source, [*flags, "-DPVSHIM_RIGHT"], folder, path)]
    complaints = [] if jobs else ["tests/lint/must_not_compile is empty"]
    results = lint.parallel(run, jobs)
    for (source, wrong, text), (_, right, other) in zip(results[::2], results[1::2]):
        if wrong == 0:
            complaints.append(f"{source}: compiles; it must be refused with '{wants[source]}'")
        elif wants[source] not in text:
            complaints.append(f"{source}: refused, but not with '{wants[source]}': {text}")
        if right != 0:
            complaints.append(f"{source}: with PVSHIM_RIGHT it must compile: {other}")
    return complaints


if __name__ == "__main__":
    sys.exit(lint.main(check))
