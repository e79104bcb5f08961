// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * direct_map.cc - rights in the direct map (<kshim/direct_map.h>)
 *
 * Each protected frame may cut the host's mapping of the direct map in three, so it counts for two
 * more mappings. A frame is marked when the right is gone, and unmarked when it is back: a store
 * that is refused and finds no mark is made again, and either passes or finds one.
 */
#include "direct_map.h"

#include <linux/atomic.h>
#include <linux/slab.h>

int direct_map_mprotect(struct mmu *mmu, unsigned long pfn, unsigned long nr, enum mmu_prot prot)
{
	return mmu_host_mprotect(mmu, (unsigned long)mmu->window + (pfn << PAGE_SHIFT),
				 nr << PAGE_SHIFT, mmu_host_prot(prot));
}

int direct_map_protect(struct page *const *pages, unsigned long nr, enum mmu_prot prot)
{
	struct mmu *mmu = current_mmu();
	enum mmu_prot undo = prot == MMU_RW ? MMU_RO : MMU_RW;
	unsigned long done = 0;
	int err;

	if (prot == MMU_RO && !mmu_try_charge(mmu, 2 * (s64)nr))
		return -ENOMEM;
	while (done < nr) {
		unsigned long n = mmu_run_length(pages + done, nr - done);

		err = direct_map_host_protect(mmu, page_to_pfn(pages[done]), n, prot);
		if (err)
			goto undo;
		done += n;
	}
	if (prot == MMU_RW)
		mmu_uncharge(mmu, 2 * (s64)nr);
	return 0;

undo:
	for (unsigned long i = 0; i < done; i++) {
		if (direct_map_host_protect(mmu, page_to_pfn(pages[i]), 1, undo))
			kshim_violation("mmu: the direct map of frame %lu is half protected",
					page_to_pfn(pages[i]));
	}
	if (prot == MMU_RO)
		mmu_uncharge(mmu, 2 * (s64)nr);
	return err;
}

bool direct_map_writable(const struct page *page)
{
	const struct direct_map *map = current_mmu()->direct_map;

	return !__atomic_load_n(&map->read_only[page_to_pfn(page)], __ATOMIC_ACQUIRE);
}

void direct_map_on_write_fault(write_fault_handler handler)
{
	__atomic_store_n(&current_mmu()->direct_map->handler, handler, __ATOMIC_RELEASE);
}

int mmu_direct_map_init(struct mmu *mmu)
{
	struct direct_map *map =
		(struct direct_map *)kvzalloc(sizeof(*map) + mmu->nr_lowmem, GFP_KERNEL);
	int err;

	if (!map)
		return -ENOMEM;
	mmu->direct_map = map;
	err = direct_map_host_init(mmu);
	if (err)
		kvfree(map);
	return err;
}

void mmu_direct_map_exit(struct mmu *mmu)
{
	direct_map_host_exit(mmu);
	kvfree(mmu->direct_map);
}
