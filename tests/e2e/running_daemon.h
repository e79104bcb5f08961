/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * running_daemon.h - pvshim-fb as a process of its own, for the end-to-end tests
 */
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "process.h"

namespace e2e
{

/* With -f, on @dir; fails the test (throws) when it does not come up. */
class running_daemon
{
public:
	explicit running_daemon(const mount_dir &dir, const std::vector<std::string> &more = {},
				const child::setup &with = child::setup());

	child &process() { return process_; }
	/* Fresh counters. */
	nlohmann::json stats() const;
	/* The entry of one screen; null when there is none. */
	nlohmann::json screen(const std::string &name) const;
	bool shown(const std::string &name) const;
	/* Started with --vnc. */
	std::uint16_t vnc_port() const;
	/* Context switches of all threads since they began. */
	std::uint64_t context_switches() const;
	std::size_t open_descriptors() const;

private:
	const mount_dir &dir_;
	child process_;
};

/* "127.0.0.1:PORT", a port that was free just now. */
std::string free_address();

/* Red, green, blue of a PNG file; throws when it is none. */
struct picture_file {
	std::uint32_t width = 0, height = 0;
	std::vector<std::uint8_t> rgb;
};
picture_file read_png(const std::string &path);

/* All bytes of a file; throws when it cannot be read. */
std::vector<std::uint8_t> read_file(const std::string &path);

/*
 * A program that stores into all of fb0, as fast as it can, for @seconds; it keeps its mapping
 * until its standard input is closed. Fails the test (throws) when it does not begin.
 */
child drawer(const mount_dir &dir, const std::string &seconds);

/* How many pixels of fb0 (32 bits) differ from what fb0.png shows. */
std::size_t differing_pixels(const mount_dir &dir);

} // namespace e2e
