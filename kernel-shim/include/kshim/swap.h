/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * kshim/swap.h - pages in a file of the host
 *
 * S1. A write that failed, or wrote less, has failed as a whole: the slot's content is undefined.
 * S2. A read gives a whole page or an error.
 * KSHIM: threads builds only. Under the explorer a scenario brings its own (struct swap_ops).
 */
#ifndef KSHIM_SWAP_H
#define KSHIM_SWAP_H

#include <linux/types.h>

struct swap_file;

/* 0 or -errno: -ENOSPC, -EIO (also for a page that is not all there). */
struct swap_ops {
	int (*write)(struct swap_file *swap, unsigned long slot, const void *page);
	int (*read)(struct swap_file *swap, unsigned long slot, void *page);
};

/* Begins every swap file. */
struct swap_file {
	const struct swap_ops *ops;
	unsigned long nr_slots;
};

/**
 * swap_file_open - a file of the host for @nr_slots pages
 * @path: opened, and made when it is not there; null: a file without a name, where temporary files
 *	lie
 * ERR_PTR: what open() said.
 */
struct swap_file *swap_file_open(const char *path, unsigned long nr_slots);
/* Accepts null and ERR_PTR. */
void swap_file_close(struct swap_file *swap);
/* Bytes that the host has given to it. */
u64 swap_file_bytes(const struct swap_file *swap);

/**
 * swap_file_fail - let calls fail by chance
 * @per_mille: of the calls, with one of: no space, an I/O error, half a page. 0: off
 */
void swap_file_fail(struct swap_file *swap, unsigned int per_mille, u64 seed);

#endif
