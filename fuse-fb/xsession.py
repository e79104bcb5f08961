# SPDX-License-Identifier: GPL-2.0-or-later
"""Processes around a mount: the daemon, X servers that draw into it, and how to wait for them.

Used by the demo and by the end-to-end tests.
"""

import json
import os
import select
import shutil
import signal
import socket
import subprocess
import tempfile
import time

DEADLINE = 60  # seconds for anything that should take one


class Failure(Exception):
    """One line for the person at the keyboard."""


class Children:
    """What we started, each in a session of its own so that a whole client can be stopped."""

    def __init__(self):
        self.all = []

    def start(self, command, **kwargs):
        kwargs.setdefault("stdin", subprocess.DEVNULL)
        kwargs.setdefault("stdout", subprocess.DEVNULL)
        kwargs.setdefault("stderr", subprocess.DEVNULL)
        try:
            child = subprocess.Popen(command, start_new_session=True, **kwargs)
        except OSError as error:
            raise Failure(f"cannot start {command[0]}: {error.strerror}") from None
        self.all.append(child)
        return child

    @staticmethod
    def signal(child, number):
        if child.poll() is None:
            try:
                os.killpg(child.pid, number)
            except ProcessLookupError:
                pass

    def end(self, child):
        self.signal(child, signal.SIGCONT)
        self.signal(child, signal.SIGTERM)
        try:
            child.wait(10)
        except subprocess.TimeoutExpired:
            self.signal(child, signal.SIGKILL)
            child.wait()
        if child in self.all:
            self.all.remove(child)

    def end_all(self):
        for child in reversed(self.all[:]):
            self.end(child)


def wait_for(what, condition, alive=()):
    """Until condition() is true; its value."""
    end = time.monotonic() + DEADLINE
    while True:
        value = condition()
        if value:
            return value
        for child in alive:
            if child.poll() is not None:
                raise Failure(f"{child.args[0]} ended with status {child.returncode} before {what}")
        if time.monotonic() > end:
            raise Failure(f"waited {DEADLINE} s for {what}")
        select.select([], [], [], 0.02)


def free_port(first):
    for port in range(first, first + 100):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
                return port
            except OSError:
                continue
    raise Failure(f"no free port for VNC between {first} and {first + 99}")


def read_stats(mount):
    try:
        with open(os.path.join(mount, "stats.json"), encoding="utf-8") as file:
            return json.load(file)
    except (OSError, ValueError):
        return None


def screen_stats(mount, name):
    stats = read_stats(mount)
    for screen in stats["screens"] if stats else ():
        if screen["name"] == name:
            return screen
    return None


class Mount:
    """A pvshim-fb on a folder of its own; use it in a with statement."""

    def __init__(self, children, daemon, *arguments):
        self.children = children
        self.path = tempfile.mkdtemp(prefix="pvshim-mount-")
        self.daemon = None
        try:
            self.daemon = children.start([daemon, "-f", *arguments, self.path], stderr=None)
            wait_for("its mount answered", lambda: read_stats(self.path), [self.daemon])
        except BaseException:
            self.clean_up()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.clean_up()

    def file(self, name):
        return os.path.join(self.path, name)

    def stop(self):
        """Ends the daemon as a person would."""
        self.children.end(self.daemon)
        if self.daemon.returncode != 0:
            raise Failure(f"pvshim-fb ended with status {self.daemon.returncode}")

    def clean_up(self):
        if self.daemon:
            self.children.end(self.daemon)
        if os.path.ismount(self.path) or not os.access(self.path, os.R_OK):
            subprocess.run([shutil.which("fusermount3") or "fusermount3", "-u", "-z", self.path],
                           check=False, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            os.rmdir(self.path)
        except OSError:
            pass


def start_x(children, mount, screens):
    """An X server that draws its screens ("WxHxD") into a mount. Returns it and its display.

    A server that picks its own display number can lose it to another one that starts or ends at
    the same moment. So it gets a number that depends on our process, and another when that fails.
    """
    for attempt in range(5):
        with tempfile.TemporaryFile() as log:
            server, display = _try_x(children, mount, screens, log,
                                     100 + (os.getpid() + 1000 * attempt) % 30000)
            if display:
                break
            children.end(server)
            log.seek(0)
            said = " ".join(log.read().decode(errors="replace").split())[-200:]
            if attempt == 4:
                raise Failure(f"Xvfb did not start; the last it said: {said or 'nothing'}")
    for number in range(len(screens)):
        wait_for(f"the X server's screen {number} was seen",
                 lambda name=f"Xvfb_screen{number}":
                 (screen_stats(mount.path, name) or {}).get("shown"), [mount.daemon, server])
    return server, display


def _try_x(children, mount, screens, log, number):
    reader, writer = os.pipe()
    command = ["Xvfb", f":{number}", "-displayfd", str(writer), "-fbdir", mount.path, "-noreset",
               "-nolisten", "tcp"]
    for screen, mode in enumerate(screens):
        command += ["-screen", str(screen), mode]
    server = children.start(command, pass_fds=[writer], stderr=log)
    os.close(writer)
    # To the end of the line: it comes in two writes, and a server whose second one fails exits.
    said = b""
    while not said.endswith(b"\n"):
        ready, _, _ = select.select([reader], [], [], DEADLINE)
        more = os.read(reader, 16) if ready else b""
        if not more:
            break
        said += more
    os.close(reader)
    number = said.decode().strip()
    if not said.endswith(b"\n"):
        return server, None
    answer = subprocess.run(["xdpyinfo", "-display", ":" + number], check=False, timeout=DEADLINE,
                            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                            stderr=subprocess.DEVNULL)
    return server, ":" + number if answer.returncode == 0 and server.poll() is None else None


def dump_root(display):
    done = subprocess.run(["xwd", "-root", "-silent", "-display", display], check=False,
                          stdin=subprocess.DEVNULL, capture_output=True, timeout=DEADLINE)
    if done.returncode != 0:
        raise Failure(f"xwd -root failed: {done.stderr.decode().strip()}")
    return done.stdout


def take_picture(png, display):
    """The PNG and the XWD of one moment: nothing moved meanwhile."""
    end = time.monotonic() + DEADLINE
    while time.monotonic() < end:
        before = dump_root(display)
        with open(png, "rb") as file:
            picture = file.read()
        if dump_root(display) == before:
            return picture, before
    raise Failure(f"the screen did not come to rest in {DEADLINE} s")
