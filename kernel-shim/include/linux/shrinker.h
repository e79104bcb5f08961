/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * linux/shrinker.h - those who keep pages only because it is quicker, and can give them back
 *
 * When the page allocator has no block for a caller that may wait (__GFP_RECLAIM), it asks them,
 * and tries once more.
 * KSHIM: objects are pages, and there is no memory pressure but that one.
 */
#ifndef KSHIM_LINUX_SHRINKER_H
#define KSHIM_LINUX_SHRINKER_H

#include <linux/types.h>

struct shrink_control {
	gfp_t gfp_mask;
	unsigned long nr_to_scan; /* pages wanted */
};

struct shrinker {
	/* How many pages could be given back. */
	unsigned long (*count_objects)(struct shrinker *shrinker, struct shrink_control *sc);
	/* Gives some back. Return: how many. May sleep, must not allocate pages. */
	unsigned long (*scan_objects)(struct shrinker *shrinker, struct shrink_control *sc);
	struct list_head list; /* private to mm/shrinker.cc */
};

void register_shrinker(struct shrinker *shrinker);
/* On return its functions do not run any more. */
void unregister_shrinker(struct shrinker *shrinker);

/* Return: the pages that all shrinkers together gave back. May sleep. */
unsigned long shrink_slab(gfp_t gfp, unsigned long nr_pages);

#endif
