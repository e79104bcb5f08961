/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * stats.cc - what stats.json says; see stats.h
 */
#include "stats.h"

#include <nlohmann/json.hpp>
#include <unistd.h>

#include <backend/xenfb_back.h>
#include <video/fb_defio.h>
#include <video/xen_fbfront.h>

#include "screen.h"

namespace fuse_fb
{

using nlohmann::json;

static json tracker_json(const tracker &t)
{
	static const track_state states[] = {track_state::idle, track_state::sparse,
					     track_state::dense};
	const tracker_stats s = t.stats();
	json moves = json::object();

	for (const track_state from : states)
		for (const track_state to : states)
			if (from != to)
				moves[std::string(track_state_name(from)) + "-" +
				      track_state_name(to)] =
					s.transitions[static_cast<int>(from)][static_cast<int>(to)];
	return {{"state", track_state_name(s.state)},
		{"harvests", s.harvests},
		{"pulls", s.pulls},
		{"looks", s.looks},
		{"invalidations", s.invalidations},
		{"errors", s.errors},
		{"transitions", moves}};
}

static json file_json(const content::counters &c)
{
	return {{"reads", c.reads.load()},
		{"read_bytes", c.read_bytes.load()},
		{"writes", c.writes.load()},
		{"write_bytes", c.write_bytes.load()},
		{"cache_pages", c.cache_pages.load()},
		{"looked_pages", c.looked_pages.load()},
		{"stale_pages", c.stale_pages.load()},
		{"changed_bytes", c.changed_bytes.load()}};
}

static json display_json(display &d)
{
	struct xenfb_back_stats back {
	};
	struct xenfb_front_stats front {
	};
	struct fb_defio_stats defio {
	};

	xenfb_back_stats(d.backend(), &back);
	xenfb_front_stats(d.frontend(), &front);
	fb_defio_stats(d.frontend(), &defio);
	return {{"updates", front.updates},
		{"resizes", front.resizes},
		{"events", back.events},
		{"rectangles", back.rects},
		{"pixels", back.pixels},
		{"bad_events", back.bad_events},
		{"bytes_copied", back.bytes_copied},
		{"runs", defio.runs},
		{"flushes", defio.flushes},
		{"kicks", defio.kicks},
		{"connected", back.connected}};
}

static json screen_json(screen &s)
{
	json out = {{"name", s.name()},
		    {"shown", false},
		    {"size", s.bytes().size()},
		    {"users", s.users()},
		    {"file", file_json(s.bytes().stats())}};

	if (s.tracking())
		out["tracker"] = tracker_json(*s.tracking());
	s.with_display([&](display &d, const screen_geometry &g) {
		out["shown"] = true;
		out["width"] = g.width;
		out["height"] = g.height;
		out["bits_per_pixel"] = g.bits_per_pixel;
		out["line_length"] = g.line_length;
		out["offset"] = g.offset;
		if (d.backend())
			out["display"] = display_json(d);
	});
	return out;
}

std::string stats_json(const stats_source &source)
{
	const std::chrono::duration<double> uptime =
		std::chrono::steady_clock::now() - source.started;
	json out = {{"pid", getpid()},
		    {"mount_point", source.mount_point},
		    {"uptime_s", uptime.count()},
		    {"vnc", nullptr},
		    {"viewed", nullptr},
		    {"event_channels",
		     {{"sent", source.events.sent},
		      {"delivered", source.events.delivered},
		      {"coalesced", source.events.coalesced}}},
		    {"screens", json::array()}};

	if (!source.vnc_address.empty())
		out["vnc"] = {{"address", source.vnc_address}, {"clients", source.vnc_clients}};
	if (source.viewed)
		out["viewed"] = source.viewed->name();
	for (const std::shared_ptr<screen> &s : source.screens)
		out["screens"].push_back(screen_json(*s));
	/* Names of files may hold any byte; an invalid one must not take the counters away. */
	return out.dump(1, '\t', false, json::error_handler_t::replace) + "\n";
}

} // namespace fuse_fb
