/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * viewers/rect_set.h - what is to be drawn anew, in a few rectangles
 *
 * I1: every pixel added is in some rectangle until take(). Rectangles may overlap and may cover
 *     more than was added, so that there are never more than `most`.
 * No lock: each user has its own under its own lock.
 */
#pragma once

#include <span>
#include <vector>

#include "viewers/frame_source.h"

namespace fuse_fb
{

class rect_set
{
public:
	static constexpr std::size_t most = 64;

	void add(const view_rect &r);
	void add(std::span<const view_rect> rects);
	bool empty() const { return rects_.empty(); }
	void clear() { rects_.clear(); }
	std::span<const view_rect> rects() const { return rects_; }

	/* All of it, clipped to a picture of this size; empty afterwards. */
	std::vector<view_rect> take(std::uint32_t width, std::uint32_t height);

private:
	std::vector<view_rect> rects_;
};

} // namespace fuse_fb
