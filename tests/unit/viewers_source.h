/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A source of pictures for tests of viewers: an array, drawn into under its own lock.
 */
#pragma once

#include <algorithm>
#include <mutex>
#include <random>
#include <vector>

#include "viewers/frame_source.h"

namespace fuse_fb
{

class array_source : public frame_source
{
public:
	array_source(std::uint32_t width, std::uint32_t height, const pixel_format &format)
	{
		become(width, height, format);
	}

	bool lock(frame *out) override
	{
		pixels_lock_.lock();
		locks_++;
		if (!present_) {
			pixels_lock_.unlock();
			return false;
		}
		*out = {pixels_.data(), width_, height_, line_length_, format_};
		return true;
	}
	void unlock() override { pixels_lock_.unlock(); }

	void add_listener(listener *l) override
	{
		std::lock_guard guard(listeners_lock_);
		listeners_.push_back(l);
	}
	void remove_listener(listener *l) override
	{
		std::lock_guard guard(listeners_lock_);
		std::erase(listeners_, l);
	}

	/* Another size or format; lines get some padding. */
	void become(std::uint32_t width, std::uint32_t height, const pixel_format &format)
	{
		{
			std::lock_guard guard(pixels_lock_);

			width_ = width;
			height_ = height;
			line_length_ = width * (format.bits_per_pixel / 8) + 6;
			format_ = format;
			pixels_.assign(std::size_t{line_length_} * height, std::byte{});
		}
		std::lock_guard guard(listeners_lock_);
		for (listener *l : listeners_)
			l->resized(width, height);
	}

	/* Noise in a rectangle, which is then told. */
	void scribble(unsigned seed, view_rect r)
	{
		{
			std::lock_guard guard(pixels_lock_);
			const std::size_t bytes = format_.bits_per_pixel / 8;
			std::mt19937 random(seed);

			for (std::size_t y = r.y; y < r.y + r.height; y++)
				for (std::size_t x = r.x * bytes; x < (r.x + r.width) * bytes; x++)
					pixels_[y * line_length_ + x] =
						static_cast<std::byte>(random());
		}
		std::lock_guard guard(listeners_lock_);
		for (listener *l : listeners_)
			l->changed({&r, 1});
	}
	void scribble(unsigned seed) { scribble(seed, {0, 0, width_, height_}); }

	void set_present(bool present)
	{
		std::lock_guard guard(pixels_lock_);
		present_ = present;
	}

	/* What viewers should see. */
	std::vector<std::uint8_t> rgb_bytes()
	{
		std::lock_guard guard(pixels_lock_);
		std::vector<std::uint8_t> out(std::size_t{width_} * height_ * 3);
		const pixel_converter c(format_);

		for (std::size_t y = 0; y < height_; y++)
			c.to_rgb(&pixels_[y * line_length_], width_, &out[y * width_ * 3]);
		return out;
	}

	std::size_t listeners()
	{
		std::lock_guard guard(listeners_lock_);
		return listeners_.size();
	}
	/* How often somebody looked. */
	unsigned locks()
	{
		std::lock_guard guard(pixels_lock_);
		return locks_;
	}

private:
	std::mutex pixels_lock_;
	std::vector<std::byte> pixels_;
	std::uint32_t width_ = 0, height_ = 0, line_length_ = 0;
	pixel_format format_;
	bool present_ = true;
	unsigned locks_ = 0;
	std::mutex listeners_lock_;
	std::vector<listener *> listeners_;
};

} // namespace fuse_fb
