// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * kernel_map.cc - scattered frames at consecutive addresses of the kernel side
 *
 *      pages     7  8  9    3    20 21        frames, in the order asked for
 *      mappings  [7 8 9]   [3]  [20 21] guard one host mapping for each run of contiguous frames
 *
 * The range is reserved whole and then filled piece by piece, so nobody else can get addresses
 * inside of it meanwhile, and a failure is undone by one munmap. The guard page stops a run over
 * the end.
 */
#include "mmu_internal.h"

#include <linux/err.h>
#include <linux/kernel.h>
#include <linux/slab.h>

#include <errno.h>
#include <sys/mman.h>

struct kernel_map {
	struct list_head node;
	unsigned long addr;
	unsigned long nr; /* pages, without the guard */
	s64 charged;
};

unsigned long mmu_run_length(struct page *const *pages, unsigned long nr)
{
	unsigned long n = 1;

	while (n < nr && pages[n] == pages[0] + n)
		n++;
	return n;
}

int mmu_map_runs(struct mmu *mmu, unsigned long addr, struct page *const *pages, unsigned long nr,
		 int prot, int fixed)
{
	const bool one_run = mmu_run_length(pages, nr) == nr;

	for (unsigned long done = 0; done < nr;) {
		unsigned long n = mmu_run_length(pages + done, nr - done);
		const struct mmu_mapping run = {
			.addr = addr + (done << PAGE_SHIFT),
			.bytes = n << PAGE_SHIFT,
			.prot = prot,
			.flags = MAP_SHARED | fixed | (one_run ? MAP_POPULATE : 0),
			.fd = mmu->memfd,
			.offset = (u64)page_to_pfn(pages[done]) << PAGE_SHIFT};
		void *ret = mmu_host_mmap(mmu, run);

		if (IS_ERR(ret))
			return PTR_ERR_OR_ZERO(ret);
		/* By any address, also where high memory has none: the frame is the object. */
		kshim_alias(ret, mmu->window + run.offset, run.bytes);
		done += n;
	}
	/*
	 * One walk over all runs is cheaper than one for each. A page that is not there yet comes
	 * with the first access, which is no failure.
	 */
	if (!one_run)
		(void)mmu_host_madvise(mmu, addr, nr << PAGE_SHIFT, MADV_POPULATE_READ);
	return 0;
}

static void unmap_range(const struct kernel_map *map)
{
	kshim_unalias((const void *)map->addr, map->nr << PAGE_SHIFT);
	mmu_world_unmaps(current_mmu(), map->addr);
	mmu_host_munmap(map->addr, (map->nr + 1) << PAGE_SHIFT);
}

bool mmu_pages_are_ours(const struct mmu *mmu, struct page *const *pages, unsigned long nr)
{
	for (unsigned long i = 0; i < nr; i++) {
		if (pages[i] < mmu->pages || pages[i] >= mmu->pages + mmu->nr_pages)
			return false;
	}
	return true;
}

s64 mmu_count_runs(struct page *const *pages, unsigned long nr)
{
	s64 runs = 0;

	for (unsigned long done = 0; done < nr; runs++)
		done += mmu_run_length(pages + done, nr - done);
	return runs;
}

void *kernel_map_create(struct page *const *pages, unsigned long nr, enum mmu_prot prot)
{
	struct mmu *mmu = current_mmu();
	struct mmu_mapping reserve = {.addr = MMU_KERNEL_MAP_HINT,
				      .bytes = 0,
				      .prot = PROT_NONE,
				      .flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
				      .fd = -1,
				      .offset = 0};
	struct kernel_map *map;
	void *range;
	int err;

	if (nr == 0 || nr >= MMU_WINDOW >> PAGE_SHIFT || !mmu_pages_are_ours(mmu, pages, nr))
		return ERR_PTR(-EINVAL);
	map = kzalloc_obj(struct kernel_map, GFP_KERNEL);
	if (!map)
		return ERR_PTR(-ENOMEM);
	map->nr = nr;
	map->charged = mmu_count_runs(pages, nr) + 1;
	err = mmu_charge(mmu, map->charged);
	if (err)
		goto free_map;
	reserve.bytes = (nr + 1) << PAGE_SHIFT;
	range = mmu_host_mmap(mmu, reserve);
	err = PTR_ERR_OR_ZERO(range);
	if (err)
		goto uncharge;
	map->addr = (unsigned long)range;
	mmu_world_maps(mmu, map->addr, reserve.bytes);
	err = mmu_map_runs(mmu, map->addr, pages, nr,
			   prot == MMU_RW ? PROT_READ | PROT_WRITE : PROT_READ, MAP_FIXED);
	if (err)
		goto unmap;
	scoped_guard (spinlock, &mmu->lock)
		list_add(&map->node, &mmu->kernel_maps);
	return range;

unmap:
	unmap_range(map);
uncharge:
	mmu_uncharge(mmu, map->charged);
free_map:
	kfree(map);
	return ERR_PTR(err);
}

static void unmap_and_free(struct mmu *mmu, struct kernel_map *map)
{
	unmap_range(map);
	mmu_uncharge(mmu, map->charged);
	kfree(map);
}

static struct kernel_map *take_map(struct mmu *mmu, unsigned long addr)
{
	struct kernel_map *map;

	guard(spinlock)(&mmu->lock);
	list_for_each_entry (map, &mmu->kernel_maps, node) {
		if (map->addr == addr) {
			list_del(&map->node);
			return map;
		}
	}
	return nullptr;
}

void kernel_map_destroy(const void *addr)
{
	struct mmu *mmu = current_mmu();
	struct kernel_map *map = take_map(mmu, (unsigned long)addr);

	if (WARN(!map, "no kernel map starts at %p\n", addr))
		return;
	unmap_and_free(mmu, map);
}

void mmu_kernel_maps_exit(struct mmu *mmu)
{
	for (;;) {
		struct kernel_map *map;

		scoped_guard (spinlock, &mmu->lock) {
			map = list_first_entry_or_null(&mmu->kernel_maps, struct kernel_map, node);
			if (map)
				list_del(&map->node);
		}
		if (!map)
			return;
		WARN(true, "a kernel map of %lu pages at %#lx was never destroyed\n", map->nr,
		     map->addr);
		unmap_and_free(mmu, map);
	}
}
