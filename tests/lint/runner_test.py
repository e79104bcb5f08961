#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The counting and the cleaning up of tests/runner.py, on crafted reports and processes.

Each case feeds what a program could leave (a report, a part of one, none; an exit status, a
signal) and says what the last line must read.
"""
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.dirname(HERE))
sys.dont_write_bytecode = True
import runner  # noqa: E402

GOOD = '<testcase name="good" status="run" result="completed" classname="list"/>'
BAD = ('<testcase name="bad" status="run" result="completed" classname="list">'
       '<failure message="x"/></testcase>')
SKIPPED = ('<testcase name="later" status="run" result="skipped" classname="list">'
           '<skipped message="list_test.cc:12&#x0A;no /dev/fuse"/></testcase>')
DISABLED = '<testcase name="DISABLED_x" status="notrun" result="suppressed" classname="list"/>'


class Counting(unittest.TestCase):
    def gtest(self, cases, status=0, timed_out=False, output="", text=None):
        with tempfile.TemporaryDirectory() as folder:
            report = os.path.join(folder, "r.xml")
            if text is None and cases is not None:
                text = ('<?xml version="1.0"?><testsuites><testsuite name="list">'
                        + "".join(cases) + "</testsuite></testsuites>")
            if text is not None:
                with open(report, "w", encoding="utf-8") as out:
                    out.write(text)
            return runner.count_gtest("unit/list", status, timed_out, 60, output, report)

    def line(self, *outcomes):
        return runner.verdict(outcomes)

    def test_all_passed(self):
        self.assertEqual(self.line(self.gtest([GOOD, GOOD])),
                         ("2 passed, 0 failed, 0 skipped", 0))

    def test_one_failed(self):
        outcome = self.gtest([GOOD, BAD], status=1)
        self.assertEqual(self.line(outcome), ("1 passed, 1 failed, 0 skipped", 1))
        self.assertEqual(outcome.failed, ["unit/list list.bad"])

    def test_skip_and_disabled_have_reasons(self):
        outcome = self.gtest([GOOD, SKIPPED, DISABLED])
        self.assertEqual(self.line(outcome), ("1 passed, 0 failed, 2 skipped", 0))
        self.assertEqual([why for _, why in outcome.skipped], ["no /dev/fuse", "disabled"])

    def test_crash_without_report_counts_what_was_done(self):
        outcome = self.gtest(None, status=-signal.SIGSEGV, output=(
            "[ RUN      ] list.good\n[       OK ] list.good (0 ms)\n[ RUN      ] list.bad\nboom"))
        self.assertEqual(self.line(outcome), ("1 passed, 1 failed, 0 skipped", 1))
        self.assertIn("SIGSEGV, in list.bad", outcome.failed[0])

    def test_crash_after_the_report(self):
        self.assertEqual(self.line(self.gtest([GOOD], status=-signal.SIGABRT)),
                         ("1 passed, 1 failed, 0 skipped", 1))

    def test_failed_case_and_crash_are_two(self):
        self.assertEqual(self.line(self.gtest([GOOD, BAD], status=-signal.SIGABRT)),
                         ("1 passed, 2 failed, 0 skipped", 1))

    def test_status_without_a_failed_case(self):
        self.assertEqual(self.line(self.gtest([GOOD], status=1)),
                         ("1 passed, 1 failed, 0 skipped", 1))

    def test_failed_case_although_status_is_0(self):
        self.assertEqual(self.line(self.gtest([BAD], status=0)),
                         ("0 passed, 1 failed, 0 skipped", 1))

    def test_truncated_report(self):
        self.assertEqual(self.line(self.gtest(None, text="<testsuites><testsu", status=0)),
                         ("0 passed, 1 failed, 0 skipped", 1))

    def test_missing_report_with_status_0(self):
        self.assertEqual(self.line(self.gtest(None, status=0)),
                         ("0 passed, 1 failed, 0 skipped", 1))

    def test_no_case(self):
        self.assertEqual(self.line(self.gtest([])), ("0 passed, 1 failed, 0 skipped", 1))

    def test_timeout(self):
        outcome = self.gtest(None, status=-signal.SIGKILL, timed_out=True)
        self.assertEqual(self.line(outcome), ("0 passed, 1 failed, 0 skipped", 1))
        self.assertIn("ran out of time (60 s)", outcome.failed[0])

    def test_timeout_that_ended_with_status_1(self):
        self.assertEqual(self.line(self.gtest([BAD], status=1, timed_out=True)),
                         ("0 passed, 2 failed, 0 skipped", 1))

    def test_scripts(self):
        def script(status, timed_out=False, output=""):
            return runner.count_script("lint/x", status, timed_out, 60, output)
        self.assertEqual(self.line(script(0)), ("1 passed, 0 failed, 0 skipped", 0))
        self.assertEqual(self.line(script(1)), ("0 passed, 1 failed, 0 skipped", 1))
        self.assertEqual(self.line(script(-9)), ("0 passed, 1 failed, 0 skipped", 1))
        self.assertEqual(self.line(script(77, True)), ("0 passed, 1 failed, 0 skipped", 1))
        skip = script(77, output="one\nno clang-14\n")
        self.assertEqual(self.line(skip), ("0 passed, 0 failed, 1 skipped", 0))
        self.assertEqual(skip.skipped, [("lint/x", "no clang-14")])

    def test_sum(self):
        self.assertEqual(self.line(self.gtest([GOOD, SKIPPED]), self.gtest([BAD], status=1),
                                   runner.count_script("s", 0, False, 60, "")),
                         ("2 passed, 1 failed, 1 skipped", 1))

    def test_nothing_run_is_a_failure(self):
        self.assertEqual(self.line(), ("0 passed, 1 failed, 0 skipped", 1))


class Supervising(unittest.TestCase):
    def supervise(self, limit, *command):
        done = subprocess.run([sys.executable, runner.__file__,
                               "--supervise", str(limit), *command],
                              stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60,
                              check=True)
        return json.loads(done.stdout), done.stderr

    def test_status_and_output(self):
        end, output = self.supervise(60, "sh", "-c", "echo out; echo err >&2; exit 3")
        self.assertEqual(end, {"status": 3, "timed_out": False, "left": []})
        self.assertEqual(output, "out\nerr\n")

    def test_signal(self):
        end, _ = self.supervise(60, "sh", "-c", "kill -SEGV $$")
        self.assertEqual(end["status"], -signal.SIGSEGV)

    def test_missing_program(self):
        end, output = self.supervise(60, "/nonexistent/program")
        self.assertEqual(end["status"], 127)
        self.assertIn("No such file", output)

    def test_timeout_of_one_that_ignores_sigterm(self):
        started = time.monotonic()
        end, _ = self.supervise(0.2, "sh", "-c", "trap '' TERM; while :; do sleep 1; done")
        self.assertTrue(end["timed_out"])
        self.assertEqual(end["status"], -signal.SIGKILL)
        self.assertLess(time.monotonic() - started, 50)

    def test_a_daemon_left_behind_is_killed(self):
        end, output = self.supervise(60, "sh", "-c", (
            "setsid sh -c 'echo $$; exec sleep 1000 2>/dev/null >&2' &"))
        self.assertIn("sleep", end["left"])
        self.assertRaises(ProcessLookupError, os.kill, int(output), 0)

    def test_an_orphan_that_ended_is_no_zombie(self):
        # Waiting for an orphan to vanish must come to an end.
        end, _ = self.supervise(60, "sh", "-c", (
            "pid=$(sh -c 'sleep 0.1 >/dev/null 2>&1 & echo $!');"
            " for i in $(seq 600); do kill -0 $pid 2>/dev/null || exit 0; sleep 0.1; done; exit 1"))
        self.assertEqual(end["status"], 0)


if __name__ == "__main__":
    unittest.main()
