/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * file.cc - open files and address spaces (see linux/fs.h)
 */
#include <linux/err.h>
#include <linux/fs.h>
#include <linux/slab.h>

struct file *alloc_file(const struct file_operations *fops, void *private_data)
{
	struct file *file = (struct file *)kzalloc(sizeof(*file), GFP_KERNEL);

	if (!file)
		return ERR_PTR(-ENOMEM);
	refcount_set(&file->f_count, 1);
	file->f_op = fops;
	file->private_data = private_data;
	return file;
}

void discard_file(struct file *file)
{
	kfree(file);
}

struct file *get_file(struct file *file)
{
	refcount_inc(&file->f_count);
	return file;
}

void fput(struct file *file)
{
	if (!file || !refcount_dec_and_test(&file->f_count))
		return;
	if (file->f_op->release)
		file->f_op->release(file);
	kfree(file);
}

int vfs_fsync(struct file *file)
{
	if (!file->f_op->fsync)
		return -EINVAL;
	return file->f_op->fsync(file);
}

void address_space_init(struct address_space *mapping, void *private_data)
{
	init_rwsem(&mapping->i_mmap_rwsem);
	mapping->private_data = private_data;
	guard(rwsem_write)(&mapping->i_mmap_rwsem);
	INIT_LIST_HEAD(&mapping->i_mmap);
}
