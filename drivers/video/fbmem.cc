/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * fbmem.cc - the table of framebuffers, and what programs do to one
 *
 * The table of a machine has FB_MAX places. A lookup takes a reference under the table's lock, so
 * an fb_info which somebody found cannot be freed under him; whether its device still exists is
 * asked under info->lock (`node` >= 0).
 *
 * Locks: table->lock (mutex) -> nothing. info->lock (mutex): see linux/fb.h. Neither is held
 *     while a file is flushed: a flush waits for other processes.
 * KSHIM: one file object serves as device node, inode and open file; there is no character device
 * layer.
 */
#include <linux/fb.h>

#include "video/damage.h"
#include "video/fb_defio_private.h"

#include <kshim/machine.h>
#include <linux/err.h>
#include <linux/fs.h>
#include <linux/minmax.h>
#include <linux/mm.h>
#include <linux/printk.h>
#include <linux/slab.h>
#include <linux/string.h>

constexpr u32 FB_CMAP_LEN = 256;

struct fb_state {
	struct mutex lock;
	struct fb_info *registered[FB_MAX] __guarded_by(lock);
};

static int alloc_cmap(struct fb_cmap *cmap)
{
	/* One block: red, green, blue, transparency. */
	u16 *colours = (u16 *)kzalloc(4 * FB_CMAP_LEN * sizeof(u16), GFP_KERNEL);

	if (!colours)
		return -ENOMEM;
	*cmap = {0,
		 FB_CMAP_LEN,
		 colours,
		 colours + FB_CMAP_LEN,
		 colours + 2 * FB_CMAP_LEN,
		 colours + 3 * FB_CMAP_LEN};
	/* Until somebody sets a palette, index i is the grey i/255. */
	for (u32 i = 0; i < FB_CMAP_LEN; i++)
		cmap->red[i] = cmap->green[i] = cmap->blue[i] = (u16)(i * 0x101);
	return 0;
}

struct fb_info *framebuffer_alloc(size_t size, struct device *dev)
{
	struct fb_info *info = (struct fb_info *)kzalloc(sizeof(*info), GFP_KERNEL);

	if (!info)
		return nullptr;
	if (alloc_cmap(&info->cmap))
		goto free_info;
	info->damage = fb_damage_alloc();
	if (!info->damage)
		goto free_cmap;
	if (size) {
		info->par = kzalloc(size, GFP_KERNEL);
		if (!info->par)
			goto free_damage;
	}
	refcount_set(&info->count, 1);
	mutex_init(&info->lock);
	info->node = -1;
	info->device = dev;
	return info;

free_damage:
	fb_damage_free(info->damage);
free_cmap:
	kfree(info->cmap.red);
free_info:
	kfree(info);
	return nullptr;
}

void get_fb_info_ref(struct fb_info *info)
{
	refcount_inc(&info->count);
}

void put_fb_info(struct fb_info *info)
{
	if (!refcount_dec_and_test(&info->count))
		return;
	fb_defio_free(info);
	if (info->fbops && info->fbops->fb_destroy)
		info->fbops->fb_destroy(info);
	fb_damage_free(info->damage);
	kfree(info->cmap.red);
	kfree(info->par);
	kfree(info);
}

void framebuffer_release(struct fb_info *info)
{
	if (info)
		put_fb_info(info);
}

int register_framebuffer(struct fb_info *info)
{
	struct fb_state *table = current_machine()->fb;
	int node = 0, err;

	if (!info->screen_buffer || info->screen_size == 0)
		return -EINVAL;
	scoped_guard (mutex, &info->lock)
		err = fb_damage_set_geometry(info);
	if (err) {
		pr_err("fb: cannot register %ux%u at %u bits, lines of %u bytes, offset %u: it "
		       "does not fit "
		       "a frame of %lu bytes\n",
		       info->var.xres, info->var.yres, info->var.bits_per_pixel,
		       info->fix.line_length, info->pixel_offset, info->screen_size);
		return err;
	}

	guard(mutex)(&table->lock);
	while (node < FB_MAX && table->registered[node])
		node++;
	if (node == FB_MAX) {
		pr_err("fb: cannot register a framebuffer: there are %d already\n", FB_MAX);
		return -ENXIO;
	}
	get_fb_info_ref(info);
	table->registered[node] = info;
	guard(mutex)(&info->lock);
	info->node = node;
	return 0;
}

void unregister_framebuffer(struct fb_info *info)
{
	struct fb_state *table = current_machine()->fb;

	scoped_guard (mutex, &table->lock) {
		guard(mutex)(&info->lock);
		if (info->node < 0)
			return;
		table->registered[info->node] = nullptr;
		info->node = -1;
	}
	put_fb_info(info);
}

struct fb_info *get_fb_info(unsigned int idx)
{
	struct fb_state *table = current_machine()->fb;

	if (idx >= FB_MAX)
		return (struct fb_info *)ERR_PTR(-ENODEV);
	guard(mutex)(&table->lock);
	struct fb_info *info = table->registered[idx];

	if (!info)
		return (struct fb_info *)ERR_PTR(-ENODEV);
	get_fb_info_ref(info);
	return info;
}

static int fb_file_release(struct file *file)
{
	struct fb_info *info = (struct fb_info *)file->private_data;
	bool last;

	scoped_guard (mutex, &info->lock) {
		last = --info->open_count == 0;
		if (info->fbops->fb_release)
			info->fbops->fb_release(info, 1);
	}
	/* Only the last close, so that other programs' dirty pages stay as they are. */
	if (last)
		fb_defio_last_close(info);
	put_fb_info(info);
	return 0;
}

static int fb_file_mmap(struct file *file, struct vm_area_struct *vma)
{
	return fb_defio_mmap((struct fb_info *)file->private_data, file, vma);
}

static int fb_file_fsync(struct file *file)
{
	return fb_fsync((struct fb_info *)file->private_data);
}

static const struct file_operations fb_fops = {
	.mmap = fb_file_mmap,
	.release = fb_file_release,
	.fsync = fb_file_fsync,
};

struct file *fb_open(struct fb_info *info)
{
	struct file *file;
	int err = -ENODEV;

	file = alloc_file(&fb_fops, info);
	if (IS_ERR(file))
		return file;
	file->f_mapping = fb_defio_address_space(info);
	scoped_guard (mutex, &info->lock) {
		if (info->node < 0)
			goto discard;
		if (info->fbops->fb_open) {
			err = info->fbops->fb_open(info, 1);
			if (err)
				goto discard;
		}
		info->open_count++;
	}
	get_fb_info_ref(info);
	return file;

discard:
	discard_file(file);
	return (struct file *)ERR_PTR(err);
}

int fb_fsync(struct fb_info *info)
{
	return fb_defio_flush(info);
}

/* What every device can do: nothing that damage cannot describe, nothing beyond the frame. */
static int clamp_var(struct fb_info *info, struct fb_var_screeninfo *var)
{
	unsigned long room = info->screen_size - info->pixel_offset;
	u32 bytes;

	if (var->bits_per_pixel <= 8)
		var->bits_per_pixel = 8;
	else if (var->bits_per_pixel <= 16)
		var->bits_per_pixel = 16;
	else if (var->bits_per_pixel <= 32)
		var->bits_per_pixel = 32;
	else
		return -EINVAL;
	bytes = var->bits_per_pixel / 8;
	if (var->xres == 0 || var->yres == 0)
		return -EINVAL;
	var->xres = (u32)min((unsigned long)var->xres, room / bytes);
	if (var->xres == 0)
		return -EINVAL;
	var->yres = (u32)min((unsigned long)var->yres, room / ((unsigned long)var->xres * bytes));
	var->xres_virtual = var->xres;
	var->yres_virtual = var->yres;
	var->xoffset = var->yoffset = 0;
	return 0;
}

static int apply_var(struct fb_info *info, const struct fb_var_screeninfo *var)
	__must_hold(&info->lock)
{
	struct fb_var_screeninfo old_var = info->var;
	struct fb_fix_screeninfo old_fix = info->fix;
	u32 old_offset = info->pixel_offset;
	int err = 0;

	info->var = *var;
	if (info->fbops->fb_set_par)
		err = info->fbops->fb_set_par(info);
	else
		info->fix.line_length = var->xres * (var->bits_per_pixel / 8);
	if (!err)
		err = fb_damage_set_geometry(info);
	if (err) {
		info->var = old_var;
		info->fix = old_fix;
		info->pixel_offset = old_offset;
	}
	return err;
}

int fb_set_var(struct fb_info *info, struct fb_var_screeninfo *var)
{
	int err;

	scoped_guard (mutex, &info->lock) {
		if (info->node < 0)
			return -ENODEV;
		err = clamp_var(info, var);
		if (!err && info->fbops->fb_check_var)
			err = info->fbops->fb_check_var(var, info);
		if (err || (var->activate & FB_ACTIVATE_MASK) != FB_ACTIVATE_NOW)
			return err;
		err = apply_var(info, var);
	}
	if (!err)
		fb_defio_kick(info);
	return err;
}

int fb_set_cmap(struct fb_cmap *cmap, struct fb_info *info)
{
	if (cmap->start >= FB_CMAP_LEN || cmap->len > FB_CMAP_LEN - cmap->start)
		return -EINVAL;
	scoped_guard (mutex, &info->lock) {
		if (info->node < 0)
			return -ENODEV;
		for (u32 i = 0; i < cmap->len; i++) {
			u32 to = cmap->start + i;
			u16 transp = cmap->transp ? cmap->transp[i] : 0;

			info->cmap.red[to] = cmap->red[i];
			info->cmap.green[to] = cmap->green[i];
			info->cmap.blue[to] = cmap->blue[i];
			info->cmap.transp[to] = transp;
			if (!info->fbops->fb_setcolreg)
				continue;
			int err = info->fbops->fb_setcolreg(to, cmap->red[i], cmap->green[i],
							    cmap->blue[i], transp, info);
			if (err)
				return err;
		}
	}
	/* The same bytes look different now. */
	fb_damage_add_all(info);
	fb_defio_kick(info);
	return 0;
}

int fb_blank(struct fb_info *info, int blank)
{
	guard(mutex)(&info->lock);
	if (info->node < 0)
		return -ENODEV;
	if (blank < FB_BLANK_UNBLANK || blank > FB_BLANK_POWERDOWN)
		return -EINVAL;
	if (info->fbops->fb_blank) {
		int err = info->fbops->fb_blank(blank, info);

		if (err)
			return err;
	}
	info->blank = blank;
	return 0;
}

int fb_pan_display(struct fb_info *info, struct fb_var_screeninfo *var)
{
	guard(mutex)(&info->lock);
	if (info->node < 0)
		return -ENODEV;
	if (info->fbops->fb_pan_display)
		return info->fbops->fb_pan_display(var, info);
	/* A frame as large as the screen has one position. */
	return var->xoffset == 0 && var->yoffset == 0 ? 0 : -EINVAL;
}

static int fb_init(struct pv_machine *machine)
{
	struct fb_state *table = (struct fb_state *)kzalloc(sizeof(*table), GFP_KERNEL);

	if (!table)
		return -ENOMEM;
	mutex_init(&table->lock);
	machine->fb = table;
	return 0;
}

static void fb_exit(struct pv_machine *machine)
{
	for (int node = 0; node < FB_MAX; node++) {
		struct fb_info *info;

		scoped_guard (mutex, &machine->fb->lock)
			info = machine->fb->registered[node];
		WARN_ON(info); /* its driver forgot it */
	}
	kfree(machine->fb);
	machine->fb = nullptr;
}

const struct machine_initcall fb_initcall = {"fb", fb_init, fb_exit};
