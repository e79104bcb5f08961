// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * memory.cc - guest memory: one memfd, its direct map, the page array; the mmu's initcall
 *
 *      window (aligned to its size)
 *      | direct map: the memfd, frame 0 first | nothing | struct page array | nothing | alias |
 *
 * The alias is the direct map once more, for the hypervisor: its rights never change.
 *
 * With lowmem_bytes the direct map ends there, and what follows is reached by kernel maps only.
 *
 * The host gives memory to a frame when it is first touched. Huge pages are refused: one would give
 * memory to 512 frames at once, and userfaultfd would have to split it again.
 */
#include "mmu_internal.h"

#include <linux/err.h>
#include <linux/minmax.h>
#include <linux/printk.h>
#include <linux/slab.h>

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* MMU_WINDOW bytes of addresses with nothing behind them, aligned to MMU_WINDOW. */
static void *reserve_window(struct mmu *mmu)
{
	const struct mmu_mapping twice = {.addr = MMU_WINDOW_HINT,
					  .bytes = 2 * MMU_WINDOW,
					  .prot = PROT_NONE,
					  .flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
					  .fd = -1,
					  .offset = 0};
	void *ret = mmu_host_mmap(mmu, twice);
	unsigned long got = (unsigned long)ret, aligned;

	if (IS_ERR(ret))
		return ret;
	aligned = (got + MMU_WINDOW - 1) & ~(MMU_WINDOW - 1);
	if (aligned > got)
		mmu_host_munmap(got, aligned - got);
	mmu_host_munmap(aligned + MMU_WINDOW, got + MMU_WINDOW - aligned);
	return (void *)aligned;
}

static int make_memfd(size_t bytes)
{
	int fd = memfd_create("pvshim-memory", MFD_CLOEXEC);

	if (fd < 0)
		return -errno;
	if (ftruncate(fd, (off_t)bytes)) {
		int err = -errno;

		close(fd);
		return err;
	}
	return fd;
}

static int map_window(struct mmu *mmu)
{
	const size_t bytes = mmu->nr_lowmem << PAGE_SHIFT;
	const struct mmu_mapping direct = {.addr = (unsigned long)mmu->window,
					   .bytes = bytes,
					   .prot = PROT_READ | PROT_WRITE,
					   .flags = MAP_SHARED | MAP_FIXED,
					   .fd = mmu->memfd,
					   .offset = 0};
	const struct mmu_mapping array = {.addr = (unsigned long)mmu->window + MMU_PAGES_OFFSET,
					  .bytes = PAGE_ALIGN(mmu->nr_pages * sizeof(struct page)),
					  .prot = PROT_READ | PROT_WRITE,
					  .flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED |
						   MAP_NORESERVE,
					  .fd = -1,
					  .offset = 0};
	struct mmu_mapping alias = direct;
	void *ret;
	const struct mmu_mapping *const twice[] = {&direct, &alias};

	alias.addr += MMU_ALIAS_OFFSET;
	for (const struct mmu_mapping *what : twice) {
		ret = mmu_host_mmap(mmu, *what);
		if (IS_ERR(ret))
			return PTR_ERR_OR_ZERO(ret);
		/* A kernel without huge pages refuses the advice, and needs none. */
		(void)madvise(ret, bytes, MADV_NOHUGEPAGE);
	}
	ret = mmu_host_mmap(mmu, array);
	if (IS_ERR(ret))
		return PTR_ERR_OR_ZERO(ret);
	mmu->pages = (struct page *)ret;
	return 0;
}

/*
 * The explorer makes a machine for each schedule; making its memory anew would be most of the work.
 * So one memory is kept, and comes back zeroed. A world that is given up in its middle unmaps
 * nothing: what it had mapped besides is written down here, and unmapped before the next one.
 */
struct world_map {
	unsigned long addr;
	size_t bytes;
};

struct kept_memory {
	struct world_map *maps;
	unsigned int nr_maps, max_maps;
	char *window;
	int memfd;
	size_t bytes;
	unsigned long nr_lowmem;
	bool traps; /* a wild access in one of the worlds is a violation, and not the end of us */
};

void mmu_world_maps(struct mmu *mmu, unsigned long addr, size_t bytes)
{
	struct kept_memory *kept = mmu->kept;

	if (!kept)
		return;
	if (kept->nr_maps == kept->max_maps) {
		const unsigned int more = 2 * kept->max_maps + 8;
		void *maps = realloc(kept->maps, more * sizeof(kept->maps[0]));

		if (!maps)
			kshim_violation("no host memory for the explorer");
		kept->maps = (struct world_map *)maps;
		kept->max_maps = more;
	}
	kept->maps[kept->nr_maps++] = {addr, bytes};
}

void mmu_world_unmaps(struct mmu *mmu, unsigned long addr)
{
	struct kept_memory *kept = mmu->kept;

	for (unsigned int i = 0; kept && i < kept->nr_maps; i++) {
		if (kept->maps[i].addr == addr) {
			kept->maps[i] = kept->maps[--kept->nr_maps];
			return;
		}
	}
}

static void unmap_world(struct kept_memory *kept)
{
	while (kept->nr_maps) {
		const struct world_map *map = &kept->maps[--kept->nr_maps];

		mmu_host_munmap(map->addr, map->bytes);
	}
}

static void drop_kept(void *object)
{
	struct kept_memory *kept = (struct kept_memory *)object;

	unmap_world(kept);
	free(kept->maps);
	mmu_host_munmap((unsigned long)kept->window, MMU_WINDOW);
	close(kept->memfd);
	if (kept->traps)
		mmu_traps_put();
	free(kept);
}

static void keep_memory(struct mmu *mmu, size_t bytes)
{
	struct kept_memory *kept = (struct kept_memory *)malloc(sizeof(*kept));

	if (!kept)
		return;
	*kept = {.maps = nullptr,
		 .nr_maps = 0,
		 .max_maps = 0,
		 .window = mmu->window,
		 .memfd = mmu->memfd,
		 .bytes = bytes,
		 .nr_lowmem = mmu->nr_lowmem,
		 .traps = false};
	if (!kshim_keep(KSHIM_KEPT_MEMORY, kept, drop_kept)) {
		free(kept);
		return;
	}
	mmu->kept = kept;
	kept->traps = mmu_traps_get() == 0;
}

/* High memory comes back zeroed too. */
static void discard_high(struct mmu *mmu)
{
	off_t start = (off_t)(mmu->nr_lowmem << PAGE_SHIFT);

	if (fallocate(mmu->memfd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, start,
		      (off_t)(mmu->nr_pages << PAGE_SHIFT) - start))
		kshim_violation("guest memory cannot be discarded: errno %d", errno);
}

static bool take_kept(struct mmu *mmu, size_t bytes)
{
	struct kept_memory *kept = (struct kept_memory *)kshim_kept(KSHIM_KEPT_MEMORY);

	if (!kept || kept->bytes != bytes || kept->nr_lowmem != mmu->nr_lowmem)
		return false;
	unmap_world(kept);
	mmu->window = kept->window;
	mmu->memfd = kept->memfd;
	mmu->nr_pages = bytes >> PAGE_SHIFT;
	mmu->pages = (struct page *)(kept->window + MMU_PAGES_OFFSET);
	mmu->kept = kept;
	mmu_direct_map_reset(mmu);
	memset(mmu->window, 0, mmu->nr_lowmem << PAGE_SHIFT);
	if (mmu->nr_lowmem < mmu->nr_pages)
		discard_high(mmu);
	memset((void *)mmu->pages, 0, mmu->nr_pages * sizeof(struct page));
	return true;
}

int mmu_memory_init(struct mmu *mmu, size_t bytes, size_t lowmem_bytes)
{
	void *window;
	int err;

	if (bytes == 0 || !PAGE_ALIGNED(bytes) || bytes > MMU_MEMORY_MAX) {
		pr_err("mmu: %zu bytes of guest memory: must be whole pages, at most %lu bytes\n",
		       bytes, MMU_MEMORY_MAX);
		return -EINVAL;
	}
	if (lowmem_bytes > bytes || !PAGE_ALIGNED(lowmem_bytes)) {
		pr_err("mmu: %zu bytes of low memory: must be whole pages, at most all %zu bytes\n",
		       lowmem_bytes, bytes);
		return -EINVAL;
	}
	mmu->nr_lowmem = (lowmem_bytes ? lowmem_bytes : bytes) >> PAGE_SHIFT;
	if (KSHIM_EXPLORE && take_kept(mmu, bytes))
		return 0;
	window = reserve_window(mmu);
	if (IS_ERR(window)) {
		pr_err("mmu: cannot reserve %lu bytes of addresses (error %d); is there a limit "
		       "(ulimit -v)?\n",
		       2 * MMU_WINDOW, PTR_ERR_OR_ZERO(window));
		return PTR_ERR_OR_ZERO(window);
	}
	mmu->window = (char *)window;
	mmu->nr_pages = bytes >> PAGE_SHIFT;
	mmu->memfd = make_memfd(bytes);
	if (mmu->memfd < 0) {
		err = mmu->memfd;
		pr_err("mmu: no memfd of %zu bytes for guest memory: error %d\n", bytes, err);
		goto unmap;
	}
	err = map_window(mmu);
	if (err) {
		pr_err("mmu: cannot map %zu bytes of guest memory: error %d\n", bytes, err);
		goto close_memfd;
	}
	if (KSHIM_EXPLORE)
		keep_memory(mmu, bytes);
	return 0;

close_memfd:
	close(mmu->memfd);
unmap:
	mmu_host_munmap((unsigned long)mmu->window, MMU_WINDOW);
	return err;
}

void mmu_memory_exit(struct mmu *mmu)
{
	if (mmu->kept)
		return;
	mmu_host_munmap((unsigned long)mmu->window, MMU_WINDOW);
	close(mmu->memfd);
}

int mmu_populate(struct mmu *mmu, unsigned long pfn)
{
	/* Not through the direct map: here a host without memory says so, there by SIGBUS. */
	if (fallocate(mmu->memfd, 0, (off_t)(pfn << PAGE_SHIFT), PAGE_SIZE))
		return errno == EINTR ? 0 : -ENOMEM;
	return 0;
}

void mmu_page_discard(struct page *page)
{
	struct mmu *mmu = current_mmu();
	off_t offset = (off_t)(page_to_pfn(page) << PAGE_SHIFT);

	if (!fallocate(mmu->memfd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, offset, PAGE_SIZE))
		return;
	/* The promise that matters. */
	if (page_address(page))
		memset(page_address(page), 0, PAGE_SIZE);
	else
		kshim_violation("guest memory cannot be discarded: errno %d", errno);
}

struct page *mmu_page_array(unsigned long *nr_pages)
{
	*nr_pages = current_mmu()->nr_pages;
	return current_mmu()->pages;
}

unsigned long mmu_lowmem_pages(void)
{
	return current_mmu()->nr_lowmem;
}

bool pfn_valid(unsigned long pfn)
{
	return pfn < current_mmu()->nr_pages;
}

struct page *pfn_to_page(unsigned long pfn)
{
	return current_mmu()->pages + pfn;
}

void mmu_stats(struct mmu_stats *stats)
{
	const struct mmu *mmu = current_mmu();
	const auto get = [](const u64 *p) { return __atomic_load_n(p, __ATOMIC_RELAXED); };

	*stats = {
		.faults = get(&mmu->faults),
		.faults_failed = get(&mmu->faults_failed),
		.installs = get(&mmu->installs),
		.upgrades = get(&mmu->upgrades),
		.protects = get(&mmu->protects),
		.zaps = get(&mmu->zaps),
		.rebinds = get(&mmu->rebinds),
		.host_mappings = (u64)__atomic_load_n(&mmu->host_mappings, __ATOMIC_RELAXED),
	};
}

static int mmu_init(struct pv_machine *m)
{
	struct mmu *mmu = kzalloc_obj(struct mmu, GFP_KERNEL);
	int err;

	if (!mmu)
		return -ENOMEM;
	mmu->machine = m;
	mmu->mapping_budget = mmu_default_budget();
	spin_lock_init(&mmu->lock);
	scoped_guard (spinlock, &mmu->lock)
		INIT_LIST_HEAD(&mmu->kernel_maps);
	err = mmu_memory_init(mmu, m->config.memory_bytes, m->config.lowmem_bytes);
	if (err)
		goto free_mmu;
	err = mmu_direct_map_init(mmu);
	if (err)
		goto free_memory;
	err = mmu_host_init(mmu);
	if (err)
		goto free_direct_map;
	m->mmu = mmu;
	return 0;

free_direct_map:
	mmu_direct_map_exit(mmu);
free_memory:
	mmu_memory_exit(mmu);
free_mmu:
	kfree(mmu);
	return err;
}

static void mmu_exit(struct pv_machine *m)
{
	struct mmu *mmu = m->mmu;

	mmu_kernel_maps_exit(mmu);
	mmu_host_exit(mmu);
	mmu_direct_map_exit(mmu);
	mmu_memory_exit(mmu);
	kfree(mmu);
	m->mmu = nullptr;
}

const struct machine_initcall mmu_initcall = {"mmu", mmu_init, mmu_exit};
