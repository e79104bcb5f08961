/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * viewers/rect_set.cc - what is to be drawn anew; see rect_set.h
 */
#include "viewers/rect_set.h"

#include <algorithm>
#include <limits>

namespace fuse_fb
{

static std::uint64_t area(const view_rect &r)
{
	return std::uint64_t{r.width} * r.height;
}

/* Ends are 64 bits: x + width of a rectangle nobody has clipped yet may not fit into 32. */
static view_rect around(const view_rect &a, const view_rect &b)
{
	const std::uint32_t x = std::min(a.x, b.x), y = std::min(a.y, b.y);
	const std::uint64_t right =
		std::max(std::uint64_t{a.x} + a.width, std::uint64_t{b.x} + b.width);
	const std::uint64_t bottom =
		std::max(std::uint64_t{a.y} + a.height, std::uint64_t{b.y} + b.height);
	constexpr std::uint64_t limit = std::numeric_limits<std::uint32_t>::max();

	return {x, y, static_cast<std::uint32_t>(std::min(right - x, limit)),
		static_cast<std::uint32_t>(std::min(bottom - y, limit))};
}

void rect_set::add(const view_rect &r)
{
	if (r.width == 0 || r.height == 0)
		return;
	view_rect grown = r;
	std::size_t best = 0;
	std::uint64_t best_waste = std::numeric_limits<std::uint64_t>::max();

	/* Join what costs nothing to join; a joined rectangle may swallow others. */
	for (std::size_t i = 0; i < rects_.size();) {
		const view_rect joined = around(rects_[i], grown);

		if (area(joined) <= area(rects_[i]) + area(grown)) {
			grown = joined;
			rects_[i] = rects_.back();
			rects_.pop_back();
			i = 0;
			continue;
		}
		i++;
	}
	if (rects_.size() < most) {
		rects_.push_back(grown);
		return;
	}
	/* No room: join with the one where it wastes least. */
	for (std::size_t i = 0; i < rects_.size(); i++) {
		const std::uint64_t waste = area(around(rects_[i], grown)) - area(rects_[i]);

		if (waste < best_waste) {
			best_waste = waste;
			best = i;
		}
	}
	rects_[best] = around(rects_[best], grown);
}

void rect_set::add(std::span<const view_rect> rects)
{
	for (const view_rect &r : rects)
		add(r);
}

std::vector<view_rect> rect_set::take(std::uint32_t width, std::uint32_t height)
{
	std::vector<view_rect> out;

	for (const view_rect &r : rects_)
		if (r.x < width && r.y < height)
			out.push_back({r.x, r.y, std::min(r.width, width - r.x),
				       std::min(r.height, height - r.y)});
	rects_.clear();
	return out;
}

} // namespace fuse_fb
