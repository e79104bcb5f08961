/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * viewers/film_stream.h - the screen as a film: YUV4MPEG2, which ffmpeg reads
 *
 *      take() --nothing left--> a frame is ordered for when it is due --> made in the housekeeper,
 *      wake()                                                            one at a time
 *
 * F1: the nth frame shows the screen at n / rate seconds after the opening, or when the reader got
 *     so far: a reader that is slow gets frames that follow each other at once, until it has caught
 *     up, and the film lasts as long as it took. Nothing is made for who does not read.
 * F2: the film ends when the screen gets another size.
 * 4:4:4, BT.601, 16..235: what readers take for granted.
 * Locks: lock_ (the bytes). Held while a frame is ordered, not while it is made.
 */
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <mutex>
#include <string>

#include "fs_stream.h"
#include "viewers/frame_source.h"

namespace fuse_fb
{

class film_stream final : public fs_stream, public std::enable_shared_from_this<film_stream>
{
public:
	using clock = std::chrono::steady_clock;
	/* A picture of the screen as it is now; false: there is none. Where waiting is allowed. */
	using grabber = std::function<bool(snapshot *)>;
	/* Runs a job at that time, where waiting is allowed. False: never. */
	using scheduler = std::function<bool(clock::time_point, std::function<void()>)>;

	/* @width, @height: the screen's at the opening; @rate: frames a second. */
	film_stream(std::uint32_t width, std::uint32_t height, unsigned rate, grabber grab,
		    scheduler later, std::function<void()> wake);

	piece take(std::size_t most) override;
	bool ready() override;

private:
	void order();
	void make();

	const std::uint32_t width_, height_;
	const unsigned rate_;
	const grabber grab_;
	const scheduler later_;
	const std::function<void()> wake_;
	const clock::time_point began_;

	std::mutex lock_;
	std::string bytes_; /* under lock_, like the rest */
	std::size_t read_ = 0;
	std::uint64_t frames_ = 0;
	bool ordered_ = false;
	bool ended_ = false;
};

/* "FRAME" and three planes. */
std::string film_frame(const snapshot &picture);

} // namespace fuse_fb
