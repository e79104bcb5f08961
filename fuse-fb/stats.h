/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * stats.h - what stats.json says
 *
 * {"pid", "mount_point", "uptime_s", "vnc": null | {"address", "clients"},
 *  "viewed": the screen in screen.png and over VNC, null: none,
 *  "event_channels": {"sent", "delivered", "coalesced"}: between front and back ends, both ways;
 *    coalesced: found the channel pending, one delivery stands for both,
 *  "screens": [{"name", "shown": has it a display (else it is only a file yet),
 *    "width", "height", "bits_per_pixel", "line_length", "offset", "size": of the file,
 *    "users": opens by programs,
 *    "tracker": {"state", "harvests", "pulls", "looks", "invalidations", "errors",
 *                "transitions": {"idle-sparse": n, ...}},
 *    "file": {"reads", "read_bytes", "writes", "write_bytes", "cache_pages", "looked_pages",
 *             "stale_pages", "changed_bytes"},
 *    "display": {"updates", "resizes", "events", "rectangles", "pixels", "bad_events",
 *                "bytes_copied", "runs", "flushes", "kicks", "connected"}}]}
 * Counters only grow, in a screen's life. Made without a flush: looking does not wake anything.
 */
#pragma once

#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include <xen/events.h>

namespace fuse_fb
{

class screen;

struct stats_source {
	std::string mount_point;
	std::chrono::steady_clock::time_point started;
	std::string vnc_address; /* empty: nobody listens */
	unsigned vnc_clients = 0;
	std::shared_ptr<screen> viewed;
	struct xen_irq_stats events = {};
	std::vector<std::shared_ptr<screen>> screens;
};

/* Housekeeper. */
std::string stats_json(const stats_source &source);

} // namespace fuse_fb
