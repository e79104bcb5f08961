/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * video/fb_draw.h - the kernel draws into a frame itself: a console, a test picture
 *
 * The three of linux/fb.h, written once for all depths: lines are made beside the frame and stored
 * into it (fb_defio_store), so that damage is exact, and a program that has the frame mapped sees
 * what was drawn. Places are those of the virtual screen; what lies outside of it is cut off.
 *
 * Context: may sleep; not from a thread that a mapping waits for (a FUSE request handler).
 * All return 0, -EINVAL (a rop or depth that does not exist), -ENOMEM, or what the mapping says.
 * KSHIM: colours are pixels as the frame has them, not numbers in a console's palette. An image has
 * depth 1 (bits, highest first, lines of whole bytes) or the frame's own (pixels, no padding).
 */
#pragma once

#include <linux/fb.h>

/* ROP_COPY and ROP_XOR. */
[[nodiscard]] int sys_fillrect(struct fb_info *info, const struct fb_fillrect *rect);
/* The two areas may overlap. What programs have stored and nobody has harvested is not copied. */
[[nodiscard]] int sys_copyarea(struct fb_info *info, const struct fb_copyarea *area);
[[nodiscard]] int sys_imageblit(struct fb_info *info, const struct fb_image *image);

/**
 * fb_draw_pattern - a test picture: bars of colour, a grey ramp, a frame, the mode in digits
 *
 * Covers the visible part of the screen, whatever its size and depth; at 8 bits it sets the
 * palette. Uses all of the above.
 */
[[nodiscard]] int fb_draw_pattern(struct fb_info *info);
