/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * fb_request.h - framebuffer requests in a form that reaches a FUSE file
 *
 * An ioctl on a regular file of a FUSE mount carries as many bytes as its number says, and the
 * numbers of FBIOGET_VSCREENINFO and its like say none. So each has a twin here which does. The
 * preload library sends the twin, the daemon answers it; programs that know the mount may use them
 * as they are.
 *
 * Included by the preload library too: the C library's and the kernel's headers only.
 */
#pragma once

#include <cstdint>

#include <linux/fb.h>
#include <sys/ioctl.h>

namespace fuse_fb
{

/* A struct fb_cmap with its arrays. */
struct cmap_request {
	std::uint32_t start;
	std::uint32_t len;
	std::uint16_t red[256], green[256], blue[256], transp[256];
};

/* The path of a terminal; see console.h. */
struct console_request {
	char path[64];
};

namespace fb_request
{

constexpr unsigned type = 0xfb;

/* The low byte is that of the FBIO request. */
constexpr unsigned get_var = _IOR(type, 0x00, fb_var_screeninfo);
constexpr unsigned put_var = _IOWR(type, 0x01, fb_var_screeninfo);
constexpr unsigned get_fix = _IOR(type, 0x02, fb_fix_screeninfo);
constexpr unsigned get_cmap = _IOWR(type, 0x04, cmap_request);
constexpr unsigned put_cmap = _IOW(type, 0x05, cmap_request);
constexpr unsigned pan = _IOWR(type, 0x06, fb_var_screeninfo);
constexpr unsigned cursor = _IO(type, 0x08);
constexpr unsigned blank = _IOW(type, 0x11, std::int32_t);
constexpr unsigned get_vblank = _IOR(type, 0x12, fb_vblank);
constexpr unsigned wait_for_vsync = _IOW(type, 0x20, std::uint32_t);
/* A terminal for a program that has no virtual one. */
constexpr unsigned console = _IOR(type, 0x80, console_request);

} // namespace fb_request

} // namespace fuse_fb
