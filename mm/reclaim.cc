/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * reclaim.cc - a clock over the anonymous pages
 *
 *      lru:  oldest ... newest         the hand takes from the front
 *              referenced since the hand came by last, locked, or cannot be unmapped: to the back
 *              else: a place in swap, PTEs replaced, written if it differs, freed
 *
 * Runs when an allocation finds nothing (a shrinker), in the allocating thread, which may hold an
 * mmap_lock; so it waits for no page lock. Nothing that holds one of the locks it takes allocates
 * pages.
 */
#include "pgtable.h"

#include <linux/bug.h>
#include <linux/shrinker.h>
#include <linux/slab.h>

void lru_add(struct page *page)
{
	struct pgtable_state *state = current_pgtable();

	guard(spinlock)(&state->lru_lock);
	page_set_flags(page, PG_lru);
	list_add_tail(&page->lru, &state->lru);
	state->nr_lru++;
}

void lru_del(struct page *page)
{
	struct pgtable_state *state = current_pgtable();

	guard(spinlock)(&state->lru_lock);
	if (!page_clear_flags(page, PG_lru))
		return;
	list_del_init(&page->lru);
	state->nr_lru--;
}

/* The page at the hand, which goes to the back, with a reference; null: none is left. */
static struct page *next_page(struct pgtable_state *state)
{
	guard(spinlock)(&state->lru_lock);
	for (unsigned long i = 0; i < state->nr_lru; i++) {
		struct page *page = list_first_entry(&state->lru, struct page, lru);

		list_move_tail(&page->lru, &state->lru);
		/* One that is on its way out waits for our lock. */
		if (get_page_unless_zero(page))
			return page;
	}
	return nullptr;
}

/* With its lock and the caller's reference. Return: it is free when that goes. */
static bool evict(struct page *page)
{
	if (page_referenced(page))
		return false;
	if (swap_add(page))
		return false;
	if (!try_to_unmap(page))
		return false;
	swap_write(page);
	return swap_remove(page);
}

unsigned long reclaim_pages(unsigned long nr)
{
	struct pgtable_state *state = current_pgtable();
	unsigned long freed = 0, left;

	/* Twice around: the first time only clears accessed bits. */
	scoped_guard (spinlock, &state->lru_lock)
		left = 2 * state->nr_lru;
	for (; left > 0 && freed < nr; left--) {
		struct page *page = next_page(state);
		bool gone;

		if (!page)
			break;
		gone = trylock_page(page);
		if (gone) {
			gone = evict(page);
			unlock_page(page);
		}
		put_page(page);
		freed += gone;
	}
	pgtable_count(&state->stats.reclaimed, freed);
	return freed;
}

static unsigned long count_lru(struct shrinker *, struct shrink_control *)
{
	struct pgtable_state *state = current_pgtable();

	guard(spinlock)(&state->lru_lock);
	return state->nr_lru;
}

static unsigned long scan_lru(struct shrinker *, struct shrink_control *sc)
{
	return reclaim_pages(sc->nr_to_scan);
}

int reclaim_init(struct pgtable_state *state)
{
	state->shrinker = kzalloc_obj(struct shrinker, GFP_KERNEL);
	if (!state->shrinker)
		return -ENOMEM;
	state->shrinker->count_objects = count_lru;
	state->shrinker->scan_objects = scan_lru;
	register_shrinker(state->shrinker);
	return 0;
}

void reclaim_exit(struct pgtable_state *state)
{
	unregister_shrinker(state->shrinker);
	kfree(state->shrinker);
	guard(spinlock)(&state->lru_lock);
	WARN(state->nr_lru, "mm: %lu anonymous pages are left\n", state->nr_lru);
}
