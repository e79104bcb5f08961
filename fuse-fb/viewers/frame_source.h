/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * viewers/frame_source.h - what a viewer knows of a screen
 *
 *      xenfb_source (a back end's copy), or a test's array
 *         | lock() .. unlock()           pixels, geometry, meaning
 *         | listener: changed, resized   rectangles
 *      VNC server, PNG
 *
 * I1: between lock() and unlock() neither pixels nor geometry change. One user at a time; keep it
 *     short.
 * I2: changed() is called after the pixels can be seen by the next lock().
 * I3: rectangles are within the geometry of some frame that was, not surely of the one that is: who
 *     uses them clips.
 */
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "viewers/pixel.h"

namespace fuse_fb
{

struct view_rect {
	std::uint32_t x = 0;
	std::uint32_t y = 0;
	std::uint32_t width = 0;
	std::uint32_t height = 0;
	bool operator==(const view_rect &) const = default;
};

struct frame {
	const std::byte *pixels = nullptr; /* line 0 */
	std::uint32_t width = 0;
	std::uint32_t height = 0;
	std::uint32_t line_length = 0; /* bytes from line to line */
	pixel_format format;
};

class frame_source
{
public:
	/*
	 * Called from any thread; must be quick, must not lock the source nor add or remove
	 * listeners.
	 */
	class listener
	{
	public:
		virtual void changed(std::span<const view_rect> rects) = 0;
		/* Geometry or format; everything is to be drawn anew. */
		virtual void resized(std::uint32_t width, std::uint32_t height) = 0;

	protected:
		~listener() = default;
	};

	virtual ~frame_source() = default;

	/* False: there is no picture (yet), and nothing to unlock. May sleep. */
	virtual bool lock(frame *out) = 0;
	virtual void unlock() = 0;

	virtual void add_listener(listener *l) = 0;
	/* When it returns @l is not called and will not be. */
	virtual void remove_listener(listener *l) = 0;
};

/* A picture of one's own, lines without padding. */
struct snapshot {
	std::uint32_t width = 0;
	std::uint32_t height = 0;
	pixel_format format;
	std::vector<std::byte> pixels;

	std::size_t line_length() const { return std::size_t{width} * (format.bits_per_pixel / 8); }
};

/* Copies the source's frame, which is locked for the copying only. False: there is none. */
bool take_snapshot(frame_source &source, snapshot *out);

} // namespace fuse_fb
