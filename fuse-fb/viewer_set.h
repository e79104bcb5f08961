/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * viewer_set.h - who looks at the screens: PNG files, VNC, streams
 *
 * VNC and the streams show one screen: fb0 until an X server's screen appears, then the newest
 * one; when that goes, the newest that is left. Clients stay connected and see the size change.
 * Called by the housekeeper and, at the start and the end, by the main thread.
 */
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "viewers/film_stream.h"

struct pv_machine;

namespace fuse_fb
{

class screen;
struct vnc_service;

class viewer_set
{
public:
	explicit viewer_set(pv_machine *machine);
	~viewer_set();
	viewer_set(const viewer_set &) = delete;
	viewer_set &operator=(const viewer_set &) = delete;

	/* Opens the VNC port. Throws startup_error(vnc). */
	void listen(const std::string &host, std::uint16_t port, const vnc_service &service);
	/* "host:port", or empty when nobody listens. */
	std::string address() const;
	unsigned clients() const;

	/*
	 * VNC clients and streams see @s from now on; when it returns nothing of the one before is
	 * used. May be null.
	 */
	void show(const std::shared_ptr<screen> &s);

	/*
	 * Streams of what is shown, see damage_stream.h and film_stream.h. Null: nothing to show.
	 * They may outlive us.
	 */
	std::shared_ptr<fs_stream> damage(std::function<void()> wake);
	std::shared_ptr<fs_stream> film(unsigned rate, const film_stream::scheduler &later,
					std::function<void()> wake);

	/* The picture of @s as a PNG file; empty when there is none. */
	std::string png(screen &s);

private:
	struct state;
	std::shared_ptr<state> state_;
};

} // namespace fuse_fb
