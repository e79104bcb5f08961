// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * soft_area.cc - the calls of <kshim/mmu.h> on the soft MMU
 *
 * What takes a right away: change the PTE (a step), then flush (a step for each TLB that has an
 * entry). What gives one only changes the PTE: an entry that is too weak is looked up again.
 *
 * Mutants: mmu_no_flush never flushes, mmu_early_flush flushes first. Both let a store pass after
 * the call that was to stop it has returned. mmu_pte_not_atomic changes PTEs in two steps.
 */
#include "../range.h"
#include "real_mmu.h"
#include "soft_mmu.h"

#include <kshim/mutant.h>
#include <linux/atomic.h>
#include <linux/err.h>
#include <linux/kernel.h>
#include <linux/slab.h>

static bool clip(const struct mmu_area *area, unsigned long addr, unsigned long *first,
		 unsigned long *nr)
{
	return pages_clip(area->start, area->nr_pages, addr, first, nr);
}

static unsigned long page_addr(const struct mmu_area *area, unsigned long index)
{
	return area->start + (index << PAGE_SHIFT);
}

static const char *pte_state(u64 pte)
{
	return !(pte & SOFT_PRESENT) ? "absent" : pte & SOFT_WRITABLE ? "writable" : "read-only";
}

static void set_pte(struct mmu_area *area, unsigned long index, u64 pte)
{
	soft_point(page_addr(area, index), 1, KSHIM_RMW);
	kshim_note("PTE %lu: %s -> %s", index, pte_state(area->ptes[index]), pte_state(pte));
	area->ptes[index] = pte;
	real_strengthened(area, index);
}

/* Changes a present PTE in one step: the processor may be setting A or D. */
static void change_pte(struct mmu_area *area, unsigned long index, u64 clear, u64 set)
{
	u64 *pte = &area->ptes[index], before;

	/* Mutant: a load and a store; what the processor set in between is gone. */
	if (KSHIM_MUTANT(mmu_pte_not_atomic)) {
		soft_point(page_addr(area, index), 1, KSHIM_LOAD);
		before = *pte;
		soft_point(page_addr(area, index), 1, KSHIM_RMW);
	} else {
		soft_point(page_addr(area, index), 1, KSHIM_RMW);
		before = *pte;
	}
	if (!(before & SOFT_PRESENT))
		return;
	*pte = (before & ~clear) | set;
	kshim_note("PTE %lu: %s -> %s", index, pte_state(before), pte_state(*pte));
}

/* Clears @bits of the present ones of these pages, so that no processor still has them. */
static void take_away(struct mmu_area *area, unsigned long first, unsigned long nr, u64 bits)
{
	real_weakening(area);
	if (KSHIM_MUTANT(mmu_early_flush))
		soft_flush(area, first, nr);
	for (unsigned long i = first; i < first + nr; i++) {
		if (!(area->ptes[i] & SOFT_PRESENT)) {
			kshim_note("PTE %lu: absent, nothing to take away", i);
			continue;
		}
		change_pte(area, i, bits, 0);
	}
	if (!KSHIM_MUTANT(mmu_early_flush) && !KSHIM_MUTANT(mmu_no_flush))
		soft_flush(area, first, nr);
	real_weakened(area, first, nr);
}

int mmu_map(struct mmu_area *area, unsigned long addr, struct page *page, enum mmu_prot prot)
{
	unsigned long index, one = 1;
	u64 now, want;

	if (!clip(area, addr, &index, &one) || page < area->mmu->pages ||
	    page >= area->mmu->pages + area->mmu->nr_pages)
		return -EINVAL;
	want = ((u64)page_to_pfn(page) << PAGE_SHIFT) | SOFT_PRESENT |
	       (prot == MMU_RW ? SOFT_WRITABLE : 0);
	now = area->ptes[index];
	if (!(now & SOFT_PRESENT)) {
		set_pte(area, index, want);
		mmu_count(&area->mmu->installs);
		return 0;
	}
	if ((now ^ want) & ~SOFT_FLAGS) {
		/* Another frame: nobody may have the old one when the new one appears. */
		take_away(area, index, 1, SOFT_PRESENT | SOFT_WRITABLE);
		set_pte(area, index, want);
		mmu_count(&area->mmu->rebinds);
		return 0;
	}
	mmu_protect(area, addr, 1, prot);
	mmu_count(&area->mmu->upgrades);
	return 0;
}

int mmu_bind(struct mmu_area *area, unsigned long addr, struct page *const *pages, unsigned long nr)
{
	unsigned long first, inside = nr;

	if (!clip(area, addr, &first, &inside) || inside < nr)
		return -EINVAL;
	/* A page table of ours needs no preparation. */
	real_bind(area, first, pages, nr);
	return 0;
}

void mmu_protect(struct mmu_area *area, unsigned long addr, unsigned long nr, enum mmu_prot prot)
{
	unsigned long first;

	if (!clip(area, addr, &first, &nr))
		return;
	mmu_count(&area->mmu->protects, nr);
	if (prot == MMU_RO) {
		take_away(area, first, nr, SOFT_WRITABLE | SOFT_DIRTY);
		return;
	}
	for (unsigned long i = first; i < first + nr; i++) {
		change_pte(area, i, 0, SOFT_WRITABLE);
		real_strengthened(area, i);
	}
}

void mmu_zap(struct mmu_area *area, unsigned long addr, unsigned long nr)
{
	unsigned long first;

	if (!clip(area, addr, &first, &nr))
		return;
	mmu_count(&area->mmu->zaps, nr);
	take_away(area, first, nr, ~0ull);
}

struct mmu_pte mmu_pte(struct mmu_area *area, unsigned long addr)
{
	unsigned long index, one = 1;
	struct mmu_pte pte = {};
	u64 now;

	if (!clip(area, addr, &index, &one))
		return pte;
	soft_point(page_addr(area, index), 1, KSHIM_LOAD);
	now = area->ptes[index];
	if (!(now & SOFT_PRESENT))
		return pte;
	pte.page = area->mmu->pages + (now >> PAGE_SHIFT);
	pte.present = true;
	pte.writable = now & SOFT_WRITABLE;
	pte.accessed = now & SOFT_ACCESSED;
	pte.dirty = now & SOFT_DIRTY;
	return pte;
}

void mmu_page_freed(const struct page *page)
{
	struct mmu *mmu = current_machine() ? current_machine()->mmu : nullptr;
	unsigned long pfn;

	if (!mmu || !mmu->host)
		return;
	pfn = page_to_pfn(page);
	for (struct mmu_area *area = mmu->host->areas; area; area = area->next) {
		for (unsigned long i = 0; i < area->nr_pages; i++) {
			if ((area->ptes[i] & SOFT_PRESENT) && area->ptes[i] >> PAGE_SHIFT == pfn)
				kshim_violation("page %lu is freed while it is mapped at %#lx", pfn,
						page_addr(area, i));
		}
	}
	for (const struct soft_tlb &tlb : mmu->host->tlbs) {
		for (const struct soft_tlb_entry &entry : tlb.entries) {
			if (entry.addr && entry.pte >> PAGE_SHIFT == pfn)
				kshim_violation(
					"page %lu is freed while a TLB still has it at %#lx", pfn,
					entry.addr);
		}
	}
}

struct mmu_area *mmu_area_create(size_t bytes, enum mmu_delivery delivery,
				 const struct mmu_area_ops *ops, void *owner)
{
	unsigned long nr_pages = PFN_UP(bytes);
	struct mmu *mmu = current_mmu();
	struct mmu_area *area;

	if (bytes == 0 || bytes > MMU_WINDOW)
		return ERR_PTR(-EINVAL);
	area = (struct mmu_area *)kvzalloc(sizeof(*area) + nr_pages * sizeof(area->ptes[0]),
					   GFP_KERNEL);
	if (!area)
		return ERR_PTR(-ENOMEM);
	area->mmu = mmu;
	area->ops = ops;
	area->owner = owner;
	area->nr_pages = nr_pages;
	area->delivery = delivery;
	area->start = mmu->host->next_addr;
	mmu->host->next_addr += (nr_pages + 1) << PAGE_SHIFT;
	real_area_create(area);
	area->next = mmu->host->areas;
	mmu->host->areas = area;
	kshim_name_array(soft_word(area->start), sizeof(u64), nr_pages, "PTE");
	return area;
}

/* No walk finds it from here on. */
static void forget_area(struct mmu_area *area)
{
	struct mmu_area **link = &area->mmu->host->areas;

	while (*link != area)
		link = &(*link)->next;
	*link = area->next;
}

void mmu_area_destroy(struct mmu_area *area)
{
	u32 faults;

	soft_point(area->start, area->nr_pages, KSHIM_RMW);
	forget_area(area);
	real_area_gone(area);
	while ((faults = area->faults) != 0)
		(void)kshim_wait(&area->faults, faults, KSHIM_FOREVER, "faults of an area");
	soft_flush(area, 0, area->nr_pages);
	real_area_destroy(area);
	kvfree(area);
}

void *mmu_area_owner(const struct mmu_area *area)
{
	return area->owner;
}

unsigned long mmu_area_start(const struct mmu_area *area)
{
	return area->start;
}

unsigned long mmu_area_pages(const struct mmu_area *area)
{
	return area->nr_pages;
}

enum mmu_delivery mmu_area_delivery(const struct mmu_area *area)
{
	return area->delivery;
}

/* There is one way only in a world, whatever it is named. */
const char *mmu_delivery_problem(enum mmu_delivery)
{
	return nullptr;
}

int mmu_host_init(struct mmu *mmu)
{
	struct mmu_host *host = kzalloc_obj(struct mmu_host, GFP_KERNEL);

	if (!host)
		return -ENOMEM;
	host->next_addr = SOFT_FIRST_ADDR;
	host->real = real_mmu_get(mmu);
	mmu->host = host;
	return 0;
}

void mmu_host_exit(struct mmu *mmu)
{
	while (struct mmu_area *area = mmu->host->areas) {
		WARN(true, "an area of %lu pages at %#lx was never destroyed\n", area->nr_pages,
		     area->start);
		mmu_area_destroy(area);
	}
	kfree(mmu->host);
}
