/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * viewers/xenfb_source.cc - a back end's copy of the screen, as viewers see it; see xenfb_source.h
 */
#include "viewers/xenfb_source.h"

#include <algorithm>
#include <array>

namespace fuse_fb
{

const xenfb_sink_ops xenfb_source::ops = {update, resize};

xenfb_source::xenfb_source(xenfb_back *back, const pixel_format &format)
	: back_(back), format_(format)
{
	sink_.base.ops = &ops;
	sink_.owner = this;
	xenfb_back_add_sink(back_, &sink_.base);
}

xenfb_source::~xenfb_source()
{
	xenfb_back_remove_sink(back_, &sink_.base);
}

bool xenfb_source::lock(frame *out)
{
	xenfb_geometry g{};
	const void *copy = xenfb_back_lock_copy(back_, &g);

	if (!copy)
		return false;
	out->pixels = static_cast<const std::byte *>(copy);
	out->width = g.width;
	out->height = g.height;
	out->line_length = g.line_length;
	out->format = g.depth == format_.bits_per_pixel ? format_ : default_pixel_format(g.depth);
	return true;
}

void xenfb_source::unlock()
{
	xenfb_back_unlock_copy(back_);
}

void xenfb_source::add_listener(listener *l)
{
	std::lock_guard guard(listeners_lock_);

	listeners_.push_back(l);
}

void xenfb_source::remove_listener(listener *l)
{
	std::lock_guard guard(listeners_lock_);

	listeners_.erase(std::remove(listeners_.begin(), listeners_.end(), l), listeners_.end());
}

void xenfb_source::update(xenfb_sink *s, const fb_rect *rects, unsigned int n)
{
	xenfb_source *self = reinterpret_cast<sink *>(s)->owner;
	std::lock_guard guard(self->listeners_lock_);
	std::array<view_rect, 64> piece;

	while (n > 0) {
		const std::size_t k = std::min<std::size_t>(n, piece.size());

		for (std::size_t i = 0; i < k; i++)
			piece[i] = {rects[i].x, rects[i].y, rects[i].width, rects[i].height};
		for (listener *l : self->listeners_)
			l->changed({piece.data(), k});
		rects += k;
		n -= static_cast<unsigned int>(k);
	}
}

void xenfb_source::resize(xenfb_sink *s, const xenfb_geometry *geometry)
{
	xenfb_source *self = reinterpret_cast<sink *>(s)->owner;
	std::lock_guard guard(self->listeners_lock_);

	for (listener *l : self->listeners_)
		l->resized(geometry->width, geometry->height);
}

} // namespace fuse_fb
