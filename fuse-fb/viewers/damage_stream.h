/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * viewers/damage_stream.h - what changed on the screen, as lines of JSON
 *
 *      {"seq":17,"updates":1,"width":1024,"height":768,"rects":[[x,y,width,height], ...]}
 *
 * seq: how many updates there have been since the file was opened; updates: how many of them this
 * line tells of. A reader that is slow gets fewer lines with merged rectangles, never a rectangle
 * less: what is kept for it is one line and one rect_set. The first line has the whole screen, as
 * has one after a change of its size or of the screen that is shown.
 * Locks: lock_, innermost: the source calls changed() with its own held.
 */
#pragma once

#include <functional>
#include <mutex>
#include <string>

#include "fs_stream.h"
#include "viewers/frame_source.h"
#include "viewers/rect_set.h"

namespace fuse_fb
{

class damage_stream final : public fs_stream, public frame_source::listener
{
public:
	explicit damage_stream(std::function<void()> wake) : wake_(std::move(wake)) {}

	piece take(std::size_t most) override;
	bool ready() override;

	void changed(std::span<const view_rect> rects) override;
	void resized(std::uint32_t width, std::uint32_t height) override;

private:
	std::string line();

	const std::function<void()> wake_;
	std::mutex lock_;
	std::uint32_t width_ = 0, height_ = 0; /* under lock_, like the rest */
	rect_set changed_;
	std::uint64_t seq_ = 0;
	std::uint64_t told_ = 0;
	std::string rest_; /* of a line that was read in part */
};

} // namespace fuse_fb
