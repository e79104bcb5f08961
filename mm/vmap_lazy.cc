// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * vmap_lazy.cc - from live to lazy, and when lazy ones are purged
 *
 *      eager          at once
 *      batch:N        all, when there are N
 *      lazy           all, past a limit (pages, host mappings, age)
 *      lazy+revive    past a limit the longest unused half; until then the same pages get them back
 *      any            all: a map call runs out of addresses or mappings, the allocator out of pages
 *
 * The limits count what is listed, lazy or revived: that changes only when an area is listed for
 * the first time since a purge, so giving back and getting again touches nothing that is shared.
 */
#include "vmap_internal.h"

#include <kshim/mutant.h>
#include <linux/jiffies.h>
#include <linux/kernel.h>

static bool over_limits(const struct vmap_state *vmap, s64 factor)
{
	const struct vmap_params *params = &vmap->params;

	if (params->policy == VMAP_BATCH)
		return vmap_counted(&vmap->listed_areas) >= factor * (s64)params->batch;
	return vmap_counted(&vmap->listed_pages) > factor * (s64)params->lazy_pages ||
	       vmap_counted(&vmap->listed_mappings) > factor * (s64)params->lazy_mappings;
}

static void purge_past_limit(struct vmap_state *vmap)
{
	/* Somebody is at it: only those who run far ahead of him wait. */
	if (mutex_is_locked(&vmap->purge_lock) && !over_limits(vmap, 2))
		return;
	if (vmap->params.policy == VMAP_REVIVE)
		vmap_purge_some(vmap, (unsigned long)vmap_counted(&vmap->listed_pages) / 2);
	else
		vmap_purge_all(vmap);
}

static void arm_age_work(struct vmap_state *vmap)
{
	if (!vmap->params.lazy_age_ms || READ_ONCE(vmap->age_armed) || xchg(&vmap->age_armed, 1u))
		return;
	schedule_delayed_work(&vmap->age_work,
			      msecs_to_jiffies((unsigned int)vmap->params.lazy_age_ms));
}

static void age_work_fn(struct work_struct *work)
{
	struct vmap_state *vmap = container_of(to_delayed_work(work), struct vmap_state, age_work);

	/* First: what is listed from now on arms it again. */
	WRITE_ONCE(vmap->age_armed, 0u);
	smp_mb();
	vmap_purge_old(vmap, jiffies - msecs_to_jiffies((unsigned int)vmap->params.lazy_age_ms));
	if (vmap_counted(&vmap->listed_areas))
		arm_age_work(vmap);
}

static void count_lazy(struct vmap_state *vmap, u32 nr)
{
	struct vmap_node *node = vmap_this_node(vmap);

	vmap_count(&node->lazy_areas, 1);
	vmap_count(&node->lazy_pages, nr);
}

static void list_area(struct vmap_state *vmap, struct vmap_node *node, struct vmap_area *area)
	__must_hold(&node->lazy_lock)
{
	list_add_tail(&area->lazy, &node->lazy);
	vmap_count(&vmap->listed_areas, 1);
	vmap_count(&vmap->listed_pages, area->nr);
	vmap_count(&vmap->listed_mappings, area->mappings);
}

/*
 * Listing and the last user's leaving are one step to whoever holds the lock (V3). Were they two,
 * an area could be revived and left again in between by somebody who sees VMAP_LISTED, and a
 * vm_unmap_aliases() after that would not find it.
 * Return: true when the area was not listed before.
 */
static bool leave_listed(struct vmap_state *vmap, struct vmap_area *area)
{
	struct vmap_node *node = area->node;

	/* Mutant: two steps. */
	if (KSHIM_MUTANT(vmap_listed_late)) {
		smp_store_release(&area->use, VMAP_LISTED);
		count_lazy(vmap, area->nr);
		guard(spinlock)(&node->lazy_lock);
		list_area(vmap, node, area);
		return true;
	}
	guard(spinlock)(&node->lazy_lock);
	u32 use = READ_ONCE(area->use);
	bool last;

	do {
		last = (use & VMAP_USERS) == 1;
	} while (!try_cmpxchg(&area->use, &use, (use - 1) | (last ? VMAP_LISTED : 0)));
	if (last)
		count_lazy(vmap, area->nr);
	if (!last || use & VMAP_LISTED)
		return false;
	list_area(vmap, node, area);
	return true;
}

/* With the last user gone the area is the purge's: not to be touched any more. */
static void leave(struct vmap_state *vmap, struct vmap_area *area, const void *caller)
{
	u32 use = READ_ONCE(area->use);
	u32 nr = area->nr;

	WRITE_ONCE(area->unmapped_by, caller);
	WRITE_ONCE(area->unmapped_at, jiffies);
	/* Others stay, or a list has it already: no lock, and nothing is shared but the area. */
	while ((use & VMAP_USERS) > 1 || use & VMAP_LISTED) {
		if (!try_cmpxchg(&area->use, &use, use - 1))
			continue;
		if ((use & VMAP_USERS) == 1)
			count_lazy(vmap, nr);
		return;
	}
	if (!leave_listed(vmap, area))
		return;
	arm_age_work(vmap);
	if (over_limits(vmap, 1))
		purge_past_limit(vmap);
}

void vmap_area_put(struct vmap_area *area, const void *caller)
{
	struct vmap_state *vmap = current_vmap();

	if (unlikely(vmap->debug)) {
		guard(mutex)(&vmap->debug_lock);
		if ((READ_ONCE(area->use) & VMAP_USERS) == 1)
			vmap_debug_refuse(vmap, area, true);
		WRITE_ONCE(area->unmapped_by, caller);
		WRITE_ONCE(area->unmapped_at, jiffies);
		if (vmap->params.policy != VMAP_EAGER)
			leave(vmap, area, caller);
		else
			vmap_purge_one(vmap, area);
	} else if (vmap->params.policy == VMAP_EAGER) {
		vmap_purge_one(vmap, area);
	} else {
		leave(vmap, area, caller);
	}
}

bool vmap_make_room(struct vmap_state *vmap, unsigned int *attempt)
{
	switch ((*attempt)++) {
	case 0:
		vmap_purge_all(vmap);
		return true;
	case 1:
		if (!(blocking_notifier_call_chain(&vmap->notifiers, 0, nullptr) & NOTIFY_OK))
			return false;
		/* What they unmapped is lazy. */
		vmap_purge_all(vmap);
		return true;
	default:
		return false;
	}
}

static s64 lazy_pages(const struct vmap_state *vmap)
{
	s64 pages = 0;

	for (unsigned int i = 0; i < vmap->nr_nodes; i++)
		pages += vmap_counted(&vmap->nodes[i].lazy_pages);
	return max(pages, (s64)0);
}

static unsigned long count_objects(struct shrinker *shrinker, struct shrink_control *sc)
{
	return (unsigned long)lazy_pages(container_of(shrinker, struct vmap_state, shrinker));
}

/* All: the allocator is empty, and a flush costs the same for many. */
static unsigned long scan_objects(struct shrinker *shrinker, struct shrink_control *sc)
{
	return vmap_purge_all(container_of(shrinker, struct vmap_state, shrinker));
}

void vmap_lazy_init(struct vmap_state *vmap)
{
	BLOCKING_INIT_NOTIFIER_HEAD(&vmap->notifiers);
	INIT_DELAYED_WORK(&vmap->age_work, age_work_fn);
	vmap->shrinker.count_objects = count_objects;
	vmap->shrinker.scan_objects = scan_objects;
	register_shrinker(&vmap->shrinker);
}

void vmap_lazy_exit(struct vmap_state *vmap)
{
	unregister_shrinker(&vmap->shrinker);
	cancel_delayed_work_sync(&vmap->age_work);
}
