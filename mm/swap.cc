/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * swap.cc - places where anonymous pages are kept when there is no room for them
 *
 *      slot:  data (host memory, "the disk") | page in the cache | PTEs that name the slot
 *
 *      page --swap_add()--> cached, PTEs become the slot --swap_write(), swap_remove()--> data
 *      data --swap_claim()--> a copy in a new page, cached
 *
 * S1. A page in the cache has PG_swapcache, a reference for that, and page->private_data = slot.
 *     Entering and leaving needs its page lock.
 * S2. PG_dirty: the page differs from the slot's data. Who finds a dirty bit in a PTE sets it.
 * S3. A slot goes when no PTE names it and no page is cached; a cached page that is mapped writable
 *     again keeps it, so that it can be dropped without a write as long as it stays clean. So a
 *     dirty bit that is lost is content that is lost.
 * Lock: swap_lock guards slots; the copying of data is guarded by the page lock of the cached page,
 *     or by a PTE that names the slot (swap_get) while there is none.
 * KSHIM: the disk is memory of the host's, always large enough, and quick.
 */
#include "pgtable.h"

#include <linux/bug.h>
#include <linux/slab.h>
#include <linux/string.h>

struct swap_slot {
	struct page *page;
	unsigned int ptes;
	bool written;
	unsigned char data[PAGE_SIZE];
};

static struct swap_slot *slot_of(struct pgtable_state *state, unsigned long slot)
	__must_hold(&state->swap_lock)
{
	BUG_ON(slot >= state->nr_slots || !state->slots[slot]);
	return state->slots[slot];
}

static void free_slot_if_unused(struct pgtable_state *state, unsigned long nr)
	__must_hold(&state->swap_lock)
{
	struct swap_slot *slot = slot_of(state, nr);

	if (slot->page || slot->ptes)
		return;
	state->slots[nr] = nullptr;
	kvfree(slot);
}

static int grow(struct pgtable_state *state) __must_hold(&state->swap_lock)
{
	unsigned long nr = state->nr_slots ? 2 * state->nr_slots : 16;
	auto **slots = (struct swap_slot **)kvzalloc(nr * sizeof(struct swap_slot *), GFP_KERNEL);

	if (!slots)
		return -ENOMEM;
	for (unsigned long i = 0; i < state->nr_slots; i++)
		slots[i] = state->slots[i];
	kvfree(state->slots);
	state->slots = slots;
	state->nr_slots = nr;
	return 0;
}

static long free_place(struct pgtable_state *state) __must_hold(&state->swap_lock)
{
	unsigned long before = state->nr_slots;

	for (unsigned long i = 0; i < before; i++) {
		unsigned long slot = (state->next_slot + i) % before;

		if (!state->slots[slot]) {
			state->next_slot = slot + 1;
			return (long)slot;
		}
	}
	return grow(state) ? -ENOMEM : (long)before;
}

int swap_add(struct page *page)
{
	struct pgtable_state *state = current_pgtable();
	struct swap_slot *slot;
	long place;

	if (page_has_flags(page, PG_swapcache))
		return 0;
	slot = (struct swap_slot *)kvmalloc(sizeof(*slot), GFP_KERNEL);
	if (!slot)
		return -ENOMEM;
	slot->page = page;
	slot->ptes = 0;
	slot->written = false;
	guard(spinlock)(&state->swap_lock);
	place = free_place(state);
	if (place < 0) {
		kvfree(slot);
		return -ENOMEM;
	}
	state->slots[place] = slot;
	get_page(page);
	page->private_data = (unsigned long)place;
	page_set_flags(page, PG_swapcache);
	return 0;
}

void swap_get(unsigned long nr)
{
	struct pgtable_state *state = current_pgtable();

	guard(spinlock)(&state->swap_lock);
	slot_of(state, nr)->ptes++;
}

void swap_put(unsigned long nr)
{
	struct pgtable_state *state = current_pgtable();
	struct page *orphan = nullptr;

	scoped_guard (spinlock, &state->swap_lock) {
		struct swap_slot *slot = slot_of(state, nr);

		WARN_ON(slot->ptes-- == 0);
		if (!slot->ptes && slot->page) {
			orphan = slot->page;
			get_page(orphan);
		}
		free_slot_if_unused(state, nr);
	}
	if (!orphan)
		return;
	swap_drop_orphan(orphan);
	put_page(orphan);
}

void swap_drop_orphan(struct page *page)
{
	/* Who holds the lock looks after it. */
	if (!trylock_page(page))
		return;
	if (page_has_flags(page, PG_swapcache) && !page_mapcount(page) && !swap_count(page))
		(void)swap_remove(page);
	unlock_page(page);
}

struct page *swap_page(unsigned long nr)
{
	struct pgtable_state *state = current_pgtable();

	guard(spinlock)(&state->swap_lock);
	if (nr >= state->nr_slots || !state->slots[nr])
		return nullptr; /* the PTE has changed since */
	if (struct page *page = state->slots[nr]->page) {
		get_page(page);
		return page;
	}
	return nullptr;
}

bool swap_claim(unsigned long nr, struct page *page)
{
	struct pgtable_state *state = current_pgtable();

	guard(spinlock)(&state->swap_lock);
	if (nr >= state->nr_slots || !state->slots[nr] || state->slots[nr]->page)
		return false;
	memcpy(page_address(page), state->slots[nr]->data, PAGE_SIZE);
	state->slots[nr]->page = page;
	get_page(page);
	page->private_data = nr;
	page_set_flags(page, PG_swapcache);
	return true;
}

unsigned int swap_count(const struct page *page)
{
	struct pgtable_state *state = current_pgtable();

	guard(spinlock)(&state->swap_lock);
	return slot_of(state, page->private_data)->ptes;
}

void swap_write(struct page *page)
{
	struct pgtable_state *state = current_pgtable();
	struct swap_slot *slot;

	scoped_guard (spinlock, &state->swap_lock)
		slot = slot_of(state, page->private_data);
	if (!page_clear_flags(page, PG_dirty) && slot->written) {
		pgtable_count(&state->stats.clean_outs);
		return;
	}
	memcpy(slot->data, page_address(page), PAGE_SIZE);
	slot->written = true;
	pgtable_count(&state->stats.swap_outs);
}

bool swap_remove(struct page *page)
{
	struct pgtable_state *state = current_pgtable();
	unsigned long nr = page->private_data;

	scoped_guard (spinlock, &state->swap_lock) {
		/* The cache's and the caller's: nobody finds it without this lock. */
		if (page_ref_count(page) != 2)
			return false;
		slot_of(state, nr)->page = nullptr;
		(void)page_clear_flags(page, PG_swapcache);
		free_slot_if_unused(state, nr);
	}
	put_page(page);
	return true;
}

void swap_exit(struct pgtable_state *state)
{
	for (unsigned long i = 0; i < state->nr_slots; i++) {
		struct swap_slot *slot = state->slots[i];

		if (!slot)
			continue;
		WARN(slot->ptes, "mm: place %lu in swap is still named by %u PTEs\n", i,
		     slot->ptes);
		if (slot->page)
			put_page(slot->page);
		kvfree(slot);
	}
	kvfree(state->slots);
}
