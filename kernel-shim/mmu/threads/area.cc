// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * area.cc - areas: the calls of <kshim/mmu.h> on the real MMU
 *
 * Every call changes the host's mapping through the area's backend, and then the record (A1, A2 of
 * area.h).
 *
 * How a call that returns nothing deals with a host that refuses: what takes rights away must not
 * fail, so it takes more away instead. mmu_protect() becomes mmu_zap() (the owner's fault callback
 * is asked once more), and mmu_zap() forgets what is bound. If even that is refused the machine
 * stops: I1 of mmu.h would be broken.
 */
#include "area.h"

#include <linux/err.h>
#include <linux/kernel.h>
#include <linux/slab.h>

#include <errno.h>
#include <sys/mman.h>

static u64 record_get(const struct mmu_area *area, unsigned long index)
{
	return __atomic_load_n(&area->records[index], __ATOMIC_ACQUIRE);
}

static void record_set(struct mmu_area *area, unsigned long index, u64 record)
{
	__atomic_store_n(&area->records[index], record, __ATOMIC_RELEASE);
}

/* Can two neighbours be in one host mapping? */
static bool joined(const struct mmu_area *area, u64 left, u64 right)
{
	bool bound = record_is_bound(left);

	if (bound != record_is_bound(right))
		return false;
	if (area->backend->rights_split && (left & RECORD_RIGHTS) != (right & RECORD_RIGHTS))
		return false;
	if (!bound)
		return (left | RECORD_RIGHTS) == (right | RECORD_RIGHTS);
	return record_pfn(right) == record_pfn(left) + 1;
}

/* The host mappings that begin in pages [first, first + nr], the page behind included. */
static s64 count_splits(const struct mmu_area *area, unsigned long first, unsigned long nr)
{
	s64 splits = 0;

	for (unsigned long i = max(first, 1ul); i <= first + nr && i < area->nr_pages; i++)
		splits += !joined(area, record_get(area, i - 1), record_get(area, i));
	return splits;
}

/* Changed records from @before splits: charges the difference, whatever it is. */
static void recharge(struct mmu_area *area, unsigned long first, unsigned long nr, s64 before)
	__must_hold(&area->lock)
{
	s64 more = count_splits(area, first, nr) - before;

	mmu_uncharge(area->mmu, -more);
	area->charged += more;
}

static void __mmu_zap(struct mmu_area *area, unsigned long first, unsigned long nr)
	__must_hold(&area->lock)
{
	s64 before = area->backend->rights_split ? count_splits(area, first, nr) : 0;
	int err = area->backend->zap(area, first, nr);
	u64 keep = ~RECORD_RIGHTS;

	if (unlikely(err)) {
		before = count_splits(area, first, nr);
		keep = RECORD_NOTHING;
		err = area->backend->clear(area, first, nr);
		if (err)
			kshim_violation(
				"mmu: the host refuses to unmap %lu pages at %#lx: error %d", nr,
				area_addr(area, first), err);
	}
	for (unsigned long i = first; i < first + nr; i++)
		record_set(area, i, record_get(area, i) & keep);
	if (area->backend->rights_split || keep == RECORD_NOTHING)
		recharge(area, first, nr, before);
	mmu_count(&area->mmu->zaps, nr);
}

static void __mmu_protect(struct mmu_area *area, unsigned long first, unsigned long nr,
			  enum mmu_prot prot) __must_hold(&area->lock)
{
	s64 before = area->backend->rights_split ? count_splits(area, first, nr) : 0;

	if (unlikely(area->backend->protect(area, first, nr, prot))) {
		__mmu_zap(area, first, nr);
		return;
	}
	for (unsigned long i = first; i < first + nr; i++) {
		u64 record = record_get(area, i);

		if (record & RECORD_PRESENT)
			record_set(area, i,
				   prot == MMU_RW ? record | RECORD_WRITABLE
						  : record & ~RECORD_WRITABLE);
	}
	if (area->backend->rights_split)
		recharge(area, first, nr, before);
	mmu_count(&area->mmu->protects, nr);
}

/* Pages become bound to contiguous frames, none of them present. */
static int __mmu_bind(struct mmu_area *area, unsigned long first, unsigned long nr,
		      unsigned long pfn) __must_hold(&area->lock)
{
	s64 before = count_splits(area, first, nr);
	/* The new mapping and what it cuts off behind it. */
	int err = mmu_charge(area->mmu, 2);

	if (err)
		return err;
	err = area->backend->bind(area, first, nr, pfn);
	if (unlikely(err) && area->backend->clear(area, first, nr))
		kshim_violation("mmu: the host refuses to unmap %lu pages at %#lx", nr,
				area_addr(area, first));
	for (unsigned long i = 0; i < nr; i++)
		record_set(area, first + i, err ? RECORD_NOTHING : record_of(pfn + i));
	mmu_uncharge(area->mmu, 2);
	recharge(area, first, nr, before);
	mmu_count(&area->mmu->rebinds);
	return err;
}

/* The pages [*first, *first + *nr) of the range that are in the area. */
static bool clip(const struct mmu_area *area, unsigned long addr, unsigned long *first,
		 unsigned long *nr)
{
	*first = (addr - area->start) >> PAGE_SHIFT;
	if (addr < area->start || *first >= area->nr_pages || *nr == 0)
		return false;
	*nr = min(*nr, area->nr_pages - *first);
	return true;
}

static bool page_is_ours(const struct mmu_area *area, const struct page *page)
{
	return page >= area->mmu->pages && page < area->mmu->pages + area->mmu->nr_pages;
}

int mmu_map(struct mmu_area *area, unsigned long addr, struct page *page, enum mmu_prot prot)
{
	unsigned long index, one = 1;
	u64 want, now;
	int err;

	if (!clip(area, addr, &index, &one) || !page_is_ours(area, page))
		return -EINVAL;
	want = record_of(page_to_pfn(page)) | RECORD_PRESENT |
	       (prot == MMU_RW ? RECORD_WRITABLE : 0);

	guard(mutex)(&area->lock);
	now = record_get(area, index);
	if (now == want)
		return 0;
	if (unlikely((now ^ want) & ~RECORD_RIGHTS)) {
		err = __mmu_bind(area, index, 1, page_to_pfn(page));
		if (err)
			return err;
		now = record_get(area, index);
	}
	if (!(now & RECORD_PRESENT)) {
		s64 before = area->backend->rights_split ? count_splits(area, index, 1) : 0;

		err = area->backend->install(area, index, prot);
		if (unlikely(err))
			return err;
		record_set(area, index, want);
		if (area->backend->rights_split)
			recharge(area, index, 1, before);
		mmu_count(&area->mmu->installs);
		return 0;
	}
	__mmu_protect(area, index, 1, prot);
	mmu_count(&area->mmu->upgrades);
	return 0;
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
	for (unsigned long i = 0, n; i < nr; i += n) {
		int err;

		n = 1;
		if (record_get(area, first + i) & RECORD_PRESENT)
			continue;
		while (i + n < nr && pages[i + n] == pages[i] + n &&
		       !(record_get(area, first + i + n) & RECORD_PRESENT))
			n++;
		err = __mmu_bind(area, first + i, n, page_to_pfn(pages[i]));
		if (err)
			return err;
	}
	return 0;
}

void mmu_protect(struct mmu_area *area, unsigned long addr, unsigned long nr, enum mmu_prot prot)
{
	unsigned long first;

	if (!clip(area, addr, &first, &nr))
		return;
	guard(mutex)(&area->lock);
	__mmu_protect(area, first, nr, prot);
}

void mmu_zap(struct mmu_area *area, unsigned long addr, unsigned long nr)
{
	unsigned long first;

	if (!clip(area, addr, &first, &nr))
		return;
	guard(mutex)(&area->lock);
	__mmu_zap(area, first, nr);
}

struct mmu_pte mmu_pte(struct mmu_area *area, unsigned long addr)
{
	unsigned long index, one = 1;
	struct mmu_pte pte = {};
	u64 record;

	if (!clip(area, addr, &index, &one))
		return pte;
	record = record_get(area, index);
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
	s64 before;

	if (!clip(area, addr, &index, &one))
		return;
	guard(mutex)(&area->lock);
	before = count_splits(area, index, 1);
	if (area->backend->refuse(area, index))
		return; /* the access is made again and asks again */
	record_set(area, index, RECORD_REFUSED);
	recharge(area, index, 1, before);
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
static int choose_backend(struct mmu_area *area, enum mmu_delivery delivery)
{
	const struct mmu_host *host = area->mmu->host;

	if (delivery == MMU_DELIVER_INLINE && host->uffd_inline < 0)
		delivery = MMU_DELIVER_MPROTECT;
	area->delivery = delivery;
	area->backend = &uffd_backend;
	area->uffd = delivery == MMU_DELIVER_INLINE ? host->uffd_inline : host->uffd_handler;
	if (delivery == MMU_DELIVER_MPROTECT) {
		area->backend = &mprot_backend;
		area->uffd = -1;
	} else if (area->uffd < 0) {
		return -EOPNOTSUPP;
	}
	if (delivery == MMU_DELIVER_HANDLER)
		return mmu_handler_start(area->mmu);
	return 0;
}

/* Nothing but the reservation is left. */
static void unmap_all(struct mmu_area *area)
{
	void *at = mmap((void *)area->start, area->nr_pages << PAGE_SHIFT, PROT_NONE,
			MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0);

	/* One mapping that replaces others needs no more of them than there were. */
	if (at == MAP_FAILED)
		kshim_violation("mmu: the host refuses to unmap %lu pages at %#lx: errno %d",
				area->nr_pages, area->start, errno);
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
	err = choose_backend(area, delivery);
	if (err)
		goto free_area;
	err = mmu_charge(area->mmu, 2);
	if (err)
		goto free_area;
	err = area_slots_take(area);
	if (err)
		goto uncharge;
	scoped_guard (mutex, &area->lock) {
		area->charged = 2;
		err = area->backend->clear(area, 0, nr_pages);
	}
	if (err)
		goto give_slots;
	mmu_area_link(area);
	area_slots_publish(area);
	return area;

give_slots:
	unmap_all(area);
	area_slots_give(area);
uncharge:
	mmu_uncharge(area->mmu, 2);
free_area:
	kvfree(area);
	return ERR_PTR(err);
}

void mmu_area_destroy(struct mmu_area *area)
{
	area_slots_withdraw(area);
	mmu_area_unlink(area);
	unmap_all(area);
	if (area->backend->gone)
		area->backend->gone(area);
	area_slots_give(area);
	scoped_guard (mutex, &area->lock)
		mmu_uncharge(area->mmu, area->charged);
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
