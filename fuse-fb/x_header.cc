/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * x_header.cc - what an X server's file says it is; see x_header.h
 */
#include "x_header.h"

#include "viewers/xwd.h"

namespace fuse_fb
{

header_result read_xwd_header(std::span<const std::byte> bytes, std::size_t file_size)
{
	const xwd_result found = xwd_parse(bytes, file_size);
	header_result r;

	switch (found.kind) {
	case xwd_result::kind::absent:
		break;
	case xwd_result::kind::invalid:
		r.kind = found.cut ? header_result::cut : header_result::invalid;
		r.reason = found.error;
		break;
	case xwd_result::kind::valid:
		r.kind = header_result::valid;
		r.geometry.width = found.header.width;
		r.geometry.height = found.header.height;
		r.geometry.bits_per_pixel = found.header.format.bits_per_pixel;
		r.geometry.line_length = found.header.line_length;
		/* Fits: the header ends within what a parser reads of it. */
		r.geometry.offset = static_cast<std::uint32_t>(found.header.pixel_offset);
		break;
	}
	return r;
}

} // namespace fuse_fb
