#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""A real X server's screens, pixel for pixel.

  xvfb.py DAEMON CASE      a case of CASES below

What the back end holds is seen through NAME.png and over VNC; what is right is what `xwd -root`
says
of the X server. Both are read by fuse-fb/pictures.py, which shares no code with pvshim-fb.
"""
import os
import socket
import struct
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../fuse-fb"))

import pictures  # noqa: E402
import xsession  # noqa: E402
from xsession import DEADLINE, Failure  # noqa: E402


def draw(display, *command):
    done = subprocess.run(command, env=dict(os.environ, DISPLAY=display), check=False,
                          stdin=subprocess.DEVNULL, capture_output=True, timeout=DEADLINE)
    if done.returncode != 0:
        raise Failure(f"{' '.join(command)}: {done.stderr.decode().strip()}")


def moving_clients(children, display):
    environment = dict(os.environ, DISPLAY=display)
    commands = [["xclock", "-update", "1", "-bg", "tan", "-hd", "navy", "-geometry", "90x90+5+5"],
                ["ico", "-sleep", "0.01", "-geometry", "200x200+100+5", "-size", "150x150"],
                ["xlogo", "-fg", "orange", "-bg", "gray20", "-geometry", "90x90+5+100"]]
    return [children.start(command, env=environment) for command in commands]


def check_screen(mount, display, name, colours):
    """NAME.png is what xwd says, and shows at least so many colours."""
    picture, dump = xsession.take_picture(mount.file(name + ".png"), display)
    ours, theirs = pictures.png_pixels(picture), pictures.xwd_pixels(dump)
    differ = pictures.differing_bytes(ours, theirs)
    if differ:
        raise Failure(f"{name}: {differ} bytes differ from xwd")
    found = len({row[i:i + 3] for row in ours[2] for i in range(0, len(row), 3)})
    if found < colours:
        raise Failure(f"{name} shows {found} colours, the clients drew at least {colours}")
    print(f"{name} {ours[0]}x{ours[1]}: identical, {found} colours")


def still_pictures(children, daemon, screens, rounds=4):
    """Clients move on every screen; stopped at several moments, the pictures agree."""
    with xsession.Mount(children, daemon) as mount:
        server, display = xsession.start_x(children, mount, screens)
        clients = []
        for number in range(len(screens)):
            draw(f"{display}.{number}", "xsetroot", "-solid", ("steelblue", "maroon")[number])
            clients += moving_clients(children, f"{display}.{number}")
        for number in range(len(screens)):
            name = f"Xvfb_screen{number}"
            start = xsession.screen_stats(mount.path, name)["display"]["updates"]
            xsession.wait_for(
                f"motion on {name}",
                lambda name=name, start=start:
                xsession.screen_stats(mount.path, name)["display"]["updates"] > start + 20,
                [mount.daemon, server] + clients)
        for turn in range(rounds):
            for client in clients:
                children.signal(client, xsession.signal.SIGSTOP)
            for number in range(len(screens)):
                check_screen(mount, f"{display}.{number}", f"Xvfb_screen{number}", 4)
            # Something new for the next round, whatever the clients got to.
            draw(f"{display}.0", "xsetroot", "-solid", f"#{turn * 16:02x}8040")
            for client in clients:
                children.signal(client, xsession.signal.SIGCONT)
        for process in clients + [server]:
            children.end(process)
        mount.stop()


class Viewer:
    """A VNC viewer: protocol 3.8, no authentication, raw pixels."""

    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port), DEADLINE)
        self.socket.settimeout(DEADLINE)
        if not self.read(12).startswith(b"RFB 003."):
            raise Failure("this is no VNC server")
        self.socket.sendall(b"RFB 003.008\n")
        kinds = self.read(self.read(1)[0])
        if 1 not in kinds:
            raise Failure(f"the VNC server wants authentication: {list(kinds)}")
        self.socket.sendall(b"\1")
        if struct.unpack(">I", self.read(4))[0] != 0:
            raise Failure("the VNC server refused")
        self.socket.sendall(b"\1")
        self.width, self.height = struct.unpack(">HH", self.read(4))
        self.read(16)
        self.name = self.read(struct.unpack(">I", self.read(4))[0]).decode()
        # 32 bits a pixel, little endian, red in bits 16 to 23.
        self.socket.sendall(struct.pack(">B3xBBBBHHHBBB3x", 0, 32, 24, 0, 1,
                                        255, 255, 255, 16, 8, 0))
        self.socket.sendall(struct.pack(">BxHi", 2, 1, 0))
        self.rows = [bytearray(3 * self.width) for _ in range(self.height)]
        self.rectangles = 0

    def read(self, count):
        data = b""
        while len(data) < count:
            more = self.socket.recv(count - len(data))
            if not more:
                raise Failure("the VNC server hung up")
            data += more
        return data

    def update(self, incremental):
        """Asks for news and takes them in."""
        self.socket.sendall(struct.pack(">BBHHHH", 3, incremental, 0, 0, self.width, self.height))
        while True:
            kind = self.read(1)[0]
            if kind == 0:
                break
            if kind == 3:
                self.read(3)
                self.read(struct.unpack(">I", self.read(4))[0])
            elif kind != 2:
                raise Failure(f"the VNC server sent message {kind}")
        for _ in range(struct.unpack(">xH", self.read(3))[0]):
            x, y, width, height, encoding = struct.unpack(">HHHHi", self.read(12))
            if encoding != 0:
                raise Failure(f"the VNC server used encoding {encoding}")
            self.rectangles += 1
            for line in range(y, y + height):
                pixels = self.read(4 * width)
                for i, place in enumerate((2, 1, 0)):
                    self.rows[line][3 * x + i:3 * (x + width):3] = pixels[place::4]

    def picture(self):
        return self.width, self.height, [bytes(row) for row in self.rows]


def vnc(children, daemon):
    """A viewer sees what the X server shows, at once and after every change."""
    port = xsession.free_port(5950)
    with xsession.Mount(children, daemon, "--vnc", f"127.0.0.1:{port}") as mount:
        server, display = xsession.start_x(children, mount, ["641x479x24"])
        draw(display, "xsetroot", "-solid", "steelblue")
        clients = moving_clients(children, display)
        viewer = Viewer(port)
        viewer.update(0)
        for turn in range(5):
            for _ in range(5):
                viewer.update(1)
            for client in clients:
                children.signal(client, xsession.signal.SIGSTOP)
            draw(display, "xsetroot", "-solid", f"#{turn * 16:02x}4080")
            picture, dump = xsession.take_picture(mount.file("screen.png"), display)
            truth = pictures.xwd_pixels(dump)
            if pictures.differing_bytes(pictures.png_pixels(picture), truth):
                raise Failure("screen.png differs from xwd")
            for _ in range(200):
                if pictures.differing_bytes(viewer.picture(), truth) == 0:
                    break
                viewer.update(1)
            else:
                raise Failure(f"{pictures.differing_bytes(viewer.picture(), truth)} bytes over VNC "
                              "differ from xwd")
            for client in clients:
                children.signal(client, xsession.signal.SIGCONT)
        print(f"VNC: identical 5 times, {viewer.rectangles} rectangles")
        for process in clients + [server]:
            children.end(process)
        mount.stop()


def demo(children, daemon):
    """The demo itself ends with "identical" and leaves a picture."""
    where = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../fuse-fb/demo.py")
    with tempfile.TemporaryDirectory() as folder:
        png = os.path.join(folder, "demo.png")
        done = subprocess.run([sys.executable, where, "--daemon", daemon, "--seconds", "3",
                               "--png", png, "--size", "640x480"], check=False, text=True,
                              stdin=subprocess.DEVNULL, capture_output=True, timeout=120)
        print(done.stdout + done.stderr)
        if done.returncode != 0 or done.stdout.split()[-1] != "identical":
            raise Failure(f"the demo ended with status {done.returncode}")
        with open(png, "rb") as file:
            if pictures.png_pixels(file.read())[:2] != (640, 480):
                raise Failure("the demo's picture has not the screen's size")


CASES = {
    "depth8": lambda c, d: still_pictures(c, d, ["640x480x8"]),
    "depth16": lambda c, d: still_pictures(c, d, ["640x480x16"]),
    "depth24": lambda c, d: still_pictures(c, d, ["1024x768x24"]),
    "depth30": lambda c, d: still_pictures(c, d, ["640x480x30"]),
    "odd": lambda c, d: still_pictures(c, d, ["639x477x24"]),
    "two": lambda c, d: still_pictures(c, d, ["640x480x24", "800x600x24"]),
    "vnc": vnc,
    "demo": demo,
}


def main():
    children = xsession.Children()
    try:
        CASES[sys.argv[2]](children, sys.argv[1])
    except (Failure, pictures.BadPicture) as failure:
        print(f"xvfb {sys.argv[2]}: {failure}", file=sys.stderr)
        return 1
    finally:
        children.end_all()
    return 0


if __name__ == "__main__":
    sys.exit(main())
