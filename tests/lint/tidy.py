#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""clang-tidy with the few checks of .clang-tidy, on the product's sources, the threads' form."""
import os
import re
import subprocess
import sys
import tempfile

import clang
import lint

ROOMS = lint.KERNEL_SIDE + ("fuse-fb/",)
TIDY = lint.tool("clang-tidy-14")


def tidy(job):
    source, flags, path = job
    done = subprocess.run([TIDY, "--quiet", f"--config-file={lint.TOP}/.clang-tidy", path, "--",
                           *flags, *clang.FLAGS], cwd=lint.TOP, stdin=subprocess.DEVNULL,
                          capture_output=True, text=True, check=False)
    found = re.findall(r"^\S+?:\d+:\d+: (?:error|warning): .+$", done.stdout, re.M)
    if done.returncode and not found:
        found = (done.stdout + done.stderr).strip().splitlines()[-3:]
    return found


def absolute(flags, folder):
    return [f"-I{os.path.join(folder, f[2:])}" if f.startswith("-I") else f for f in flags]


def check(tree):
    jobs = {}
    for source, arguments, folder, _ in tree.commands():
        if source.startswith(ROOMS) and "-DKSHIM_EXPLORE=1" not in arguments:
            flags = absolute(clang.arguments_of(arguments, source), folder)
            jobs[source] = (source, flags, os.path.join(tree.top, source))
    found = [x for xs in lint.parallel(tidy, jobs.values()) for x in xs]
    print(f"{len(jobs)} sources looked at")
    return [x.replace(tree.top + "/", "") for x in dict.fromkeys(found)]


def self_test():
    bad = {
        "bugprone-use-after-move": "#include <string>\n#include <utility>\n"
                                   "std::string g(std::string);\n"
                                   "unsigned long f(std::string s)\n"
                                   "{\n\tg(std::move(s));\n\treturn s.size();\n}\n",
        "misc-redundant-expression": "bool f(int a) { return a == a; }\n",
    }
    problems = []
    with tempfile.TemporaryDirectory() as folder:
        for name, text in bad.items():
            path = os.path.join(folder, "x.cc")
            with open(path, "w", encoding="utf-8") as out:
                out.write(text)
            if not any(name in x for x in tidy((path, ["-std=c++20"], path))):
                problems.append(f"self-test: {name} did not complain")
    return problems


if __name__ == "__main__":
    for problem in (failures := self_test()):
        print(problem)
    sys.exit(lint.main(check) | bool(failures))
