/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * display.h - the device behind a screen, as a file of the mount sees it
 *
 * Implemented by xenfb_display.cc. A screen owns at most one display; the display's frame then is
 * the storage of the file. Made, changed and destroyed by the housekeeper only: all of it may wait.
 */
#pragma once

#include <cstdint>
#include <functional>
#include <memory>

#include "frame_sink.h"

struct fb_info;
struct xenfb_back;

namespace fuse_fb
{

/* What a frame holds, and where in it. */
struct screen_geometry {
	std::uint32_t width = 0;          /* pixels */
	std::uint32_t height = 0;         /* lines */
	std::uint32_t bits_per_pixel = 0; /* 8, 16 or 32 */
	std::uint32_t line_length = 0;    /* bytes from line to line */
	std::uint32_t offset = 0;         /* bytes before the first pixel */
	bool operator==(const screen_geometry &) const = default;
};

class display
{
public:
	virtual ~display() = default;

	/* The frame as a storage; valid as long as the display. */
	virtual std::unique_ptr<frame_sink> frame() = 0;

	/*
	 * Calls @harvest once per period while it returns true, or after a kick, and @store for
	 * what the display itself draws; never two of these calls at a time. 0 or negative errno.
	 */
	using storer = std::function<int(std::size_t offset, const void *bytes, std::size_t len)>;
	virtual int attach(std::function<bool()> harvest, storer store) = 0;
	/* One last harvest; then it is not called any more. */
	virtual void detach() = 0;
	/* Any thread, never waits. */
	virtual void kick() = 0;

	/*
	 * Harvest now; then what the programs have stored can be seen by the viewers. 0 or negative
	 * errno.
	 */
	virtual int flush() = 0;

	/* Another picture in the same frame. 0 or negative errno (-EINVAL: does not fit). */
	virtual int set_geometry(const screen_geometry &geometry) = 0;

	/* A test picture, by the front end itself. 0 or negative errno. */
	virtual int draw_pattern() = 0;

	/* The back end, for viewers; null when there is none (tests). */
	virtual xenfb_back *backend() = 0;
	/* The front end, for requests, modes and counters; null likewise. */
	virtual fb_info *frontend() = 0;
	/* Bytes the frame has. */
	virtual std::size_t frame_bytes() const = 0;
};

class display_factory
{
public:
	virtual ~display_factory() = default;
	/* Null and a negative errno in *@error. @mem_length: bytes of the frame. */
	virtual std::unique_ptr<display> make(const screen_geometry &geometry,
					      std::size_t mem_length, int *error) = 0;
};

} // namespace fuse_fb
