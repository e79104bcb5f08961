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
 *
 * A map that was reserved keeps a record of each page, as its frames come and go:
 *
 *      records   [8][9][0][0][4]          a frame's number plus one; 0: scratch memory
 *      mappings  [8 9 ][scratch][4]       counted from the records
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
	int prot;     /* the host's */
	u64 *records; /* null: made whole, and not to be changed */
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

static void unmap_and_free(struct mmu *mmu, struct kernel_map *map)
{
	unmap_range(map);
	mmu_uncharge(mmu, map->charged);
	kvfree(map->records);
	kfree(map);
}

/* Addresses for @nr pages and the guard, charged with @charge mappings; on no list yet. */
static struct kernel_map *make_map(struct mmu *mmu, unsigned long nr, enum mmu_prot prot,
				   s64 charge)
{
	const struct mmu_mapping reserve = {.addr = MMU_KERNEL_MAP_HINT,
					    .bytes = (nr + 1) << PAGE_SHIFT,
					    .prot = PROT_NONE,
					    .flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
					    .fd = -1,
					    .offset = 0};
	struct kernel_map *map = kzalloc_obj(struct kernel_map, GFP_KERNEL);
	void *range;
	int err;

	if (!map)
		return (struct kernel_map *)ERR_PTR(-ENOMEM);
	map->nr = nr;
	map->prot = mmu_host_prot(prot);
	map->charged = charge;
	err = mmu_charge(mmu, charge);
	if (err)
		goto free_map;
	range = mmu_host_mmap(mmu, reserve);
	err = PTR_ERR_OR_ZERO(range);
	if (err)
		goto uncharge;
	map->addr = (unsigned long)range;
	mmu_world_maps(mmu, map->addr, reserve.bytes);
	return map;

uncharge:
	mmu_uncharge(mmu, charge);
free_map:
	kfree(map);
	return (struct kernel_map *)ERR_PTR(err);
}

/* It can be found from now on; or, with an error, it is gone. */
static void *finish_map(struct mmu *mmu, struct kernel_map *map, int err)
{
	if (err) {
		unmap_and_free(mmu, map);
		return ERR_PTR(err);
	}
	guard(spinlock)(&mmu->lock);
	list_add(&map->node, &mmu->kernel_maps);
	return (void *)map->addr;
}

static bool can_map(unsigned long nr)
{
	return nr > 0 && nr < MMU_WINDOW >> PAGE_SHIFT;
}

void *kernel_map_create(struct page *const *pages, unsigned long nr, enum mmu_prot prot)
{
	struct mmu *mmu = current_mmu();
	struct kernel_map *map;

	if (!can_map(nr) || !mmu_pages_are_ours(mmu, pages, nr))
		return ERR_PTR(-EINVAL);
	map = make_map(mmu, nr, prot, mmu_count_runs(pages, nr) + 1);
	if (IS_ERR(map))
		return map;
	return finish_map(mmu, map, mmu_map_runs(mmu, map->addr, pages, nr, map->prot, MAP_FIXED));
}

/* ---- reserved maps ---- */

/* Can neighbours be in one host mapping? */
static bool joined(u64 left, u64 right)
{
	return left ? right == left + 1 : !right;
}

/* The host mappings that begin in pages [first, first + nr], the page behind included. */
static s64 count_splits(const struct kernel_map *map, unsigned long first, unsigned long nr)
{
	s64 splits = 0;

	for (unsigned long i = max(first, 1ul); i <= first + nr && i < map->nr; i++)
		splits += !joined(map->records[i - 1], map->records[i]);
	return splits;
}

/* The mapping has changed: its records and what it is charged with follow. Null: scratch. */
static void record(struct mmu *mmu, struct kernel_map *map, unsigned long first,
		   struct page *const *pages, unsigned long nr)
{
	s64 more = -count_splits(map, first, nr);

	for (unsigned long i = 0; i < nr; i++)
		map->records[first + i] = pages ? (u64)page_to_pfn(pages[i]) + 1 : 0;
	more += count_splits(map, first, nr);
	mmu_uncharge(mmu, -more);
	map->charged += more;
}

/*
 * To the explorer a step that touches all bytes of the frames that go: who loads one through the
 * mapping does so before or after it, and what was stored through it is there.
 */
static void forget_frames(const struct kernel_map *map, unsigned long first, unsigned long nr)
{
	const void *addr = (const void *)(map->addr + (first << PAGE_SHIFT));

	kshim_point(KSHIM_RMW, addr, (unsigned int)(nr << PAGE_SHIFT), __ATOMIC_SEQ_CST);
	kshim_interrupted_all();
	kshim_unalias(addr, nr << PAGE_SHIFT);
}

static int map_scratch(struct mmu *mmu, const struct kernel_map *map, unsigned long first,
		       unsigned long nr)
{
	const struct mmu_mapping scratch = {.addr = map->addr + (first << PAGE_SHIFT),
					    .bytes = nr << PAGE_SHIFT,
					    .prot = map->prot,
					    .flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE |
						     MAP_FIXED,
					    .fd = -1,
					    .offset = 0};

	forget_frames(map, first, nr);
	return PTR_ERR_OR_ZERO(mmu_host_mmap(mmu, scratch));
}

static struct kernel_map *find_reserved(struct mmu *mmu, const void *addr)
{
	struct kernel_map *map;

	guard(spinlock)(&mmu->lock);
	list_for_each_entry (map, &mmu->kernel_maps, node) {
		if (map->addr == (unsigned long)addr)
			return map->records ? map : nullptr;
	}
	return nullptr;
}

void *kernel_map_reserve(unsigned long nr, enum mmu_prot prot)
{
	struct mmu *mmu = current_mmu();
	struct kernel_map *map;

	if (!can_map(nr))
		return ERR_PTR(-EINVAL);
	map = make_map(mmu, nr, prot, 2); /* the guard is one */
	if (IS_ERR(map))
		return map;
	map->records = (u64 *)kvcalloc(nr, sizeof(u64), GFP_KERNEL);
	return finish_map(mmu, map, map->records ? map_scratch(mmu, map, 0, nr) : -ENOMEM);
}

int kernel_map_set(const void *addr, unsigned long first, struct page *const *pages,
		   unsigned long nr)
{
	struct mmu *mmu = current_mmu();
	struct kernel_map *map = find_reserved(mmu, addr);
	s64 worst;
	int err;

	if (WARN(!map, "no reserved kernel map starts at %p\n", addr) || nr == 0 ||
	    first >= map->nr || nr > map->nr - first || !mmu_pages_are_ours(mmu, pages, nr))
		return -EINVAL;
	/* The new mappings, and what they cut off behind them. */
	worst = mmu_count_runs(pages, nr) + 1;
	err = mmu_charge(mmu, worst);
	if (err)
		return err;
	forget_frames(map, first, nr);
	err = mmu_map_runs(mmu, map->addr + (first << PAGE_SHIFT), pages, nr, map->prot, MAP_FIXED);
	mmu_uncharge(mmu, worst);
	if (err)
		return kernel_map_scratch(addr, first, nr) ? err : -ENOTRECOVERABLE;
	record(mmu, map, first, pages, nr);
	return 0;
}

bool kernel_map_scratch(const void *addr, unsigned long first, unsigned long nr)
{
	struct mmu *mmu = current_mmu();
	struct kernel_map *map = find_reserved(mmu, addr);
	bool some;

	if (WARN(!map, "no reserved kernel map starts at %p\n", addr))
		return true;
	some = !map_scratch(mmu, map, first, nr);
	if (unlikely(!some)) {
		int err;

		first = 0;
		nr = map->nr;
		err = map_scratch(mmu, map, first, nr);
		if (err)
			kshim_violation(
				"mmu: the host refuses to unmap %lu pages at %#lx: error %d", nr,
				map->addr, err);
	}
	record(mmu, map, first, nullptr, nr);
	return some;
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
