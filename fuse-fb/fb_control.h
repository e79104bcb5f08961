/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * fb_control.h - the requests of fb_request.h, given to the framebuffer they are for
 */
#pragma once

#include <string>
#include <string_view>

struct fb_info;

namespace fuse_fb
{

/* What a request has changed. */
enum class fb_change {
	nothing,
	mode,  /* size or depth, if it is another one */
	looks, /* colours, or blanked: the same pixels look different */
};

/**
 * fb_control - answer a request
 * @request: its number, as in fb_request.h, but for wait_for_vsync and console
 * @in: the bytes that came with it
 * @out: the bytes of the answer
 * Return: 0 or negative errno; -ENOTTY for what is no request. Bound to the machine; may sleep.
 */
int fb_control(fb_info *info, unsigned request, std::string_view in, std::string *out,
	       fb_change *change);

} // namespace fuse_fb
