/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * damage_private.h - shared by damage.cc (the set and the geometry) and damage_absorb.cc
 */
#pragma once

#include "video/damage.h"
#include "video/damage_rects.h"

#include <linux/mutex.h>
#include <linux/spinlock.h>

namespace fb_stripes
{

constexpr size_t BYTES = 64 * 1024;
constexpr size_t NR = 64;
constexpr size_t CACHE_LINE = 64;

} // namespace fb_stripes

struct fb_damage {
	spinlock_t lock;
	struct fb_rect_set set __guarded_by(lock);
	struct fb_geometry geometry __guarded_by(lock);
	struct fb_damage_stats stats __guarded_by(lock);
	/*
	 * A stripe guards comparing and copying of frame bytes whose offset / fb_stripes::BYTES
	 * maps to it. @version grows, under the lock, after bytes were copied: who reads the frame
	 * without the lock, and finds the same version under it, has read what the frame is.
	 */
	struct {
		struct mutex lock;
		u32 version; /* read without the lock, with acquire */
		char apart[fb_stripes::CACHE_LINE];
	} stripes[fb_stripes::NR];
};
