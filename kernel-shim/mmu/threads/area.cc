// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * area.cc - areas: the calls of <kshim/mmu.h> on the real MMU
 *
 * Every call is one of the area's range, under the area's lock (A1 of area.h).
 */
#include "area.h"

#include <linux/err.h>
#include <linux/kernel.h>
#include <linux/slab.h>

static bool clip(const struct mmu_area *area, unsigned long addr, unsigned long *first,
		 unsigned long *nr)
{
	return pages_clip(area->start, area->nr_pages, addr, first, nr);
}

static bool page_is_ours(const struct mmu_area *area, const struct page *page)
{
	return page >= area->mmu->pages && page < area->mmu->pages + area->mmu->nr_pages;
}

int mmu_map(struct mmu_area *area, unsigned long addr, struct page *page, enum mmu_prot prot)
{
	unsigned long index, one = 1;

	if (!clip(area, addr, &index, &one) || !page_is_ours(area, page))
		return -EINVAL;
	guard(mutex)(&area->lock);
	return range_map(area->range, index, page_to_pfn(page), prot);
}

int mmu_bind(struct mmu_area *area, unsigned long addr, struct page *const *pages, unsigned long nr)
{
	unsigned long first, inside = nr;

	if (!clip(area, addr, &first, &inside) || inside < nr)
		return -EINVAL;
	for (unsigned long i = 0; i < nr; i++) {
		if (!page_is_ours(area, pages[i]))
			return -EINVAL;
	}
	guard(mutex)(&area->lock);
	return range_bind(area->range, first, pages, nr);
}

void mmu_protect(struct mmu_area *area, unsigned long addr, unsigned long nr, enum mmu_prot prot)
{
	unsigned long first;

	if (!clip(area, addr, &first, &nr))
		return;
	guard(mutex)(&area->lock);
	range_protect(area->range, first, nr, prot);
}

void mmu_zap(struct mmu_area *area, unsigned long addr, unsigned long nr)
{
	unsigned long first;

	if (!clip(area, addr, &first, &nr))
		return;
	guard(mutex)(&area->lock);
	range_zap(area->range, first, nr);
}

struct mmu_pte mmu_pte(struct mmu_area *area, unsigned long addr)
{
	unsigned long index, one = 1;
	struct mmu_pte pte = {};
	u64 record;

	if (!clip(area, addr, &index, &one))
		return pte;
	record = record_get(area->records, index);
	if (!(record & RECORD_PRESENT))
		return pte;
	pte.page = area->mmu->pages + record_pfn(record);
	pte.present = pte.accessed = true;
	pte.writable = pte.dirty = record & RECORD_WRITABLE;
	return pte;
}

void mmu_area_refuse(struct mmu_area *area, unsigned long addr)
{
	unsigned long index, one = 1;

	if (!clip(area, addr, &index, &one))
		return;
	guard(mutex)(&area->lock);
	range_refuse(area->range, index);
}

int mmu_area_fault(struct mmu_area *area, unsigned long addr, bool write)
{
	machine_scope bound(area->mmu->machine);
	int err = area->ops->fault(area, addr, write);

	mmu_count(&area->mmu->faults);
	if (unlikely(err))
		mmu_count(&area->mmu->faults_failed);
	return err;
}

bool mmu_resolve_trap(unsigned long addr, bool write)
{
	struct area_slot *slot;
	struct mmu_area *area = area_pin(addr, &slot);
	int err;

	if (!area)
		return false;
	err = mmu_area_fault(area, addr, write);
	area_unpin(slot);
	return err == 0;
}

/* What the host can do of what is wanted. 0 or -EOPNOTSUPP. */
static int choose_delivery(struct mmu_area *area, enum mmu_delivery delivery)
{
	const struct mmu_host *host = area->mmu->host;

	if (delivery == MMU_DELIVER_INLINE && host->uffd_inline < 0)
		delivery = MMU_DELIVER_MPROTECT;
	if (delivery == MMU_DELIVER_HANDLER && host->uffd_handler < 0)
		return -EOPNOTSUPP;
	area->delivery = delivery;
	return delivery == MMU_DELIVER_HANDLER ? mmu_handler_start(area->mmu) : 0;
}

static struct mmu_range range_for(struct mmu_area *area)
{
	const struct mmu_host *host = area->mmu->host;
	struct mmu_range range = {};

	range.mmu = area->mmu;
	range.backend = area->delivery == MMU_DELIVER_MPROTECT ? &mprot_backend : &uffd_backend;
	range.uffd = -1;
	if (area->delivery == MMU_DELIVER_INLINE)
		range.uffd = host->uffd_inline;
	else if (area->delivery == MMU_DELIVER_HANDLER)
		range.uffd = host->uffd_handler;
	range.start = area->start;
	range.nr_pages = area->nr_pages;
	range.records = area->records;
	return range;
}

struct mmu_area *mmu_area_create(size_t bytes, enum mmu_delivery delivery,
				 const struct mmu_area_ops *ops, void *owner)
{
	unsigned long nr_pages = PFN_UP(bytes);
	struct mmu_area *area;
	int err;

	if (bytes == 0 || bytes > MMU_WINDOW)
		return ERR_PTR(-EINVAL);
	area = (struct mmu_area *)kvzalloc(sizeof(*area) + nr_pages * sizeof(area->records[0]),
					   GFP_KERNEL);
	if (!area)
		return ERR_PTR(-ENOMEM);
	area->mmu = current_mmu();
	area->ops = ops;
	area->owner = owner;
	area->nr_pages = nr_pages;
	mutex_init(&area->lock);
	err = choose_delivery(area, delivery);
	if (err)
		goto free_area;
	err = area_slots_take(area);
	if (err)
		goto free_area;
	scoped_guard (mutex, &area->lock) {
		area->range = range_for(area);
		err = range_create(area->range);
	}
	if (err)
		goto give_slots;
	mmu_area_link(area);
	area_slots_publish(area);
	return area;

give_slots:
	area_slots_give(area);
free_area:
	kvfree(area);
	return ERR_PTR(err);
}

void mmu_area_destroy(struct mmu_area *area)
{
	area_slots_withdraw(area);
	mmu_area_unlink(area);
	scoped_guard (mutex, &area->lock)
		range_destroy(area->range);
	if (area->delivery == MMU_DELIVER_HANDLER)
		mmu_handler_let_go(area);
	area_slots_give(area);
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
