/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * viewers/frame_source.cc - a copy of a screen; see frame_source.h
 */
#include "viewers/frame_source.h"

#include <cstring>

namespace fuse_fb
{

bool take_snapshot(frame_source &source, snapshot *out)
{
	frame f;

	if (!source.lock(&f))
		return false;
	try {
		out->width = f.width;
		out->height = f.height;
		out->format = f.format;
		out->pixels.resize(out->line_length() * f.height);
		for (std::size_t y = 0; y < f.height; y++)
			std::memcpy(out->pixels.data() + y * out->line_length(),
				    f.pixels + y * f.line_length, out->line_length());
	} catch (...) {
		source.unlock();
		throw;
	}
	source.unlock();
	return true;
}

} // namespace fuse_fb
