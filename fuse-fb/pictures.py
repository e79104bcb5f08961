# SPDX-License-Identifier: GPL-2.0-or-later
"""Reads PNG and XWD files into rows of RGB, and compares them.

On purpose not pvshim's own parsers: what checks them must not share their mistakes.
"""

import array
import struct
import sys
import zlib


class BadPicture(Exception):
    """What is wrong with it."""


def _scaled(value, mask):
    """The bits of value that mask selects, as 0..255, rounded to nearest: all ones are 255."""
    if not mask:
        return 0
    low = mask & -mask
    return ((value & mask) // low * 255 + mask // low // 2) // (mask // low)


class _Scaled(dict):
    """Pixel -> RGB, each computed when it is first asked for."""

    def __init__(self, masks):
        super().__init__()
        self.masks = masks

    def __missing__(self, pixel):
        self[pixel] = rgb = bytes(_scaled(pixel, mask) for mask in self.masks)
        return rgb


def xwd_pixels(dump):
    """An XWD of 8 (with a colour map), 16 or 32 bits a pixel as width, height and rows of RGB."""
    head = struct.unpack(">25I", dump[:100])
    header_size, width, height, bits, line = head[0], head[4], head[5], head[11], head[12]
    big, masks, colours = bool(head[7]), head[14:17], head[19]
    start = header_size + 12 * colours
    places = table = None
    if bits == 32 and all(mask in (0xff, 0xff00, 0xff0000, 0xff000000) for mask in masks):
        shifts = [(mask & -mask).bit_length() // 8 for mask in masks]
        places = [3 - shift if big else shift for shift in shifts]
    elif bits == 32:
        # Channels that are no bytes, as at depth 30; a picture has few colours.
        table = _Scaled(masks)
    elif bits == 16:
        table = [bytes(_scaled(value, mask) for mask in masks) for value in range(65536)]
    elif bits == 8:
        table = [bytes(3)] * 256
        for i in range(colours):
            at = header_size + 12 * i
            pixel, red, green, blue = struct.unpack(">IHHH", dump[at:at + 10])
            table[pixel & 255] = bytes((red >> 8, green >> 8, blue >> 8))
    else:
        raise BadPicture(f"an XWD of {bits} bits a pixel")
    rows = []
    for y in range(height):
        row = dump[start + y * line:start + y * line + width * bits // 8]
        if places:
            rgb = bytearray(3 * width)
            for i, place in enumerate(places):
                rgb[i::3] = row[place::4]
            rows.append(bytes(rgb))
            continue
        if bits != 8:
            row = array.array("H" if bits == 16 else "I", row)
            if big != (sys.byteorder == "big"):
                row.byteswap()
        rows.append(b"".join(map(table.__getitem__, row)))
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
        raise BadPicture("this is not a PNG")
    at, packed, width, height = 8, b"", 0, 0
    while at + 8 <= len(data):
        length, kind = struct.unpack(">I4s", data[at:at + 8])
        body = data[at + 8:at + 8 + length]
        if kind == b"IHDR":
            width, height, depth, colour = struct.unpack(">IIBB", body[:10])
            if (depth, colour) != (8, 2):
                raise BadPicture(f"a PNG of depth {depth} and colour type {colour}, not 8 and 2")
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


def differing_bytes(ours, theirs):
    """How many bytes of two pictures (width, height, rows) differ."""
    if ours[:2] != theirs[:2]:
        raise BadPicture(f"one picture has {ours[0]}x{ours[1]} pixels, "
                         f"the other {theirs[0]}x{theirs[1]}")
    return sum(a != b for mine, its in zip(ours[2], theirs[2]) if mine != its
               for a, b in zip(mine, its))
