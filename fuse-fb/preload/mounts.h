/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * preload/mounts.h - where framebuffers are mounted
 *
 * Found in the table of mounts, without touching a mount: one whose daemon hangs would block us.
 * For pvshim-run and for the preload library: no C++ library, no allocation.
 */
#pragma once

#include <climits>

namespace fb_preload
{

/* Framebuffers of one program: /dev/fb0 is the first mount's, /dev/fb1 the second's ... */
constexpr unsigned mounts_max = 8;
/* What they are, separated by colons; set by pvshim-run, may be set by hand. */
constexpr const char *mounts_variable = "PVSHIM_FB";
/* Not empty: programs get the stand-in console even where there is a virtual terminal. */
constexpr const char *console_variable = "PVSHIM_CONSOLE";

/**
 * find_mounts - mounts of pvshim-fb, newest last
 * @found: called for each, with its mount point
 */
void find_mounts(void (*found)(const char *path, void *arg), void *arg);

} // namespace fb_preload
