/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * linux/fb.h - framebuffer devices
 *
 * A framebuffer is a linear frame in kernel memory (screen_buffer, from vzalloc) and a
 * description of the pixels in it (var, fix, pixel_offset). Two kinds of programs reach it:
 * threads of this process through guest mappings (vm_mmap of the device file), and other
 * processes through a FUSE file. Both are brought into the frame by deferred I/O
 * (video/fb_defio.h); what changed is kept as rectangles by video/damage.h until the driver takes
 * them.
 *
 *      offset 0                                             screen_size (whole pages)
 *      | pixel_offset bytes | line 0 ... | line 1 ... | ... | unused |
 *                           |<- xres_virtual * bpp/8 ->|pad|
 *                           |<--- fix.line_length -------->|
 *
 * What is shown is the part of xres x yres pixels that begins at (xoffset, yoffset) of these
 * lines: the virtual screen may be larger, and a program draws where nobody looks yet.
 *
 * I1: screen_buffer, screen_size and fbdefio do not change between register and release.
 * I2: info->count holds the memory; the frame and the fb_info live until the last put, however
 *     early the device went away. After unregister_framebuffer() the device is gone: open gives
 *     -ENODEV, accesses through old mappings get SIGBUS, but nothing is freed under anyone.
 * Locks: info->lock (mutex) serialises set_var, blank, cmap, open and close. It is outermost in
 *     this room: info->lock -> fb_defio lock -> page lock -> i_mmap lock -> damage locks. Readers
 *     of the geometry take a snapshot with fb_damage_geometry() and no lock of ours.
 *
 * KSHIM: pixel_offset does not exist in Linux, where a frame starts at smem_start. Here the frame
 * may be a file with a header (an X server's XWD dump), and the fbif RESIZE event carries an
 * offset anyway.
 */
#pragma once

#include_next <linux/fb.h>

#include <linux/list.h>
#include <linux/mutex.h>
#include <linux/refcount.h>
#include <linux/types.h>

struct address_space;
struct device;
struct fb_damage;
struct fb_defio;
struct fb_info;
struct file;
struct machine_initcall;
struct vm_area_struct;

#define FB_MAX 32
/* Colours of a palette. */
#define FB_CMAP_LEN 256u

/* What a driver asks of deferred I/O. */
struct fb_deferred_io {
	/* The refresh period in jiffies, i.e. microseconds. 0 counts as one jiffy. */
	unsigned long delay;
	/*
	 * Called after the harvests of one period, in the worker or in whoever flushes, one call
	 * at a time, may sleep. The driver takes the damage and sends it.
	 */
	void (*deferred_io)(struct fb_info *info);
};

/* Every member may be null. All are called with info->lock held unless said. */
struct fb_ops {
	int (*fb_open)(struct fb_info *info, int user);
	int (*fb_release)(struct fb_info *info, int user);
	/* Clamps *var to what the device can do, or -EINVAL. Changes nothing. */
	int (*fb_check_var)(struct fb_var_screeninfo *var, struct fb_info *info);
	/*
	 * Applies info->var. fix.line_length is fb_line_length() of it; pixel_offset may change.
	 */
	int (*fb_set_par)(struct fb_info *info);
	int (*fb_setcolreg)(unsigned int regno, unsigned int red, unsigned int green,
			    unsigned int blue, unsigned int transp, struct fb_info *info);
	int (*fb_blank)(int blank, struct fb_info *info);
	int (*fb_pan_display)(struct fb_var_screeninfo *var, struct fb_info *info);
	/* The last reference is gone: free what the driver owns (frame, par). No lock held. */
	void (*fb_destroy)(struct fb_info *info);
};

struct fb_info {
	refcount_t count;
	int node; /* number while registered, else -1 */
	struct mutex lock;

	/* Protected by lock; copied into the damage's snapshot by fb_damage_set_geometry(). */
	struct fb_var_screeninfo var;
	struct fb_fix_screeninfo fix;
	u32 pixel_offset;    /* bytes before the first pixel; any value, need not be aligned */
	struct fb_cmap cmap; /* 256 entries of each colour, owned by fbmem */
	int blank;
	unsigned int open_count;

	/* Set by the driver before register_framebuffer(), constant after. */
	const struct fb_ops *fbops;
	char *screen_buffer;       /* from vzalloc(); the frame */
	unsigned long screen_size; /* bytes, whole pages */
	struct fb_deferred_io *fbdefio;
	struct device *device;
	void *par; /* the driver's; the extra bytes of framebuffer_alloc() */

	/* Owned by this room. */
	struct fb_damage *damage;
	struct fb_defio *defio;
};

/**
 * framebuffer_alloc - an fb_info with @size driver bytes behind info->par, one reference
 * Return: null when out of memory. Ends with framebuffer_release() or put_fb_info(). May sleep.
 */
struct fb_info *framebuffer_alloc(size_t size, struct device *dev);

/* The creator's put_fb_info(). Accepts null. */
void framebuffer_release(struct fb_info *info);

/**
 * register_framebuffer - make @info reachable by number in the current machine
 *
 * var, fix, fbops, screen_buffer and screen_size must be set. Call fb_deferred_io_init() before.
 * Takes a reference for the table. Return: 0, -ENXIO (FB_MAX framebuffers exist), -EINVAL (no
 * frame, or a geometry which does not fit into it), -ENOMEM.
 */
[[nodiscard]] int register_framebuffer(struct fb_info *info);

/**
 * unregister_framebuffer - the device goes away
 *
 * No open and no lookup succeeds afterwards. Call fb_deferred_io_cleanup() after it; the memory
 * stays until the last file and mapping let go.
 */
void unregister_framebuffer(struct fb_info *info);

/* The registered framebuffer @idx of the current machine with a reference, or ERR_PTR(-ENODEV). */
struct fb_info *get_fb_info(unsigned int idx);
void put_fb_info(struct fb_info *info);
void get_fb_info_ref(struct fb_info *info);

/**
 * fb_open - open the device as a program would
 *
 * The file holds a reference to @info. fput() closes it; the last close of all files of the device
 * flushes deferred I/O (never cancels it). vm_mmap() of the file maps the frame.
 * Return: ERR_PTR(-ENODEV) when the device is gone, -ENOMEM, or the driver's error.
 */
struct file *fb_open(struct fb_info *info);

/* Every store made before the call is in the frame and handed to the driver when this returns. */
[[nodiscard]] int fb_fsync(struct fb_info *info);

/**
 * fb_set_var - FBIOPUT_VSCREENINFO
 *
 * Clamps *@var (and writes the clamped values back), applies them when var->activate says NOW, and
 * then damages the whole new screen. A mode that is there already is not set again. What the
 * virtual screen cannot have it does not get: first its lines are cut, then its width. Takes
 * info->lock. Return: 0, -EINVAL (nothing of the request
 * can be shown), -ENODEV, or the driver's error; on error the old mode stays.
 */
[[nodiscard]] int fb_set_var(struct fb_info *info, struct fb_var_screeninfo *var);

/*
 * The line_length that a mode will have: lines keep their padding as long as they keep their
 * pixels, and otherwise have none. For fb_check_var; info->lock held.
 */
u32 fb_line_length(const struct fb_info *info, const struct fb_var_screeninfo *var);

/* Sets colours cmap->start ... of the palette; -EINVAL beyond 256. Whole screen damaged. */
[[nodiscard]] int fb_set_cmap(struct fb_cmap *cmap, struct fb_info *info);
/* The same, the other way: fills cmap's arrays. transp may be null. */
[[nodiscard]] int fb_get_cmap(struct fb_cmap *cmap, struct fb_info *info);
[[nodiscard]] int fb_blank(struct fb_info *info, int blank);

/**
 * fb_pan_display - FBIOPAN_DISPLAY: show the part that begins at var->xoffset, var->yoffset
 *
 * Nothing else of *@var counts. Return: 0, -EINVAL (not all of that part is in the virtual screen,
 * or the device cannot show another part), -ENODEV.
 */
[[nodiscard]] int fb_pan_display(struct fb_info *info, struct fb_var_screeninfo *var);

/**
 * fb_vblank - FBIOGET_VBLANK: how many refreshes there have been
 * @next: out, may be null: jiffies until the next one, at least 1
 *
 * KSHIM: there is no ray. The refresh clock runs with deferred I/O's period whether or not there
 * is anything to refresh, so that waiting for it always ends, and ends after one period.
 */
void fb_get_vblank(struct fb_info *info, struct fb_vblank *vblank, unsigned long *next);

/**
 * fb_ioctl - the requests of linux/fb.h
 * @cmd: FBIO...
 * @arg: kernel memory of the size that linux/fb.h says; of FBIOGETCMAP and FBIOPUTCMAP, a struct
 *     fb_cmap with arrays in kernel memory; of FBIOBLANK, an int
 *
 * FBIO_WAITFORVSYNC is for the caller, who knows how to wait: fb_get_vblank(). FBIOBLANK takes
 * more than POWERDOWN for POWERDOWN, as Linux does: programs send anything, and give up when they
 * hear -EINVAL. Return: 0, -ENOTTY (no such request), -EINVAL, -ENODEV, or the driver's error.
 * Context: may sleep, takes info->lock.
 */
[[nodiscard]] int fb_ioctl(struct fb_info *info, unsigned int cmd, void *arg);

/*
 * Deferred I/O of a driver (drivers/video/fb_defio.cc; the side of mappings is video/fb_defio.h).
 * Init before register_framebuffer() with info->fbdefio set. Cleanup after
 * unregister_framebuffer(): runs one last flush, then zaps every mapping and cuts the driver off:
 * when it returns deferred_io is not running and is never called again. May sleep.
 */
[[nodiscard]] int fb_deferred_io_init(struct fb_info *info);
void fb_deferred_io_cleanup(struct fb_info *info);

extern const struct machine_initcall fb_initcall;
