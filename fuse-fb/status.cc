/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * status.cc - what a running daemon does, for a person; see status.h
 */
#include "status.h"

#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <iterator>
#include <thread>

#include <nlohmann/json.hpp>
#include <unistd.h>

#include "message.h"

namespace fuse_fb
{

using nlohmann::json;

static json read_stats(const std::string &mount_point)
{
	const std::string path = mount_point + "/stats.json";
	std::ifstream file(path);
	const std::string text((std::istreambuf_iterator<char>(file)),
			       std::istreambuf_iterator<char>());
	const int error = errno;
	json stats = json::parse(text, nullptr, false);

	if (!stats.is_object() || !stats["screens"].is_array())
		throw startup_error(exit_code::mount_point,
				    format_string("%s cannot be read (%s); is pvshim-fb mounted "
						  "there?",
						  path.c_str(), std::strerror(error)));
	return stats;
}

static const json *find_screen(const json &stats, const std::string &name)
{
	for (const json &s : stats["screens"])
		if (s["name"] == name)
			return &s;
	return nullptr;
}

/* How fast a counter grows; a screen that is new began at 0. */
static double rate(const json *before, const json &now, const char *group, const char *counter,
		   double seconds)
{
	const auto value = [&](const json &s) {
		return s.contains(group) ? s[group].value(counter, 0.0) : 0.0;
	};

	return (value(now) - (before ? value(*before) : 0.0)) / seconds;
}

std::string status_text(const json &before, const json &now, double seconds)
{
	const json &vnc = now["vnc"];
	std::string text = format_string(
		"%s  pid %d  up %.0f s  VNC %s\n", now.value("mount_point", "").c_str(),
		now.value("pid", 0), now.value("uptime_s", 0.0),
		vnc.is_null() ? "off"
			      : format_string("%s, %u clients", vnc.value("address", "").c_str(),
					      vnc.value("clients", 0u))
					.c_str());

	text += format_string("%-16s %-16s %-7s %6s %10s %10s %10s %10s\n", "screen", "size",
			      "state", "users", "refresh/s", "rects/s", "Mpixel/s", "MB/s in");
	for (const json &s : now["screens"]) {
		const std::string name = s.value("name", "");
		const json *old = find_screen(before, name);
		const std::string size = s.value("shown", false)
						 ? format_string("%ux%ux%u", s.value("width", 0u),
								 s.value("height", 0u),
								 s.value("bits_per_pixel", 0u))
						 : "no screen";

		text += format_string(
			"%-16s %-16s %-7s %6u %10.1f %10.1f %10.2f %10.2f\n", name.c_str(),
			size.c_str(),
			s.contains("tracker") ? s["tracker"].value("state", "").c_str() : "",
			s.value("users", 0u), rate(old, s, "display", "runs", seconds),
			rate(old, s, "display", "rectangles", seconds),
			rate(old, s, "display", "pixels", seconds) / 1e6,
			rate(old, s, "file", "changed_bytes", seconds) / 1e6);
	}
	return text;
}

int show_status(const std::string &mount_point)
{
	using clock = std::chrono::steady_clock;
	const bool terminal = isatty(STDOUT_FILENO);
	auto then = clock::now();
	json before = read_stats(mount_point);

	do {
		std::this_thread::sleep_until(then + std::chrono::seconds(1));
		const json now = read_stats(mount_point);
		const auto at = clock::now();
		const std::chrono::duration<double> passed = at - then;

		/* From the top; what was there is overwritten. */
		std::printf("%s%s", terminal ? "\033[H\033[J" : "",
			    status_text(before, now, passed.count()).c_str());
		if (std::fflush(stdout))
			return static_cast<int>(exit_code::failure);
		before = now;
		then = at;
	} while (terminal);
	return 0;
}

} // namespace fuse_fb
