/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * linux/fs.h - files and what maps them, as little of it as a device needs
 *
 * KSHIM: there are no paths, directories or inodes: a driver makes the file (alloc_file) and a
 * guest program maps it (vm_mmap). What an inode is for, holding an address_space together, the
 * driver's own object does. #include_next because the system has a header of this name
 * (BLKGETSIZE and such).
 */
#pragma once

#include_next <linux/fs.h>

#include <linux/list.h>
#include <linux/refcount.h>
#include <linux/rwsem.h>
#include <linux/types.h>

struct file;
struct vm_area_struct;

/*
 * What is mapped, and by whom. i_mmap_rwsem is taken for writing when a VMA comes or goes, for
 * reading by whoever walks the VMAs to find a page's mappings. Order: page lock -> i_mmap_rwsem.
 */
struct address_space {
	struct rw_semaphore i_mmap_rwsem;
	struct list_head i_mmap __guarded_by(i_mmap_rwsem); /* vm_area_struct.shared_node */
	void *private_data;
};

void address_space_init(struct address_space *mapping, void *private_data);

struct file_operations {
	/*
	 * Checks vma->vm_pgoff and length, sets vma->vm_ops (and vm_private_data, vm_file's
	 * mapping).
	 */
	int (*mmap)(struct file *file, struct vm_area_struct *vma);
	/* The last reference is gone. May sleep. */
	int (*release)(struct file *file);
	int (*fsync)(struct file *file);
};

struct file {
	refcount_t f_count;
	const struct file_operations *f_op;
	struct address_space *f_mapping; /* set by the driver before the first mmap, or null */
	void *private_data;
};

/* A file with one reference, or ERR_PTR(-ENOMEM). */
struct file *alloc_file(const struct file_operations *fops, void *private_data);

/* Takes back a file that nobody has seen: no release is called. */
void discard_file(struct file *file);

struct file *get_file(struct file *file);
void fput(struct file *file);

/* fsync(2): 0 or -errno; -EINVAL when the file has none. */
[[nodiscard]] int vfs_fsync(struct file *file);
