/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * viewers/film_stream.cc - the screen as a film; see film_stream.h
 */
#include "viewers/film_stream.h"

#include <algorithm>
#include <utility>
#include <vector>

namespace fuse_fb
{

film_stream::film_stream(std::uint32_t width, std::uint32_t height, unsigned rate, grabber grab,
			 scheduler later, std::function<void()> wake)
	: width_(width), height_(height), rate_(rate), grab_(std::move(grab)),
	  later_(std::move(later)), wake_(std::move(wake)), began_(clock::now()),
	  bytes_("YUV4MPEG2 W" + std::to_string(width_) + " H" + std::to_string(height_) + " F" +
		 std::to_string(rate_) + ":1 Ip A1:1 C444\n")
{
}

/* Under lock_. */
void film_stream::order()
{
	const auto due = began_ + std::chrono::nanoseconds(1000000000) * frames_ / rate_;

	ordered_ = later_(due, [self = shared_from_this()] { self->make(); });
	ended_ = !ordered_;
}

void film_stream::make()
{
	snapshot now;
	const bool same = grab_(&now) && now.width == width_ && now.height == height_;
	std::string frame = same ? film_frame(now) : std::string();
	{
		std::lock_guard hold(lock_);

		bytes_ = std::move(frame);
		read_ = 0;
		ordered_ = false;
		ended_ = !same;
		frames_++;
	}
	wake_();
}

fs_stream::piece film_stream::take(std::size_t most)
{
	std::lock_guard hold(lock_);
	piece p;

	if (read_ < bytes_.size()) {
		p.kind = piece::some;
		p.bytes = bytes_.substr(read_, most);
		read_ += p.bytes.size();
		return p;
	}
	if (!ended_ && !ordered_)
		order();
	p.kind = ended_ ? piece::end : piece::nothing_yet;
	return p;
}

bool film_stream::ready()
{
	std::lock_guard hold(lock_);

	/* Who polls wants to read: or nobody would ever order a frame. */
	if (read_ == bytes_.size() && !ended_ && !ordered_)
		order();
	return ended_ || read_ < bytes_.size();
}

std::string film_frame(const snapshot &picture)
{
	static constexpr std::string_view head = "FRAME\n";
	const std::size_t pixels = std::size_t{picture.width} * picture.height;
	const pixel_converter converter(picture.format);
	std::vector<std::uint32_t> line(picture.width);
	std::string out(head.size() + 3 * pixels, '\0');

	std::copy(head.begin(), head.end(), out.begin());
	char *y = out.data() + head.size(), *cb = y + pixels, *cr = cb + pixels;
	for (std::size_t row = 0; row < picture.height; row++) {
		converter.to_xrgb(&picture.pixels[row * picture.line_length()], picture.width,
				  line.data());
		for (const std::uint32_t p : line) {
			const int r = p >> 16 & 255, g = p >> 8 & 255, b = p & 255;

			/* In 256ths, rounded; no sum leaves 16..240. */
			*y++ = static_cast<char>((66 * r + 129 * g + 25 * b + 128 + 4096) >> 8);
			*cb++ = static_cast<char>((-38 * r - 74 * g + 112 * b + 128 + 32768) >> 8);
			*cr++ = static_cast<char>((112 * r - 94 * g - 18 * b + 128 + 32768) >> 8);
		}
	}
	return out;
}

} // namespace fuse_fb
