// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * shrinker.cc - who is asked for pages when there are none (<linux/shrinker.h>)
 *
 * Lock: shrinkers->lock (rwsem); functions run with it held for reading.
 */
#include "mm_internal.h"

#include <linux/shrinker.h>

static struct shrinker_state *current_shrinkers(void)
{
	return &current_machine()->mm->shrinkers;
}

void shrinker_state_init(struct shrinker_state *shrinkers)
{
	init_rwsem(&shrinkers->lock);
	guard(rwsem_write)(&shrinkers->lock);
	INIT_LIST_HEAD(&shrinkers->list);
}

void register_shrinker(struct shrinker *shrinker)
{
	struct shrinker_state *shrinkers = current_shrinkers();

	guard(rwsem_write)(&shrinkers->lock);
	list_add_tail(&shrinker->list, &shrinkers->list);
}

void unregister_shrinker(struct shrinker *shrinker)
{
	guard(rwsem_write)(&current_shrinkers()->lock);
	list_del(&shrinker->list);
}

unsigned long shrink_slab(gfp_t gfp, unsigned long nr_pages)
{
	struct shrinker_state *shrinkers = current_shrinkers();
	unsigned long freed = 0;
	struct shrinker *shrinker;

	guard(rwsem_read)(&shrinkers->lock);
	list_for_each_entry (shrinker, &shrinkers->list, list) {
		struct shrink_control sc = {.gfp_mask = gfp, .nr_to_scan = nr_pages};

		if (shrinker->count_objects(shrinker, &sc))
			freed += shrinker->scan_objects(shrinker, &sc);
	}
	return freed;
}
