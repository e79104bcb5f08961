# SPDX-License-Identifier: GPL-2.0-or-later
"""The demo once it is built: mounts, starts, shows, compares, cleans up (see fuse-fb/demo)."""

import argparse
import os
import select
import signal
import subprocess
import sys
import time

import pictures
import xsession
from xsession import DEADLINE, Failure, screen_stats


def clients_of(width, height):
    """A picture's worth of programs, none in front of another.

    The middle stays free: the pointer is there. Over a client it would be drawn into the frame,
    which `xwd` leaves out; over the bare root window an X server shows none.
    """
    unit = min(width, height) // 24
    column = 7 * unit
    wide = width - column - 3 * unit
    below = height // 2 + unit // 2
    lines = max(4, (height - below - unit) // 13 - 1)
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
         f"{max(20, wide // 6 - 4)}x{lines}+{column + 2 * unit}+{below}",
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

        line = (f"{now - began:5.1f} s  {rate('display', 'runs'):5.1f} fps"
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


def run(options, children):
    width, height = map(int, options.size.split("x"))
    address = f"127.0.0.1:{xsession.free_port(5900)}"
    name = "Xvfb_screen0"
    with xsession.Mount(children, options.daemon, "--vnc", address) as mount:
        server, display = xsession.start_x(children, mount, [f"{width}x{height}x24"])
        environment = dict(os.environ, DISPLAY=display, LC_ALL="C.UTF-8")
        subprocess.run(["xsetroot", "-solid", "#1d3b53"], env=environment, check=False,
                       stdin=subprocess.DEVNULL, timeout=DEADLINE)
        clients = [children.start(command, env=environment)
                   for command in clients_of(width, height)]
        print(f"X server {display}, {width}x{height}, draws into {mount.file(name)}")
        print(f"look on: vncviewer {address}", flush=True)
        show_counters(mount.path, name, options.seconds, [mount.daemon, server] + clients)

        for client in clients:
            children.signal(client, signal.SIGSTOP)
        picture, dump = xsession.take_picture(mount.file("screen.png"), display)
        with open(options.png, "wb") as file:
            file.write(picture)
        differ = pictures.differing_bytes(pictures.png_pixels(picture), pictures.xwd_pixels(dump))
        screen = screen_stats(mount.path, name)
        print(f"{screen['display']['updates']} updates, {screen['display']['rectangles']} "
              f"rectangles, {screen['file']['changed_bytes'] >> 10} KB changed; "
              f"picture: {options.png}")
        for process in clients + [server]:
            children.end(process)
        mount.stop()
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
    children = xsession.Children()
    try:
        return run(options, children)
    except (Failure, pictures.BadPicture, OSError) as failure:
        print(f"demo: {failure}", file=sys.stderr)
        return 3
    except KeyboardInterrupt:
        print("\ndemo: interrupted", file=sys.stderr)
        return 130
    finally:
        children.end_all()


if __name__ == "__main__":
    sys.exit(main())
