# SPDX-License-Identifier: GPL-2.0-or-later
"""The demo after it has been built: mounts, starts, shows, compares, cleans up (see fuse-fb/demo)."""

import argparse
import json
import os
import select
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time
import zlib

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


def start_x(children, mount, width, height):
    """An X server that draws into the mount. Returns it and its display's name."""
    reader, writer = os.pipe()
    server = children.start(
        ["Xvfb", "-displayfd", str(writer), "-screen", "0", f"{width}x{height}x24", "-fbdir", mount,
         "-noreset", "-nolisten", "tcp"], pass_fds=[writer])
    os.close(writer)
    ready, _, _ = select.select([reader], [], [], DEADLINE)
    number = os.read(reader, 16).decode().strip() if ready else ""
    os.close(reader)
    if not number:
        raise Failure("Xvfb did not start (is its package, xvfb, complete?)")
    return server, ":" + number


def clients_of(width, height):
    """A picture's worth of programs, none in front of another."""
    unit = min(width, height) // 24
    column = 7 * unit
    wide = width - column - 3 * unit
    lines = max(4, (height - 14 * unit) // 13 - 1)
    scroll = ("i=0; while :; do i=$((i+1)); "
              "echo \"$(date +%T)  line $i, drawn by an X server without a screen\"; "
              "sleep 0.1; done")
    return [
        ["xclock", "-update", "1", "-bg", "#f2e9d8", "-hd", "#7a2e1d", "-geometry",
         f"{column}x{column}+{unit}+{unit}"],
        ["oclock", "-bg", "#d9e4dd", "-geometry", f"{column}x{column}+{unit}+{9 * unit}"],
        ["xlogo", "-fg", "#c96f2f", "-bg", "#f2e9d8", "-geometry",
         f"{column}x{height - 18 * unit}+{unit}+{17 * unit}"],
        ["ico", "-sleep", "0.03", "-geometry",
         f"{wide // 2}x{10 * unit}+{column + 2 * unit}+{unit}", "-size",
         f"{8 * unit}x{8 * unit}"],
        ["xload", "-update", "1", "-bg", "#d9e4dd", "-hl", "#7a2e1d", "-geometry",
         f"{wide - wide // 2 - unit}x{10 * unit}+{column + 3 * unit + wide // 2}+{unit}"],
        ["xterm", "-bg", "#101820", "-fg", "#9fe8a0", "-b", "4", "-geometry",
         f"{max(20, wide // 6 - 4)}x{lines}+{column + 2 * unit}+{12 * unit}",
         "-e", "bash", "-c", scroll],
    ]


def show_counters(mount, name, seconds, alive):
    """One line, rewritten in place twice a second; on no terminal, a line every five seconds."""
    terminal = sys.stdout.isatty()
    began = last_time = time.monotonic()
    printed = began
    last = screen_stats(mount, name)
    while True:
        left = began + seconds - time.monotonic()
        if left <= 0:
            break
        select.select([], [], [], min(0.5, left))
        for child in alive:
            if child.poll() is not None:
                raise Failure(f"{child.args[0]} ended by itself, with status {child.returncode}")
        now = time.monotonic()
        screen = screen_stats(mount, name)
        if not screen or not last or now - last_time < 0.3:
            last = last or screen
            continue
        span = now - last_time

        def rate(group, key):
            return (screen[group][key] - last[group][key]) / span

        line = (f"{now - began:5.1f} s  {rate('display', 'updates'):5.1f} fps"
                f"  {rate('file', 'changed_bytes') / 1024:8.0f} dirty KB/s"
                f"  {rate('display', 'rectangles'):6.0f} rectangles/s"
                f"  {screen['tracker']['state']}")
        if terminal:
            print("\r" + line.ljust(78), end="", flush=True)
        elif now - printed >= 5:
            print(line, flush=True)
            printed = now
        last, last_time = screen, now
    if terminal:
        print()


def xwd_pixels(dump):
    """An XWD of 32 bits a pixel as width, height and rows of RGB. On purpose not pvshim's parser."""
    head = struct.unpack(">25I", dump[:100])
    header_size, width, height = head[0], head[4], head[5]
    order, bits, line, colours = head[7], head[11], head[12], head[19]
    if bits != 32:
        raise Failure(f"xwd gave {bits} bits a pixel, not 32")
    start = header_size + 12 * colours
    red, green, blue = (1, 2, 3) if order else (2, 1, 0)
    rows = []
    for y in range(height):
        row = dump[start + y * line:start + y * line + 4 * width]
        rgb = bytearray(3 * width)
        rgb[0::3], rgb[1::3], rgb[2::3] = row[red::4], row[green::4], row[blue::4]
        rows.append(bytes(rgb))
    return width, height, rows


def unfilter(kind, row, above):
    if kind == 0:
        return row
    for i in range(len(row)):
        left = row[i - 3] if i >= 3 else 0
        up = above[i]
        if kind == 1:
            guess = left
        elif kind == 2:
            guess = up
        elif kind == 3:
            guess = (left + up) // 2
        else:
            corner = above[i - 3] if i >= 3 else 0
            base = left + up - corner
            off = abs(base - left), abs(base - up), abs(base - corner)
            guess = (left, up, corner)[off.index(min(off))]
        row[i] = (row[i] + guess) & 255
    return row


def png_pixels(data):
    """A PNG of RGB, 8 bits each, as width, height and rows."""
    if data[:8] != b"\x89PNG\r\n\x1a\n":
        raise Failure("screen.png is not a PNG")
    at, packed, width, height = 8, b"", 0, 0
    while at + 8 <= len(data):
        length, kind = struct.unpack(">I4s", data[at:at + 8])
        body = data[at + 8:at + 8 + length]
        if kind == b"IHDR":
            width, height, depth, colour = struct.unpack(">IIBB", body[:10])
            if (depth, colour) != (8, 2):
                raise Failure(f"screen.png has depth {depth} and colour type {colour}, not 8 and 2")
        elif kind == b"IDAT":
            packed += body
        at += length + 12
    raw = zlib.decompress(packed)
    rows, above = [], bytes(3 * width)
    for y in range(height):
        start = y * (3 * width + 1)
        above = unfilter(raw[start], bytearray(raw[start + 1:start + 1 + 3 * width]), above)
        rows.append(bytes(above))
    return width, height, rows


def dump_root(display):
    done = subprocess.run(["xwd", "-root", "-silent", "-display", display], check=False,
                          stdin=subprocess.DEVNULL, capture_output=True, timeout=DEADLINE)
    if done.returncode != 0:
        raise Failure(f"xwd -root failed: {done.stderr.decode().strip()}")
    return done.stdout


def take_picture(mount, display):
    """The back end's picture, and what the X server says, of one moment: nothing moved meanwhile."""
    end = time.monotonic() + DEADLINE
    while time.monotonic() < end:
        before = dump_root(display)
        with open(os.path.join(mount, "screen.png"), "rb") as file:
            picture = file.read()
        if dump_root(display) == before:
            return picture, before
    raise Failure(f"the screen did not come to rest in {DEADLINE} s")


def differing_bytes(picture, dump):
    ours, theirs = png_pixels(picture), xwd_pixels(dump)
    if ours[:2] != theirs[:2]:
        raise Failure(f"the back end holds {ours[0]}x{ours[1]} pixels, "
                      f"the X server {theirs[0]}x{theirs[1]}")
    return sum(a != b for mine, its in zip(ours[2], theirs[2]) if mine != its
               for a, b in zip(mine, its))


def run(options, children, mount):
    width, height = map(int, options.size.split("x"))
    port = free_port(5900)
    daemon = children.start([options.daemon, "-f", "--vnc", f"127.0.0.1:{port}", mount],
                            stderr=None)
    wait_for("its mount answered", lambda: read_stats(mount), [daemon])
    server, display = start_x(children, mount, width, height)
    name = "Xvfb_screen0"
    wait_for("the X server's screen was seen",
             lambda: (screen_stats(mount, name) or {}).get("shown"), [daemon, server])
    environment = dict(os.environ, DISPLAY=display, LC_ALL="C.UTF-8")
    subprocess.run(["xsetroot", "-solid", "#1d3b53"], env=environment, check=False,
                   stdin=subprocess.DEVNULL, timeout=DEADLINE)
    clients = [children.start(command, env=environment)
               for command in clients_of(width, height)]
    print(f"X server {display}, {width}x{height}, draws into {mount}/{name}")
    print(f"look on: vncviewer 127.0.0.1:{port}", flush=True)
    show_counters(mount, name, options.seconds, [daemon, server] + clients)

    for client in clients:
        children.signal(client, signal.SIGSTOP)
    picture, dump = take_picture(mount, display)
    with open(options.png, "wb") as file:
        file.write(picture)
    differ = differing_bytes(picture, dump)
    screen = screen_stats(mount, name)
    print(f"{screen['display']['updates']} updates, {screen['display']['rectangles']} rectangles, "
          f"{screen['file']['changed_bytes'] >> 10} KB changed; picture: {options.png}")
    for client in clients:
        children.end(client)
    children.end(server)
    children.end(daemon)
    if daemon.returncode != 0:
        raise Failure(f"pvshim-fb ended with status {daemon.returncode}")
    print("identical" if differ == 0 else f"{differ} bytes differ")
    return 0 if differ == 0 else 1


def main():
    parser = argparse.ArgumentParser()
    for name in ("daemon", "png", "size"):
        parser.add_argument("--" + name, required=True)
    parser.add_argument("--seconds", type=int, required=True)
    options = parser.parse_args()

    def stop(number, _frame):
        raise KeyboardInterrupt(number)

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGHUP, stop)
    children = Children()
    mount = tempfile.mkdtemp(prefix="pvshim-demo-")
    try:
        return run(options, children, mount)
    except Failure as failure:
        print(f"demo: {failure}", file=sys.stderr)
        return 3
    except KeyboardInterrupt:
        print("\ndemo: interrupted", file=sys.stderr)
        return 130
    finally:
        children.end_all()
        if os.path.ismount(mount) or not os.access(mount, os.R_OK):
            unmount = shutil.which("fusermount3") or "fusermount3"
            subprocess.run([unmount, "-u", "-z", mount], check=False, stdin=subprocess.DEVNULL,
                           stderr=subprocess.DEVNULL)
        try:
            os.rmdir(mount)
        except OSError as error:
            print(f"demo: {mount} stays: {error.strerror}", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
