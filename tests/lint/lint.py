# SPDX-License-Identifier: GPL-2.0-or-later
"""What the lints share: the list of files, the compile commands, and the self-test.

A lint is a program `x.py BUILD_DIR` with a function check(tree) that returns complaints, one line
each, `path: what is wrong, and what to do`. Before it looks at the tree it proves that it can still
refuse: each of its bad examples, a small tree, must draw the complaint that is named beside it, and
the good example must draw none. Exit status 0, 1, or 77 when a tool is missing.
"""
import json
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
SKIP = 77

# Where each layer lives. Kernel side: no exceptions, kernel names, compiled for both hosts.
KERNEL_SIDE = ("kernel-shim/", "mm/", "drivers/")
CODE = (".cc", ".h")


class Tree:
    """The files of a folder, and how they are compiled."""

    def __init__(self, top, build=None):
        self.top = top
        self.build = build
        self._commands = None

    def files(self, *suffixes, below=("",)):
        """Paths from the top, sorted; of a git checkout what git does not ignore."""
        listing = self.listed_by_git()
        if listing is None:
            listing = [os.path.relpath(os.path.join(folder, name), self.top)
                       for folder, _, names in os.walk(self.top) for name in names]
            listing = [p for p in listing if not p.startswith((".git/", "build"))]
        return sorted({p for p in listing if p and p.endswith(suffixes or ("",))
                       and p.startswith(tuple(below))
                       and os.path.isfile(os.path.join(self.top, p))})

    def listed_by_git(self):
        if not os.path.exists(os.path.join(self.top, ".git")) or not shutil.which("git"):
            return None
        done = subprocess.run(
            ["git", "-c", "safe.directory=*", "ls-files", "-z", "--cached", "--others",
             "--exclude-standard"], cwd=self.top, capture_output=True, text=True, check=False)
        return done.stdout.split("\0") if done.returncode == 0 else None

    def read(self, path):
        with open(os.path.join(self.top, path), encoding="utf-8", errors="replace") as text:
            return text.read()

    def commands(self):
        """(source from the top, arguments, folder, object) of each compilation."""
        if self._commands is None:
            self._commands = []
            with open(os.path.join(self.build, "compile_commands.json"), encoding="utf-8") as file:
                for entry in json.load(file):
                    folder = os.path.join(self.top, entry["directory"])
                    source = os.path.relpath(os.path.join(folder, entry["file"]), self.top)
                    if source.startswith(".."):
                        continue
                    arguments = entry.get("arguments") or shlex.split(entry["command"])
                    self._commands.append((source, arguments, folder, entry.get("output", "")))
        return self._commands

    def option(self, name):
        listing = subprocess.run(["meson", "introspect", "--buildoptions", self.build], check=True,
                                 capture_output=True, text=True).stdout
        return next(o["value"] for o in json.loads(listing) if o["name"] == name)


def tool(*names):
    """The first of NAMES that is there; otherwise the lint skips."""
    for name in names:
        if shutil.which(name):
            return name
    print(f"{names[0]} is not installed (tests/setup.sh lint)")
    sys.exit(SKIP)


def parallel(function, items):
    with ThreadPoolExecutor(max_workers=len(os.sched_getaffinity(0))) as pool:
        return list(pool.map(function, items))


def main(check, good=None, bad=()):
    """BAD: (path to text of a small tree, a part of the complaint). GOOD: one such tree."""
    started = time.monotonic()
    problems = []
    examples = [(files, want) for files, want in bad] + ([(good, None)] if good else [])
    for files, want in examples:
        with tempfile.TemporaryDirectory() as folder:
            for path, text in files.items():
                os.makedirs(os.path.dirname(os.path.join(folder, path)), exist_ok=True)
                with open(os.path.join(folder, path), "w", encoding="utf-8") as out:
                    out.write(text)
            complaints = check(Tree(folder, folder))
            if want is None and complaints:
                problems.append(f"self-test: the good example was refused: {complaints}")
            elif want is not None and not any(want in c for c in complaints):
                problems.append(f"self-test: {files} drew no '{want}' but {complaints}")
    tree = Tree(TOP, os.path.abspath(sys.argv[1]) if len(sys.argv) > 1 else None)
    problems += check(tree)
    for problem in problems:
        print(problem)
    print(f"{len(examples)} examples, {len(problems)} complaints, "
          f"{time.monotonic() - started:.1f} s")
    return 1 if problems else 0
