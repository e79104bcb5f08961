/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * picture.h - the back end's copy of a screen, for a test in the daemon's own process
 */
#pragma once

#include <functional>

#include <backend/xenfb_back.h>

#include "screen.h"

namespace e2e
{

/* Runs @look with the copy locked. Return: false when there is no picture. */
inline bool with_picture(fuse_fb::screen &s, const std::function<void(const void *)> &look)
{
	bool done = false;

	s.with_display([&](fuse_fb::display &d, const fuse_fb::screen_geometry &) {
		xenfb_geometry geometry;
		const void *copy = xenfb_back_lock_copy(d.backend(), &geometry);

		if (!copy)
			return;
		look(copy);
		xenfb_back_unlock_copy(d.backend());
		done = true;
	});
	return done;
}

} // namespace e2e
