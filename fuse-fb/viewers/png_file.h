/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * viewers/png_file.h - a picture as a PNG file in memory
 *
 * 8 bits each of red, green, blue; compressed quickly rather than well (libpng does it).
 */
#pragma once

#include <string>
#include <vector>

#include "viewers/frame_source.h"

namespace fuse_fb
{

/*
 * The file's bytes; empty and a reason in *@error when libpng gives up. May throw std::bad_alloc.
 */
std::vector<std::byte> png_encode(const frame &picture, std::string *error);

/* As above; empty when @source has no picture. The source is locked for a copy only. */
std::vector<std::byte> png_of(frame_source &source, std::string *error);

} // namespace fuse_fb
