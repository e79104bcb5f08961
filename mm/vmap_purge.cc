// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * vmap_purge.cc - claims, flushes, frees
 *
 *      lazy lists of the nodes ---claim---> claimed, sorted by address
 *
 *      |area|g|area|area|g|        |area|g|  |area|area|area|
 *      `------- a run ----'        `-run-'   `---- run -----'      one flush for each
 *
 *      of each run: flush | unlink its areas, drop their references | the addresses are free again
 *
 * In this order a page is not free before no address reaches it (I1), and an address is not handed
 * out before it reaches nothing (I3). A run never spans what it does not take away.
 *
 * A claim is a compare-and-swap of `use`, which a revival may win. Locks: vmap_internal.h.
 */
#include "vmap_internal.h"

#include <kshim/mutant.h>
#include <linux/kernel.h>
#include <linux/list_sort.h>
#include <linux/slab.h>

/* What a purge takes. */
struct vmap_wanted {
	unsigned long pages; /* so many, of each node */
	bool second_chance;  /* what was revived since the last time stays */
	bool old_only;       /* what was unmapped at `when` or before */
	unsigned long when;
};

/* Makes a lazy area dead; false: it is live, or dead already. */
static bool claim(struct vmap_state *vmap, struct vmap_area *area)
{
	u32 use = READ_ONCE(area->use);
	struct vmap_node *node = vmap_this_node(vmap);

	do {
		if (!vmap_is_lazy(use))
			return false;
	} while (!try_cmpxchg(&area->use, &use, use | VMAP_DEAD));
	vmap_count(&node->lazy_areas, -1);
	vmap_count(&node->lazy_pages, -(s64)area->nr);
	return true;
}

static void uncount_listed(struct vmap_state *vmap, const struct vmap_area *area)
{
	vmap_count(&vmap->listed_areas, -1);
	vmap_count(&vmap->listed_pages, -(s64)area->nr);
	vmap_count(&vmap->listed_mappings, -area->mappings);
}

/* A listed area that is live leaves the list: its last user lists it again. False: it is lazy. */
static bool unlist_live(struct vmap_state *vmap, struct vmap_node *node, struct vmap_area *area)
	__must_hold(&node->lazy_lock)
{
	u32 use = READ_ONCE(area->use);

	do {
		if (!(use & VMAP_USERS))
			return false;
	} while (!try_cmpxchg(&area->use, &use, use & ~(VMAP_LISTED | VMAP_TOUCHED)));
	list_del(&area->lazy);
	uncount_listed(vmap, area);
	return true;
}

/* Its second chance: gone with this. */
static bool was_touched(struct vmap_area *area)
{
	u32 use = READ_ONCE(area->use);

	while (use & VMAP_TOUCHED) {
		if (try_cmpxchg(&area->use, &use, use & ~VMAP_TOUCHED))
			return true;
	}
	return false;
}

static unsigned long collect_from(struct vmap_state *vmap, struct vmap_node *node,
				  const struct vmap_wanted *wanted, struct list_head *claimed)
	__must_hold(&vmap->purge_lock)
{
	struct vmap_area *area, *next;
	unsigned long pages = 0;

	guard(spinlock)(&node->lazy_lock);
	list_for_each_entry_safe (area, next, &node->lazy, lazy) {
		if (pages >= wanted->pages)
			break;
		/* Mutant: those of blocks with room are looked at, and no others. */
		if (KSHIM_MUTANT(vmap_full_blocks_missed) &&
		    vmap_block_is_full(&node->space, area->first))
			continue;
		if (unlist_live(vmap, node, area))
			continue;
		if (wanted->old_only && time_after(READ_ONCE(area->unmapped_at), wanted->when))
			continue;
		if (wanted->second_chance && was_touched(area)) {
			list_move_tail(&area->lazy, &node->lazy);
			continue;
		}
		if (!claim(vmap, area))
			continue; /* revived since: it stays listed */
		list_move_tail(&area->lazy, claimed);
		uncount_listed(vmap, area);
		pages += area->nr;
	}
	return pages;
}

static void free_retired_rcu(struct rcu_head *head)
{
	struct vmap_area *area = container_of(head, struct vmap_area, rcu);

	while (area) {
		struct vmap_area *next = area->next_retired;

		kfree(area);
		area = next;
	}
}

static void free_retired_locked(struct vmap_state *vmap) __must_hold(&vmap->purge_lock)
{
	if (vmap->retired)
		call_rcu(&vmap->retired->rcu, free_retired_rcu);
	vmap->retired = nullptr;
	vmap->nr_retired = 0;
}

/* Areas wait together: a grace period for each would be dearer than what it is for. */
static void retire(struct vmap_state *vmap, struct vmap_area *area) __must_hold(&vmap->purge_lock)
{
	area->next_retired = vmap->retired;
	vmap->retired = area;
	if (++vmap->nr_retired >= VMAP_RETIRE_BATCH)
		free_retired_locked(vmap);
}

/* Nothing reaches its pages any more. */
static void free_area(struct vmap_state *vmap, struct vmap_area *area)
	__must_hold(&vmap->purge_lock)
{
	if (unlikely(vmap->debug))
		vmap_debug_purged(vmap, area);
	vmap_put_writable(area, area->nr);
	vmap_area_unlink(vmap, area);
	for (u32 i = 0; i < area->nr && !KSHIM_MUTANT(vmap_no_references); i++)
		put_page(area->pages[i]);
	vmap_count(&vmap->areas, -1);
	vmap_count(&vmap->pages, -(s64)area->nr);
	vmap_count(&vmap->mappings, -area->mappings);
	vmap_count(&vmap->purged_areas, 1);
	retire(vmap, area);
}

static int by_address(void *, const struct list_head *a, const struct list_head *b)
{
	return list_entry(a, struct vmap_area, lazy)->first >
	       list_entry(b, struct vmap_area, lazy)->first;
}

/* Takes the run at the head of @claimed away. */
static void flush_run(struct vmap_state *vmap, struct list_head *claimed)
	__must_hold(&vmap->purge_lock)
{
	struct vmap_area *area = list_first_entry(claimed, struct vmap_area, lazy), *next;
	const unsigned long first = area->first;
	unsigned long end = first;
	long mappings = 0;

	list_for_each_entry (area, claimed, lazy) {
		if (area->first != end)
			break;
		end += area->span;
		mappings += area->mappings;
		/* Mutant: anybody's before they reach nothing. */
		if (KSHIM_MUTANT(vmap_addresses_free_early))
			vmap_space_free(&area->node->space, area->first, area->span);
	}
	kernel_window_unmap(&vmap->window, first, end - first, mappings);
	vmap_count(&vmap->flushes, 1);
	list_for_each_entry_safe (area, next, claimed, lazy) {
		struct vmap_space *space = &area->node->space;
		const unsigned long at = area->first, span = area->span;

		if (at >= end)
			break;
		list_del(&area->lazy);
		free_area(vmap, area);
		if (!KSHIM_MUTANT(vmap_addresses_free_early))
			vmap_space_free(space, at, span);
	}
}

/* Mutant: what was flushed is remembered, although its addresses may be another's by now. */
static void flush_retired(struct vmap_state *vmap) __must_hold(&vmap->purge_lock)
{
	for (const struct vmap_area *area = vmap->retired; area; area = area->next_retired)
		kernel_window_unmap(&vmap->window, area->first, area->span, 0);
}

static void flush(struct vmap_state *vmap, struct list_head *claimed) __must_hold(&vmap->purge_lock)
{
	if (KSHIM_MUTANT(vmap_flushed_again))
		flush_retired(vmap);
	if (list_empty(claimed))
		return;
	vmap_count(&vmap->purges, 1);
	list_sort(nullptr, claimed, by_address);
	while (!list_empty(claimed))
		flush_run(vmap, claimed);
}

static unsigned long purge(struct vmap_state *vmap, const struct vmap_wanted *wanted)
{
	struct list_head claimed = LIST_HEAD_INIT(claimed);
	unsigned long pages = 0;

	guard(mutex)(&vmap->purge_lock);
	for (unsigned int i = 0; i < vmap->nr_nodes; i++)
		pages += collect_from(vmap, &vmap->nodes[i], wanted, &claimed);
	flush(vmap, &claimed);
	return pages;
}

unsigned long vmap_purge_all(struct vmap_state *vmap)
{
	const struct vmap_wanted all = {
		.pages = ~0ul, .second_chance = false, .old_only = false, .when = 0};

	return purge(vmap, &all);
}

unsigned long vmap_purge_some(struct vmap_state *vmap, unsigned long nr_pages)
{
	const struct vmap_wanted some = {.pages = DIV_ROUND_UP(nr_pages, vmap->nr_nodes),
					 .second_chance = true,
					 .old_only = false,
					 .when = 0};

	return purge(vmap, &some);
}

void vmap_purge_old(struct vmap_state *vmap, unsigned long when)
{
	const struct vmap_wanted old = {
		.pages = ~0ul, .second_chance = false, .old_only = true, .when = when};

	purge(vmap, &old);
}

void vmap_purge_one(struct vmap_state *vmap, struct vmap_area *area)
{
	struct list_head claimed = LIST_HEAD_INIT(claimed);
	u32 use = READ_ONCE(area->use);
	bool last;

	guard(mutex)(&vmap->purge_lock);
	do {
		last = (use & VMAP_USERS) == 1;
	} while (!try_cmpxchg(&area->use, &use, (use - 1) | (last ? VMAP_DEAD : 0)));
	if (!last)
		return;
	list_add(&area->lazy, &claimed);
	flush(vmap, &claimed);
}

void vmap_free_retired(struct vmap_state *vmap)
{
	guard(mutex)(&vmap->purge_lock);
	free_retired_locked(vmap);
}

void vm_unmap_aliases(void)
{
	vmap_purge_all(current_vmap());
}

bool page_has_lazy_alias(const struct page *page)
{
	struct vmap_alias *alias;

	if (likely(hlist_empty(&page->vmap_aliases)))
		return false;
	guard(rcu)();
	hlist_for_each_entry_rcu(alias, &page->vmap_aliases, node)
	{
		/* A dead one reaches the page until its flush is done, and then it is not here. */
		if (!(READ_ONCE(alias->area->use) & VMAP_USERS))
			return true;
	}
	return false;
}

/* Claims what is lazy. False: a live area reaches the page. */
static bool claim_aliases(struct vmap_state *vmap, struct page *page, struct list_head *claimed)
	__must_hold(&vmap->purge_lock)
{
	struct vmap_alias *alias;
	bool all = true;

	guard(rcu)();
	hlist_for_each_entry_rcu(alias, &page->vmap_aliases, node)
	{
		struct vmap_area *area = alias->area;
		u32 use;

		/* Of a live one that becomes lazy meanwhile it must not be said that it is gone. */
		while (!((use = READ_ONCE(area->use)) & (VMAP_USERS | VMAP_DEAD))) {
			if (!claim(vmap, area))
				continue;
			guard(spinlock)(&area->node->lazy_lock);
			list_move(&area->lazy, claimed);
			uncount_listed(vmap, area);
			vmap_count(&vmap->shootdowns, 1);
		}
		/* Mutant: lazy since the first look, it is taken for one of those. */
		if (KSHIM_MUTANT(vmap_shootdown_looks_twice))
			use = READ_ONCE(area->use);
		/* A dead one is claimed: now, or for another of the pages. */
		if (use & VMAP_USERS)
			all = false;
	}
	return all;
}

/* For a mutant. */
[[maybe_unused]] static bool has_lazy_area(const struct page *page)
{
	struct vmap_alias *alias;

	guard(rcu)();
	hlist_for_each_entry_rcu(alias, &page->vmap_aliases, node)
	{
		if (!(READ_ONCE(alias->area->use) & VMAP_DEAD))
			return true;
	}
	return false;
}

int vmap_shootdown(struct page *const *pages, unsigned long nr)
{
	struct list_head claimed = LIST_HEAD_INIT(claimed);
	unsigned long i = 0;
	int err = 0;

	while (i < nr && likely(hlist_empty(&pages[i]->vmap_aliases)))
		i++;
	if (likely(i == nr))
		return 0;

	struct vmap_state *vmap = current_vmap();

	/* Mutant: what a purge has claimed is taken for gone. */
	if (KSHIM_MUTANT(vmap_shootdown_trusts_claims) && !has_lazy_area(pages[i]))
		return 0;
	/* A purge that is under way has claimed, maybe, and not flushed: with the lock it has. */
	guard(mutex)(&vmap->purge_lock);

	for (; i < nr; i++) {
		if (!claim_aliases(vmap, pages[i], &claimed))
			err = -EBUSY;
	}
	flush(vmap, &claimed);
	return err;
}

bool vmap_assert_unaliased(const struct page *page, const char *what)
{
	struct vmap_alias *alias;

	guard(rcu)();
	hlist_for_each_entry_rcu(alias, &page->vmap_aliases, node)
	{
		const struct vmap_area *area = alias->area;
		bool live = READ_ONCE(area->use) & VMAP_USERS;

		WARN(true,
		     "page %lu is to become %s, but a %s area of %u pages at %p reaches it (mapped "
		     "by %p, unmapped by %p)\n",
		     page_to_pfn(page), what, live ? "live" : "lazily unmapped", area->nr,
		     area->vm.addr, area->vm.caller, live ? nullptr : READ_ONCE(area->unmapped_by));
		return false;
	}
	return true;
}
