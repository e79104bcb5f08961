/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * fbmem.cc - the table of framebuffers, opening and closing one (modes and ioctls: fb_mode.cc)
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
#include "video/fbmem_private.h"

#include <kshim/machine.h>
#include <linux/err.h>
#include <linux/fs.h>
#include <linux/minmax.h>
#include <linux/mm.h>
#include <linux/printk.h>
#include <linux/slab.h>
#include <linux/string.h>

struct fb_state {
	struct mutex lock;
	struct fb_info *registered[FB_MAX] __guarded_by(lock);
};

struct fb_info *framebuffer_alloc(size_t size, struct device *dev)
{
	struct fb_info *info = (struct fb_info *)kzalloc(sizeof(*info), GFP_KERNEL);

	if (!info)
		return nullptr;
	if (fb_cmap_init(&info->cmap))
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
	scoped_guard (mutex, &info->lock) {
		/* A driver that says nothing has no more than what is shown. */
		info->var.xres_virtual = max(info->var.xres_virtual, info->var.xres);
		info->var.yres_virtual = max(info->var.yres_virtual, info->var.yres);
		err = fb_damage_set_geometry(info);
	}
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
