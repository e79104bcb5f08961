/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * viewers/damage_stream.cc - what changed, as lines of JSON; see damage_stream.h
 */
#include "viewers/damage_stream.h"

#include <algorithm>
#include <utility>

namespace fuse_fb
{

/* Under lock_, with something to tell. */
std::string damage_stream::line()
{
	std::string text = "{\"seq\":" + std::to_string(seq_) +
			   ",\"updates\":" + std::to_string(seq_ - told_) +
			   ",\"width\":" + std::to_string(width_) +
			   ",\"height\":" + std::to_string(height_) + ",\"rects\":[";
	const char *comma = "";

	for (const view_rect &r : changed_.take(width_, height_)) {
		text += comma;
		text += "[" + std::to_string(r.x) + "," + std::to_string(r.y) + "," +
			std::to_string(r.width) + "," + std::to_string(r.height) + "]";
		comma = ",";
	}
	told_ = seq_;
	return text + "]}\n";
}

fs_stream::piece damage_stream::take(std::size_t most)
{
	std::lock_guard hold(lock_);
	piece p;

	if (rest_.empty()) {
		if (seq_ == told_)
			return p;
		rest_ = line();
	}
	p.kind = piece::some;
	p.bytes = rest_.substr(0, most);
	rest_.erase(0, p.bytes.size());
	return p;
}

bool damage_stream::ready()
{
	std::lock_guard hold(lock_);

	return !rest_.empty() || seq_ != told_;
}

void damage_stream::changed(std::span<const view_rect> rects)
{
	{
		std::lock_guard hold(lock_);

		changed_.add(rects);
		seq_++;
	}
	wake_();
}

void damage_stream::resized(std::uint32_t width, std::uint32_t height)
{
	{
		std::lock_guard hold(lock_);

		width_ = width;
		height_ = height;
		changed_.clear();
		changed_.add({0, 0, width, height});
		seq_++;
	}
	wake_();
}

} // namespace fuse_fb
