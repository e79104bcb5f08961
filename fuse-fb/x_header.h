/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * x_header.h - what an X server's file says it is
 *
 * The header is the writer's data and is believed only as far as it fits the file.
 */
#pragma once

#include "screen.h"

namespace fuse_fb
{

/*
 * absent: all zeros or too short, a file being made; cut: its pixels are not all there (yet), with
 * a reason; invalid: with a reason; valid: with a geometry.
 */
header_result read_xwd_header(std::span<const std::byte> bytes, std::size_t file_size);

} // namespace fuse_fb
