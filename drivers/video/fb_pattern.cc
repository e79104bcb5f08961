/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * fb_pattern.cc - a test picture
 *
 *      +--------------------------------+
 *      | w | y | c | g | m | r | b | bl |   bars                  fillrect
 *      |--------------------------------|
 *      | dark ->                 light  |   ramp of greys         imageblit, the frame's depth
 *      |--------------------------------|
 *      | the bars' lower edge once more |                         copyarea
 *      |           1024x768x32          |   digits                imageblit, depth 1
 *      +--------------------------------+   an edge, inverted     fillrect with ROP_XOR
 */
#include "video/fb_draw.h"

#include <linux/errno.h>
#include <linux/minmax.h>
#include <linux/mm.h>
#include <linux/slab.h>
#include <linux/sprintf.h>
#include <linux/string.h>

constexpr u32 NR_BARS = 8;
/* Levels of a channel in the palette that is set at 8 bits: 6 x 6 x 6, and greys behind them. */
constexpr u32 CUBE = 6, FIRST_GREY = CUBE * CUBE * CUBE, NR_GREYS = 256 - FIRST_GREY;
constexpr u32 GLYPH_WIDTH = 8, GLYPH_HEIGHT = 8;

/* "0" to "9" and "x". */
static const u8 glyphs[11][GLYPH_HEIGHT] = {
	{0x3c, 0x66, 0x6e, 0x76, 0x66, 0x66, 0x3c, 0},
	{0x18, 0x38, 0x18, 0x18, 0x18, 0x18, 0x7e, 0},
	{0x3c, 0x66, 0x06, 0x0c, 0x18, 0x30, 0x7e, 0},
	{0x3c, 0x66, 0x06, 0x1c, 0x06, 0x66, 0x3c, 0},
	{0x0c, 0x1c, 0x2c, 0x4c, 0x7e, 0x0c, 0x0c, 0},
	{0x7e, 0x60, 0x7c, 0x06, 0x06, 0x66, 0x3c, 0},
	{0x1c, 0x30, 0x60, 0x7c, 0x66, 0x66, 0x3c, 0},
	{0x7e, 0x06, 0x0c, 0x18, 0x18, 0x30, 0x30, 0},
	{0x3c, 0x66, 0x66, 0x3c, 0x66, 0x66, 0x3c, 0},
	{0x3c, 0x66, 0x66, 0x3e, 0x06, 0x0c, 0x38, 0},
	{0x00, 0x00, 0x66, 0x3c, 0x18, 0x3c, 0x66, 0},
};

static u32 level(u32 value, const struct fb_bitfield *field)
{
	return (value >> (8 - min(field->length, 8u))) << field->offset;
}

/* A pixel of this colour, 8 bits a channel. */
static u32 pixel_of(const struct fb_var_screeninfo *var, u32 red, u32 green, u32 blue)
{
	if (var->bits_per_pixel > 8)
		return level(red, &var->red) | level(green, &var->green) | level(blue, &var->blue);
	if (red == green && green == blue)
		return FIRST_GREY + red * (NR_GREYS - 1) / 255;
	return (red * (CUBE - 1) / 255 * CUBE + green * (CUBE - 1) / 255) * CUBE +
	       blue * (CUBE - 1) / 255;
}

static int set_palette(struct fb_info *info)
{
	u16 red[FB_CMAP_LEN], green[FB_CMAP_LEN], blue[FB_CMAP_LEN];
	struct fb_cmap cmap = {0, FB_CMAP_LEN, red, green, blue, nullptr};

	for (u32 i = 0; i < FB_CMAP_LEN; i++) {
		const u32 grey = i < FIRST_GREY ? 0 : (i - FIRST_GREY) * 0xffff / (NR_GREYS - 1);
		const bool cube = i < FIRST_GREY;

		red[i] = (u16)(cube ? i / CUBE / CUBE * 0xffff / (CUBE - 1) : grey);
		green[i] = (u16)(cube ? i / CUBE % CUBE * 0xffff / (CUBE - 1) : grey);
		blue[i] = (u16)(cube ? i % CUBE * 0xffff / (CUBE - 1) : grey);
	}
	return fb_set_cmap(&cmap, info);
}

static int draw_bars(struct fb_info *info, const struct fb_var_screeninfo *var, u32 height)
{
	int err = 0;

	for (u32 i = 0; i < NR_BARS && !err; i++) {
		/* White, yellow, cyan, green, magenta, red, blue, black: ever darker. */
		const u32 from = i * var->xres / NR_BARS, to = (i + 1) * var->xres / NR_BARS;
		const u32 pixel = pixel_of(var, i & 2 ? 0 : 255, i & 4 ? 0 : 255, i & 1 ? 0 : 255);
		const struct fb_fillrect bar = {
			var->xoffset + from, var->yoffset, to - from, height, pixel, ROP_COPY};

		err = sys_fillrect(info, &bar);
	}
	return err;
}

static int draw_ramp(struct fb_info *info, const struct fb_var_screeninfo *var, u32 y, u32 height)
{
	const u32 bytes = var->bits_per_pixel / 8;
	char *line = (char *)kvmalloc((size_t)var->xres * bytes, GFP_KERNEL);
	struct fb_image image = {var->xoffset,
				 var->yoffset + y,
				 var->xres,
				 1,
				 0,
				 0,
				 (u8)var->bits_per_pixel,
				 line,
				 {}};
	int err = 0;

	if (!line)
		return -ENOMEM;
	for (u32 x = 0; x < var->xres; x++) {
		const u32 grey = x * 255 / max(var->xres - 1, 1u);
		const u32 pixel = pixel_of(var, grey, grey, grey);

		memcpy(line + (size_t)x * bytes, &pixel, bytes);
	}
	for (u32 i = 0; i < height && !err; i++, image.dy++)
		err = sys_imageblit(info, &image);
	kvfree(line);
	return err;
}

static int draw_mode(struct fb_info *info, const struct fb_var_screeninfo *var, u32 y)
{
	char text[32];
	u32 x;
	int err = 0;

	snprintf(text, sizeof(text), "%ux%ux%u", var->xres, var->yres, var->bits_per_pixel);
	const u32 width = (u32)strlen(text) * GLYPH_WIDTH;

	x = var->xres > width ? (var->xres - width) / 2 : 0;
	for (const char *c = text; *c && x < var->xres && !err; c++, x += GLYPH_WIDTH) {
		const u8 *glyph = glyphs[*c == 'x' ? 10 : *c - '0'];
		const struct fb_image image = {var->xoffset + x,
					       var->yoffset + y,
					       min(GLYPH_WIDTH, var->xres - x),
					       min(GLYPH_HEIGHT, var->yres - y),
					       pixel_of(var, 255, 255, 255),
					       pixel_of(var, 0, 0, 0),
					       1,
					       (const char *)glyph,
					       {}};

		err = sys_imageblit(info, &image);
	}
	return err;
}

/* One pixel wide, so that a line too few or too many is seen. */
static int draw_edge(struct fb_info *info, const struct fb_var_screeninfo *var)
{
	const u32 x = var->xoffset, y = var->yoffset, white = pixel_of(var, 255, 255, 255);
	const struct fb_fillrect lines[] = {
		{x, y, var->xres, 1, white, ROP_XOR},
		{x, y + var->yres - 1, var->xres, 1, white, ROP_XOR},
		{x, y, 1, var->yres, white, ROP_XOR},
		{x + var->xres - 1, y, 1, var->yres, white, ROP_XOR},
	};
	int err = 0;

	for (const struct fb_fillrect &line : lines)
		err = err ? err : sys_fillrect(info, &line);
	return err;
}

int fb_draw_pattern(struct fb_info *info)
{
	struct fb_var_screeninfo var;
	int err = fb_ioctl(info, FBIOGET_VSCREENINFO, &var);

	if (!err && var.bits_per_pixel == 8)
		err = set_palette(info);
	if (err)
		return err;
	const u32 bars = max(var.yres * 5 / 8, 1u), ramp = var.yres / 8;
	const struct fb_copyarea again = {var.xoffset, var.yoffset + bars + ramp,
					  var.xres,    min(var.yres - bars - ramp, bars),
					  var.xoffset, var.yoffset};

	err = draw_bars(info, &var, bars);
	if (!err)
		err = draw_ramp(info, &var, bars, ramp);
	if (!err)
		err = sys_copyarea(info, &again);
	if (!err)
		err = draw_mode(info, &var, var.yres - min(var.yres, var.yres / 8));
	if (!err)
		err = draw_edge(info, &var);
	return err;
}
