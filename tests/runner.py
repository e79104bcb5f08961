#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Runs the tests of a built folder and counts them; tests/run calls it.

What is counted: a gtest case is one, a script is one. Beyond the cases that gtest itself reports,
a program adds one failure when it crashed, ran out of time, ended with an error that no case
explains, or ran no case at all. Exit status 77 of a script is a skip; its last line is the reason.
Nothing run at all is a failure.

Each test gets a temporary folder (TMPDIR), a session and a supervisor of its own. The supervisor is
the subreaper of all the test's descendants: what a test leaves behind, even a daemon in a session
of its own, is found and killed, and then mounts below the test's folder are unmounted.

Tests marked parallel run next to each other, the others alone, after them.
"""
import argparse
import ctypes
import fnmatch
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import xml.etree.ElementTree as ElementTree

SUITES = ["unit", "races", "stress", "e2e", "lint"]
SKIP = 77
PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36


class Outcome:
    """What one run of one test came to."""

    def __init__(self):
        self.passed = 0
        self.failed = []  # names, with the reason
        self.skipped = []  # (name, reason)


# --- counting -----------------------------------------------------------------------------------


def ending(status, timed_out, limit):
    """Why a program's end is a failure of its own, or None. A negative status is a signal."""
    if timed_out:
        return f"ran out of time ({limit:.0f} s)"
    if status < 0:
        try:
            return f"killed by {signal.Signals(-status).name}"
        except ValueError:
            return f"killed by signal {-status}"
    if status != 0:
        return f"exit status {status}"
    return None


def count_script(name, status, timed_out, limit, output):
    outcome = Outcome()
    if status == SKIP and not timed_out:
        lines = output.strip().splitlines()
        outcome.skipped.append((name, lines[-1] if lines else "it gave no reason"))
        return outcome
    reason = ending(status, timed_out, limit)
    if reason:
        outcome.failed.append(f"{name}: {reason}")
    else:
        outcome.passed = 1
    return outcome


def gtest_cases(report):
    """(case, result, reason) of each case in a gtest XML file; None when there is no whole one."""
    try:
        root = ElementTree.parse(report).getroot()
    except (OSError, ElementTree.ParseError):
        return None
    cases = []
    for suite in root.iter("testsuite"):
        for case in suite.findall("testcase"):
            name = f"{suite.get('name')}.{case.get('name')}"
            skipped = case.find("skipped")
            if case.find("failure") is not None:
                cases.append((name, "failed", ""))
            elif case.get("status") == "notrun":
                cases.append((name, "skipped", "disabled"))
            elif skipped is not None or case.get("result") == "skipped":
                text = skipped.get("message", "") if skipped is not None else ""
                # gtest puts "file:line" on a line before the message.
                lines = [x for x in text.splitlines()
                         if x.strip() and not re.match(r"^\S+:\d+$", x)]
                cases.append((name, "skipped", " ".join(lines) or "it gave no reason"))
            else:
                cases.append((name, "passed", ""))
    return cases


def gtest_cases_of_output(output):
    """The same from what the program printed before it died, and the case it was in."""
    cases, running = [], None
    verdicts = {"OK": "passed", "FAILED": "failed", "SKIPPED": "skipped"}
    for word, name in re.findall(r"\[\s*(RUN|OK|FAILED|SKIPPED)\s*\] (\w[\w/]*\.[\w/]+)", output):
        if word == "RUN":
            running = name
        elif name == running:
            cases.append((name, verdicts[word], ""))
            running = None
    return cases, running


def count_gtest(name, status, timed_out, limit, output, report):
    outcome = Outcome()
    reason = ending(status, timed_out, limit)
    cases = gtest_cases(report)
    running = None
    if cases is None:
        cases, running = gtest_cases_of_output(output)
        reason = (reason or "ended without gtest's report") + (f", in {running}" if running else "")
    for case, result, why in cases:
        if result == "passed":
            outcome.passed += 1
        elif result == "skipped":
            outcome.skipped.append((f"{name} {case}", why or "it gave no reason"))
        else:
            outcome.failed.append(f"{name} {case}")
    if reason and (status != 1 or timed_out or not outcome.failed):
        outcome.failed.append(f"{name}: {reason}")
    elif not cases:
        outcome.failed.append(f"{name}: it ran no case")
    return outcome


def verdict(outcomes):
    """The last line and the exit status."""
    passed = sum(o.passed for o in outcomes)
    failed = sum(len(o.failed) for o in outcomes)
    skipped = sum(len(o.skipped) for o in outcomes)
    if passed + failed + skipped == 0:
        failed = 1
    return f"{passed} passed, {failed} failed, {skipped} skipped", 1 if failed else 0


# --- running ------------------------------------------------------------------------------------


def descendants():
    """Every living process below this one."""
    children = {}
    for entry in os.listdir("/proc"):
        try:
            with open(f"/proc/{int(entry)}/stat", encoding="utf-8", errors="replace") as stat:
                state, parent = stat.read().rpartition(")")[2].split()[:2]
        except (OSError, ValueError):
            continue
        if state != "Z":
            children.setdefault(int(parent), []).append(int(entry))
    found, todo = [], [os.getpid()]
    while todo:
        below = children.get(todo.pop(), [])
        found += below
        todo += below
    return found


def reap(main, status):
    """Collects whatever has ended; the status of MAIN when it is among it."""
    while True:
        try:
            pid, value = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return status
        if pid == 0:
            return status
        if pid == main:
            status = os.waitstatus_to_exitcode(value)


def supervise(limit, command):
    """Runs COMMAND in a session of its own, for LIMIT seconds at most; prints how it went as JSON.

    This is a process of its own, between the runner and the test. It adopts (and collects, so
    that nobody waits for a zombie) what the test leaves to run on its own.
    """
    libc = ctypes.CDLL(None)
    libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    libc.prctl(PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
    watched = {signal.SIGCHLD, signal.SIGTERM, signal.SIGINT, signal.SIGHUP}
    signal.pthread_sigmask(signal.SIG_BLOCK, watched)
    # The result has the pipe for itself; the test's output is the log, where stderr is already.
    result = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    try:
        main = os.posix_spawnp(command[0], command, os.environ, setsid=True, setsigmask=[],
                              setsigdef=[signal.SIGPIPE, signal.SIGXFSZ])
    except OSError as error:
        print(f"{command[0]}: {error.strerror}", file=sys.stderr)
        json.dump({"status": 127, "timed_out": False, "left": []}, result)
        result.close()
        return
    status, timed_out, deadline = None, False, time.monotonic() + limit
    while status is None:
        remaining = deadline - time.monotonic()
        got = signal.sigtimedwait(watched, remaining) if remaining > 0 else None
        status = reap(main, status)
        if status is None and (got is None or got.si_signo != signal.SIGCHLD):
            if remaining > 0 and got is None:
                continue
            timed_out = got is None
            break
    if status is None:
        # First a chance to say where it is, and to tidy up.
        for number in (signal.SIGTERM, signal.SIGKILL):
            try:
                os.killpg(main, number)
            except ProcessLookupError:
                pass
            end = time.monotonic() + 5
            while status is None and time.monotonic() < end:
                signal.sigtimedwait(watched, 0.1)
                status = reap(main, status)
            if status is not None:
                break
        else:
            status = -signal.SIGKILL
    # A moment for what is just ending by itself, then it was left behind.
    left, end = [], time.monotonic() + 1
    while time.monotonic() < end and descendants():
        signal.sigtimedwait(watched, 0.05)
        reap(main, status)
    for _ in range(100):
        now = descendants()
        if not now:
            break
        left += [name_of(pid) for pid in now]
        for pid in now:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        signal.sigtimedwait(watched, 0.05)
        reap(main, status)
    json.dump({"status": status, "timed_out": timed_out, "left": left}, result)
    result.close()


def name_of(pid):
    try:
        with open(f"/proc/{pid}/comm", encoding="utf-8", errors="replace") as comm:
            return comm.read().strip()
    except OSError:
        return str(pid)


def unmount_below(folder):
    """Unmounts what is mounted below FOLDER. True when there was something."""
    found = False
    for _ in range(8):
        with open("/proc/self/mountinfo", encoding="utf-8") as mounts:
            points = [line.split()[4].encode().decode("unicode_escape") for line in mounts]
        points = [p for p in points if p.startswith(folder + "/")]
        if not points:
            break
        found = True
        for point in reversed(points):
            for command in (["fusermount3", "-u", "-z", point], ["umount", "-l", point]):
                try:
                    if subprocess.run(command, stdin=subprocess.DEVNULL, timeout=20, check=False,
                                      stdout=subprocess.DEVNULL,
                                      stderr=subprocess.DEVNULL).returncode == 0:
                        break
                except (OSError, subprocess.TimeoutExpired):
                    pass
    return found


class Runner:
    def __init__(self, options):
        self.options = options
        self.build = os.path.abspath(options.build)
        self.logs = os.path.join(self.build, "test-logs")
        self.outcomes = []
        self.lock = threading.Lock()  # guards outcomes, running, and one block of printing
        self.running = {}
        self.stopping = None
        shutil.rmtree(self.logs, ignore_errors=True)
        os.makedirs(self.logs)
        # Short: the path of a Unix socket has 108 bytes.
        self.tmp = tempfile.mkdtemp(prefix="pvt-")

    def load(self):
        listing = subprocess.run(["meson", "introspect", "--tests", self.build], check=True,
                                 stdin=subprocess.DEVNULL, capture_output=True, text=True).stdout
        tests = []
        for test in json.loads(listing):
            suite = test["suite"][0].split(":")[-1]
            if self.options.suite and suite not in self.options.suite:
                continue
            test["suite"] = suite
            test["title"] = f"{suite}/{test['name']}"
            test["cases"] = None
            if self.options.filter and not self.select(test):
                continue
            tests.append(test)
        tests.sort(key=lambda t: SUITES.index(t["suite"]) if t["suite"] in SUITES else 99)
        return tests

    def select(self, test):
        """Does the filter name this test, or cases in it? Then only those are run."""
        pattern = self.options.filter
        if not any(c in pattern for c in "*?"):
            pattern = f"*{pattern}*"
        if fnmatch.fnmatchcase(test["title"], pattern):
            return True
        if test["protocol"] != "gtest":
            return False
        listing = subprocess.run(test["cmd"] + ["--gtest_list_tests"], stdin=subprocess.DEVNULL,
                                 capture_output=True, text=True, timeout=60, check=False).stdout
        group, cases = "", []
        for line in listing.splitlines():
            name = line.split("#")[0].rstrip()
            if name and not name.startswith(" "):
                group = name
            elif name and fnmatch.fnmatchcase(group + name.strip(), pattern):
                cases.append(group + name.strip())
        test["cases"] = cases
        return bool(cases)

    def run_test(self, test, number):
        title = test["title"]
        base = os.path.join(self.logs, f"{title.replace('/', '-')}"
                            + (f"-{test['round']}" if test["round"] else ""))
        report = base + ".xml"
        folder = os.path.join(self.tmp, str(number))
        os.makedirs(folder)
        command = list(test["cmd"])
        gtest = test["protocol"] == "gtest"
        if gtest:
            command.append(f"--gtest_output=xml:{report}")
            if test["cases"]:
                command.append("--gtest_filter=" + ":".join(test["cases"]))
        env = dict(os.environ)
        env.update(test["env"])
        env.update(TMPDIR=folder, LC_ALL="C.UTF-8", GTEST_COLOR="no")
        env.pop("DISPLAY", None)
        limit = test["timeout"] * self.options.timeout_scale
        started = time.monotonic()
        with open(base + ".log", "wb") as log:
            child = subprocess.Popen([sys.executable, __file__,
                                      "--supervise", str(limit), *command],
                                     stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log,
                                     env=env, cwd=test["workdir"] or self.build, text=True,
                                     start_new_session=True)
        with self.lock:
            self.running[child.pid] = (title, started)
        result, _ = child.communicate()
        with self.lock:
            self.running.pop(child.pid)
        try:
            end = json.loads(result)
        except ValueError:
            end = {"status": -signal.SIGKILL, "timed_out": False, "left": ["its supervisor died"]}
        status, timed_out = end["status"], end["timed_out"]
        left = sorted(set(end["left"]))
        if unmount_below(folder):
            left.append("mounts")
        shutil.rmtree(folder, ignore_errors=True)
        with open(base + ".log", encoding="utf-8", errors="replace") as log:
            output = log.read()
        if self.stopping:
            outcome = Outcome()
            outcome.failed.append(f"{title}: stopped by {self.stopping}")
        elif gtest:
            outcome = count_gtest(title, status, timed_out, limit, output, report)
        else:
            outcome = count_script(title, status, timed_out, limit, output)
        self.print_outcome(test, outcome, time.monotonic() - started, base + ".log", output, left)

    def print_outcome(self, test, outcome, seconds, log, output, left):
        with self.lock:
            self.outcomes.append(outcome)
            word = "FAIL" if outcome.failed else "ok  " if outcome.passed else "skip"
            cases = outcome.passed + len(outcome.failed) + len(outcome.skipped)
            number = f"{cases} cases, " if test["protocol"] == "gtest" else ""
            print(f"{word} {test['title']} ({number}{seconds:.1f} s)", flush=True)
            if outcome.failed:
                lines = output.rstrip().splitlines()
                for line in lines[-self.options.tail:]:
                    print(f"     | {line}")
                for name in outcome.failed:
                    print(f"FAILED {name}")
                print(f"       log: {os.path.relpath(log)}", flush=True)
            if left:
                print(f"     {test['title']} left {', '.join(left)} behind; cleaned up", flush=True)

    def run(self, tests):
        queue = [dict(t, round=r) for r in range(self.options.repeat) for t in tests]
        numbered = list(enumerate(queue))
        beside = [n for n in numbered if n[1]["is_parallel"]]
        alone = [n for n in numbered if not n[1]["is_parallel"]]
        # The longest limits first, so that no long one is left over for the end.
        beside.sort(key=lambda n: -n[1]["timeout"])
        self.work(beside, self.options.jobs)
        self.work(alone, 1)

    def work(self, queue, jobs):
        def worker():
            while not self.stopping:
                with self.lock:
                    if not queue:
                        return
                    number, test = queue.pop(0)
                try:
                    self.run_test(test, number)
                except Exception as error:  # a defect of the runner must not lose a test
                    self.fail(f"{test['title']}: runner: {error!r}")

        threads = [threading.Thread(target=worker, daemon=True) for _ in range(max(1, jobs))]
        for thread in threads:
            thread.start()
        quiet_since = time.monotonic()
        for thread in threads:
            while thread.is_alive():
                thread.join(timeout=0.5)
                if time.monotonic() - quiet_since >= 30:
                    quiet_since = time.monotonic()
                    with self.lock:
                        for title, started in self.running.values():
                            print(f"     ... {title} has been running for "
                                  f"{time.monotonic() - started:.0f} s", flush=True)
        if queue:
            self.fail(f"{len(queue)} tests were not run, stopped by {self.stopping}")
        queue.clear()

    def fail(self, what):
        outcome = Outcome()
        outcome.failed.append(what)
        with self.lock:
            self.outcomes.append(outcome)
            print(f"FAILED {what}", flush=True)

    def close(self):
        unmount_below(self.tmp)
        shutil.rmtree(self.tmp, ignore_errors=True)


def main():
    if sys.argv[1:2] == ["--supervise"]:
        supervise(float(sys.argv[2]), sys.argv[3:])
        return 0
    parser = argparse.ArgumentParser(prog="tests/run")
    parser.add_argument("build")
    parser.add_argument("--suite", action="append", default=[])
    parser.add_argument("--filter", default="")
    parser.add_argument("--jobs", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--repeat", type=int, default=1)
    parser.add_argument("--timeout-scale", type=float, default=1.0)
    parser.add_argument("--tail", type=int, default=40)
    parser.add_argument("--list", action="store_true")
    options = parser.parse_args()

    started = time.monotonic()
    runner = Runner(options)

    def stop(number, _frame):
        runner.stopping = signal.Signals(number).name
        for pid in list(runner.running):
            os.kill(pid, signal.SIGTERM)

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, stop)
    try:
        tests = runner.load()
        if options.list:
            for test in tests:
                print(test["title"], *(test["cases"] or []))
            return 0
        print(f"== {len(tests)} tests, {options.jobs} at a time", flush=True)
        runner.run(tests)
    except (OSError, subprocess.SubprocessError, ValueError) as error:
        runner.fail(f"tests/run: {error}")
    finally:
        runner.close()
    skipped = [s for o in runner.outcomes for s in o.skipped]
    failed = [f for o in runner.outcomes for f in o.failed]
    if skipped:
        print("== skipped")
        for name, reason in skipped:
            print(f"  {name}: {reason}")
    if failed:
        print("== failed")
        for name in failed:
            print(f"  {name}")
    elif not runner.outcomes:
        print("tests/run: no test matches")
    print(f"== tests took {time.monotonic() - started:.0f} s")
    line, status = verdict(runner.outcomes)
    print(line, flush=True)
    return status


if __name__ == "__main__":
    sys.exit(main())
