// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * range.cc - pages of the real MMU: what is there, with which rights, at what cost (range.h)
 */
#include "range.h"

#include <linux/err.h>
#include <linux/kernel.h>

#include <errno.h>
#include <sys/mman.h>

static u64 get(const struct mmu_range &range, unsigned long index)
{
	return record_get(range.records, index);
}

static void set(struct mmu_range &range, unsigned long index, u64 record)
{
	__atomic_store_n(&range.records[index], record, __ATOMIC_RELEASE);
}

/* Can two neighbours be in one host mapping? */
static bool joined(const struct mmu_range &range, u64 left, u64 right)
{
	bool bound = record_is_bound(left);

	if (bound != record_is_bound(right))
		return false;
	if (range.backend->rights_split && (left & RECORD_RIGHTS) != (right & RECORD_RIGHTS))
		return false;
	if (!bound)
		return (left | RECORD_RIGHTS) == (right | RECORD_RIGHTS);
	return record_pfn(right) == record_pfn(left) + 1;
}

/* The host mappings that begin in pages [first, first + nr], the page behind included. */
static s64 count_splits(const struct mmu_range &range, unsigned long first, unsigned long nr)
{
	s64 splits = 0;

	for (unsigned long i = max(first, 1ul); i <= first + nr && i < range.nr_pages; i++)
		splits += !joined(range, get(range, i - 1), get(range, i));
	return splits;
}

/* Changed records from @before splits: charges the difference, whatever it is. */
static void recharge(struct mmu_range &range, unsigned long first, unsigned long nr, s64 before)
{
	s64 more = count_splits(range, first, nr) - before;

	mmu_uncharge(range.mmu, -more);
	range.charged += more;
}

void range_zap(struct mmu_range &range, unsigned long first, unsigned long nr)
{
	s64 before = range.backend->rights_split ? count_splits(range, first, nr) : 0;
	int err = range.backend->zap(range, first, nr);
	u64 keep = ~RECORD_RIGHTS;

	if (unlikely(err)) {
		before = count_splits(range, first, nr);
		keep = RECORD_NOTHING;
		err = range.backend->clear(range, first, nr);
		if (err)
			kshim_violation(
				"mmu: the host refuses to unmap %lu pages at %#lx: error %d", nr,
				range_addr(range, first), err);
	}
	for (unsigned long i = first; i < first + nr; i++)
		set(range, i, get(range, i) & keep);
	if (range.backend->rights_split || keep == RECORD_NOTHING)
		recharge(range, first, nr, before);
	mmu_count(&range.mmu->zaps, nr);
}

void range_protect(struct mmu_range &range, unsigned long first, unsigned long nr,
		   enum mmu_prot prot)
{
	s64 before = range.backend->rights_split ? count_splits(range, first, nr) : 0;

	if (unlikely(range.backend->protect(range, first, nr, prot))) {
		range_zap(range, first, nr);
		return;
	}
	for (unsigned long i = first; i < first + nr; i++) {
		u64 record = get(range, i);

		if (record & RECORD_PRESENT)
			set(range, i,
			    prot == MMU_RW ? record | RECORD_WRITABLE : record & ~RECORD_WRITABLE);
	}
	if (range.backend->rights_split)
		recharge(range, first, nr, before);
	mmu_count(&range.mmu->protects, nr);
}

/* Pages become bound to contiguous frames, none of them present. */
static int bind_run(struct mmu_range &range, unsigned long first, unsigned long nr,
		    unsigned long pfn)
{
	s64 before = count_splits(range, first, nr);
	/* The new mapping and what it cuts off behind it. */
	int err = mmu_charge(range.mmu, 2);

	if (err)
		return err;
	err = range.backend->bind(range, first, nr, pfn);
	if (unlikely(err) && range.backend->clear(range, first, nr))
		kshim_violation("mmu: the host refuses to unmap %lu pages at %#lx", nr,
				range_addr(range, first));
	for (unsigned long i = 0; i < nr; i++)
		set(range, first + i, err ? RECORD_NOTHING : record_of(pfn + i));
	mmu_uncharge(range.mmu, 2);
	recharge(range, first, nr, before);
	mmu_count(&range.mmu->rebinds);
	return err;
}

int range_map(struct mmu_range &range, unsigned long index, unsigned long pfn, enum mmu_prot prot)
{
	u64 want = record_with(pfn, prot), now = get(range, index);
	int err;

	if (now == want)
		return 0;
	if (unlikely((now ^ want) & ~RECORD_RIGHTS)) {
		err = bind_run(range, index, 1, pfn);
		if (err)
			return err;
		now = get(range, index);
	}
	if (!(now & RECORD_PRESENT)) {
		s64 before = range.backend->rights_split ? count_splits(range, index, 1) : 0;

		err = range.backend->install(range, index, prot);
		if (unlikely(err))
			return err;
		set(range, index, want);
		if (range.backend->rights_split)
			recharge(range, index, 1, before);
		mmu_count(&range.mmu->installs);
		return 0;
	}
	range_protect(range, index, 1, prot);
	mmu_count(&range.mmu->upgrades);
	return 0;
}

int range_bind(struct mmu_range &range, unsigned long first, struct page *const *pages,
	       unsigned long nr)
{
	for (unsigned long i = 0, n; i < nr; i += n) {
		int err;

		n = 1;
		if (get(range, first + i) & RECORD_PRESENT)
			continue;
		while (i + n < nr && pages[i + n] == pages[i] + n &&
		       !(get(range, first + i + n) & RECORD_PRESENT))
			n++;
		err = bind_run(range, first + i, n, page_to_pfn(pages[i]));
		if (err)
			return err;
	}
	return 0;
}

void range_refuse(struct mmu_range &range, unsigned long index)
{
	s64 before = count_splits(range, index, 1);

	if (range.backend->refuse(range, index))
		return; /* the access is made again and asks again */
	set(range, index, RECORD_REFUSED);
	recharge(range, index, 1, before);
}

/* Nothing but the reservation is left. */
static void unmap_all(const struct mmu_range &range)
{
	void *at = mmap((void *)range.start, range.nr_pages << PAGE_SHIFT, PROT_NONE,
			MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0);

	/* One mapping that replaces others needs no more of them than there were. */
	if (at == MAP_FAILED)
		kshim_violation("mmu: the host refuses to unmap %lu pages at %#lx: errno %d",
				range.nr_pages, range.start, errno);
}

int range_create(struct mmu_range &range)
{
	int err = mmu_charge(range.mmu, 2);

	if (err)
		return err;
	range.charged = 2;
	err = range.backend->clear(range, 0, range.nr_pages);
	if (err) {
		unmap_all(range);
		mmu_uncharge(range.mmu, range.charged);
	}
	return err;
}

void range_destroy(struct mmu_range &range)
{
	unmap_all(range);
	mmu_uncharge(range.mmu, range.charged);
}
