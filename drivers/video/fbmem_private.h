/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * video/fbmem_private.h - the parts of fbmem among themselves
 *
 *      fbmem.cc      the table of framebuffers; opening and closing
 *      fb_mode.cc    mode, panning, blanking
 *      fb_cmap.cc    the palette
 *      fb_ioctl.cc   programs' requests
 */
#pragma once

struct fb_cmap;

/* A palette of greys; its one block of memory begins at cmap->red. 0 or -ENOMEM. */
[[nodiscard]] int fb_cmap_init(struct fb_cmap *cmap);
