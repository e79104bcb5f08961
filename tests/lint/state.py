#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""No mutable file-scope state: everything hangs off struct pv_machine or an instance of a class.

Reads the symbols of the object files of the kernel side and of fuse-fb. What lies in a section that
stays writable (.data, .bss, thread-local ones) must stand in ALLOWED, with its reason. Read-only
tables with addresses in them (.data.rel.ro) are fine.
"""
import os
import re
import subprocess
import sys
import tempfile

import lint

# source's folder or file -> {pattern of the demangled name: why it may be}
ALLOWED = {
    "kernel-shim/host/threads/": {
        r"kshim_self_of_thread": "which kernel thread this thread is: what `current` is made of",
        r".*kshim_nr_cpus\(\)::nr": "the host's number of CPUs, asked once, constant after that",
        r".*kshim_self_set_exit\(.*\)::exit_key": "the key of a thread's end, made once",
    },
}
ALLOWED["kernel-shim/host/explore/"] = {
    r"explorer_here": "which world this thread of the host is in",
    r"leaving": "the fiber that the running switch leaves",
    r"self_outside": "the kernel thread of a thread that is in no world",
    r"(guard variable for )?symbol_name(\[abi:cxx11\])?\(.*\)::table":
        "the program's symbols, read once, constant after that",
}
ALLOWED["kernel-shim/mmu/trap.cc"] = {
    r"traps": "signal dispositions are the process's: who needs ours, and what was there before",
}
ALLOWED["kernel-shim/mmu/threads/area_table.cc"] = {
    r"table": "a signal handler knows an address only: whose it is, for all machines",
}
ALLOWED["fuse-fb/fuse_channel.cc"] = {
    r"fuse_fb::ticket_of_this_thread\(\)::ticket": "the number of the request this thread serves; "
                                                  "libfuse's handlers have no room for it",
}
ALLOWED["fuse-fb/preload/names.cc"] = {
    r"fb_preload::.*::all": "a library in a program of others: the mounts, learnt once",
}
ALLOWED["fuse-fb/preload/terminal.cc"] = {
    r"fb_preload::.*::set_by_program": "what that program has set of its terminal",
}
# What the compiler and libraries' headers put into our object files.
THEIRS = re.compile(r"DW[.]ref[.].*|(guard variable for )?(CLI|nlohmann|std)::.*")
ROOMS = lint.KERNEL_SIDE + ("fuse-fb/",)
WRITABLE = re.compile(r"^(\.data(?!\.rel\.ro)|\.bss|\.tdata|\.tbss|\*COM\*)")
# 0000000000000000 l     O .bss   0000000000000004 name
SYMBOL = re.compile(r"^[0-9a-f]+ (.{7}) (\S+)\s+[0-9a-f]+\s+(?:\.hidden )?(.+)$")


def writable(objects):
    """The names of the writable variables in each object file: (object, name)."""
    text = subprocess.run(["objdump", "-tC", *objects], capture_output=True, text=True,
                          check=True).stdout
    current = None
    for line in text.splitlines():
        head = re.match(r"^(\S+):\s+file format", line)
        if head:
            current = head.group(1)
        symbol = SYMBOL.match(line)
        if symbol and WRITABLE.match(symbol.group(2)) and "d" not in symbol.group(1):
            yield current, symbol.group(3)


def complaints_of(pairs):
    """PAIRS: (source, object)."""
    source_of = {o: s for s, o in pairs}
    if not source_of:
        return []
    complaints = set()
    for path, name in writable(sorted(source_of)):
        source = source_of[path]
        if THEIRS.fullmatch(name):
            continue
        if not any(source.startswith(where) and re.fullmatch(pattern, name)
                   for where, names in ALLOWED.items() for pattern in names):
            complaints.add(f"{source}: {name} is mutable state at file scope; let it hang off "
                           "struct pv_machine or an instance")
    return sorted(complaints)


def check(tree):
    return complaints_of([(source, os.path.normpath(os.path.join(folder, out)))
                          for source, _, folder, out in tree.commands()
                          if source.startswith(ROOMS) and out])


def self_test(compiler):
    """Compiles two small sources; one has state of each kind."""
    good = "extern const int limit; const int limit = 3; static const char *const names[] = " \
           '{"a", "b"}; const char *name(int i) { return names[i]; }'
    bad = {
        "count": "static int count; int next() { return ++count; }",
        "seed": "int seed = 3;",
        "made": "int make(); int &one() { static int made = make(); return made; }",
        "mine": "thread_local int mine;",
    }
    problems = []
    with tempfile.TemporaryDirectory() as folder:
        def complain(text):
            source, out = os.path.join(folder, "x.cc"), os.path.join(folder, "x.o")
            with open(source, "w", encoding="utf-8") as file:
                file.write(text)
            subprocess.run([*compiler, "-O2", "-c", source, "-o", out], check=True)
            return complaints_of([("mm/x.cc", out)])
        if complain(good):
            problems.append(f"self-test: constants were refused: {complain(good)}")
        for name, text in bad.items():
            if not any(name in c for c in complain(text)):
                problems.append(f"self-test: '{text}' was not refused")
    return problems


if __name__ == "__main__":
    lint.tool("objdump")
    the_tree = lint.Tree(lint.TOP, sys.argv[1])
    if the_tree.option("b_sanitize") != "none":
        print("a sanitizer adds writable data of its own to the object files")
        sys.exit(lint.SKIP)
    for problem in (failures := self_test(["c++"])):
        print(problem)
    sys.exit(lint.main(check) | bool(failures))
