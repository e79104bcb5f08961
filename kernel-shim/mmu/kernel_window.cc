// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * kernel_window.cc - addresses of the kernel side whose owner says what is mapped where
 *
 *      | slots: a word a page | guard | the window: frames, or nothing | guard |
 *
 * W1. No mmap() of the process gets an address of the window but ours. Where possible the window
 *     lies apart: far below the places where the host puts mappings that ask for no address, in
 *     both of its layouts (from the top down; with an unlimited stack from a third upwards). Then
 *     what is not mapped is a hole, mapping fills it and munmap() makes it again, at no more cost
 *     than these calls; somebody who asks for one of these addresses all the same is found out at
 *     once, since ours never replace anything. Where it is not possible (a sanitizer has other uses
 *     for those addresses; explored worlds have a place of their own) the whole window is reserved:
 *     frames replace a piece of the reservation, and it replaces them, in one call each.
 * W2. An area is charged with the host mappings of its runs, and with one for the reservation that
 *     begins behind them: an upper bound, since neighbours may merge.
 */
#include "mmu_internal.h"

#include <kshim/mutant.h>
#include <linux/atomic.h>
#include <linux/err.h>
#include <linux/slab.h>

#include <errno.h>
#include <sys/mman.h>

constexpr int RESERVED_FLAGS = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;

/* Places apart: below a third of the addresses, above what is linked to a fixed address. */
constexpr unsigned long APART_FIRST = 0x100000000000ul;
constexpr unsigned long APART_STRIDE = 1ul << 37;
constexpr unsigned int APART_PLACES = 64;

/* The slots lie in front of the window; an explored world has them among its other objects. */
static size_t slots_bytes(unsigned long nr_pages)
{
	return KSHIM_EXPLORE ? 0 : PAGE_ALIGN(nr_pages * sizeof(void *));
}

static size_t window_bytes(unsigned long nr_pages)
{
	return slots_bytes(nr_pages) + ((nr_pages + 2) << PAGE_SHIFT);
}

static unsigned long page_addr(const struct kernel_window *window, unsigned long page)
{
	return window->start + (page << PAGE_SHIFT);
}

/* The slots are what says that a place is taken. */
static bool find_place_apart(struct mmu *mmu, struct kernel_window *window)
{
	if (KSHIM_EXPLORE || window_bytes(window->nr_pages) > APART_STRIDE)
		return false;
	for (unsigned long i = 0; i < APART_PLACES; i++) {
		const struct mmu_mapping slots = {.addr = APART_FIRST + i * APART_STRIDE,
						  .bytes = slots_bytes(window->nr_pages),
						  .prot = PROT_READ | PROT_WRITE,
						  .flags = RESERVED_FLAGS | MAP_FIXED_NOREPLACE,
						  .fd = -1,
						  .offset = 0};
		void *got = mmu_host_mmap(mmu, slots);

		if (IS_ERR(got))
			continue;
		if ((unsigned long)got == slots.addr) {
			window->slots = (void **)got;
			window->apart = true;
			return true;
		}
		/* A host without MAP_FIXED_NOREPLACE, where somebody is. */
		mmu_host_munmap((unsigned long)got, slots.bytes);
	}
	return false;
}

static int reserve_all(struct mmu *mmu, struct kernel_window *window)
{
	const struct mmu_mapping all = {.addr = MMU_KERNEL_WINDOW_HINT,
					.bytes = window_bytes(window->nr_pages),
					.prot = PROT_NONE,
					.flags = RESERVED_FLAGS,
					.fd = -1,
					.offset = 0};
	void *base = mmu_host_mmap(mmu, all);
	int err = PTR_ERR_OR_ZERO(base);

	if (err)
		return err;
	window->apart = false;
	mmu_world_maps(mmu, (unsigned long)base, all.bytes);
	if (KSHIM_EXPLORE) {
		window->start = (unsigned long)base + PAGE_SIZE;
		/* Slots, page table, TLBs. */
		window->slots = (void **)kcalloc((2 + kshim_nr_cpus()) * window->nr_pages,
						 sizeof(void *), GFP_KERNEL);
		window->mapped = (struct page **)window->slots + window->nr_pages;
		window->tlbs = window->mapped + window->nr_pages;
		err = window->slots ? 0 : -ENOMEM;
	} else {
		window->slots = (void **)base;
		err = mmu_host_mprotect(mmu, (unsigned long)base, slots_bytes(window->nr_pages),
					PROT_READ | PROT_WRITE);
	}
	if (err) {
		mmu_world_unmaps(mmu, (unsigned long)base);
		mmu_host_munmap((unsigned long)base, all.bytes);
	}
	return err;
}

int kernel_window_reserve(struct kernel_window *window, unsigned long nr_pages)
{
	struct mmu *mmu = current_mmu();

	*window = {.start = 0,
		   .nr_pages = nr_pages,
		   .slots = nullptr,
		   .mapped = nullptr,
		   .tlbs = nullptr,
		   .apart = false};
	if (!find_place_apart(mmu, window)) {
		int err = reserve_all(mmu, window);

		if (err)
			return err;
	}
	if (!KSHIM_EXPLORE)
		window->start = (unsigned long)window->slots + slots_bytes(nr_pages) + PAGE_SIZE;
	WRITE_ONCE(mmu->kernel_window, window);
	return 0;
}

void kernel_window_release(struct kernel_window *window)
{
	const size_t before = slots_bytes(window->nr_pages) + PAGE_SIZE;

	kernel_window_watch(nullptr);
	WRITE_ONCE(current_mmu()->kernel_window, nullptr);
	if (KSHIM_EXPLORE)
		kfree(window->slots);
	mmu_world_unmaps(current_mmu(), window->start - before);
	mmu_host_munmap(window->start - before, window_bytes(window->nr_pages));
}

/* The explorer's page table; each page is a step, as other processors see it come and go. */
static void note_mapped(struct kernel_window *window, unsigned long first, unsigned long nr,
			struct page *const *pages)
{
	for (unsigned long i = 0; KSHIM_EXPLORE && i < nr; i++)
		WRITE_ONCE(window->mapped[first + i], pages ? pages[i] : nullptr);
}

/* The explorer's TLBs, an interrupt for each processor that has something to forget. */
static void flush_tlbs(struct kernel_window *window, unsigned long first, unsigned long nr)
{
	for (unsigned int cpu = 0; KSHIM_EXPLORE && cpu < kshim_nr_cpus(); cpu++) {
		struct page **tlb = window->tlbs + cpu * window->nr_pages;

		/* Mutant: the others' are forgotten. */
		if (KSHIM_MUTANT(vmap_flushed_here_only) && cpu != kshim_cpu())
			continue;
		for (unsigned long i = first; i < first + nr; i++) {
			if (tlb[i])
				WRITE_ONCE(tlb[i], nullptr);
		}
	}
}

static void unmap(struct kernel_window *window, unsigned long first, unsigned long nr)
{
	void *addr = (void *)page_addr(window, first);
	const size_t bytes = nr << PAGE_SHIFT;

	note_mapped(window, first, nr, nullptr);
	flush_tlbs(window, first, nr);
	kshim_unalias(addr, bytes);
	if (window->apart)
		mmu_host_munmap((unsigned long)addr, bytes);
	else if (mmap(addr, bytes, PROT_NONE, RESERVED_FLAGS | MAP_FIXED, -1, 0) != addr)
		kshim_violation("unmapping %lu pages at %p failed: errno %d", nr, addr, errno);
}

long kernel_window_map(struct kernel_window *window, unsigned long first, struct page *const *pages,
		       unsigned long nr, enum mmu_prot prot)
{
	struct mmu *mmu = current_mmu();
	s64 charge;
	int err;

	if (!nr || first + nr > window->nr_pages || !mmu_pages_are_ours(mmu, pages, nr))
		return -EINVAL;
	charge = mmu_count_runs(pages, nr) + 1;
	if (!mmu_try_charge(mmu, charge))
		return -ENOMEM;
	err = mmu_map_runs(mmu, page_addr(window, first), pages, nr, mmu_host_prot(prot),
			   window->apart ? MAP_FIXED_NOREPLACE : MAP_FIXED);
	if (err == -EEXIST)
		kshim_violation("somebody else maps something in the kernel's window at %#lx",
				page_addr(window, first));
	if (err) {
		unmap(window, first, nr);
		mmu_uncharge(mmu, charge);
		return err;
	}
	note_mapped(window, first, nr, pages);
	return charge;
}

void kernel_window_unmap(struct kernel_window *window, unsigned long first, unsigned long nr,
			 long charged)
{
	unmap(window, first, nr);
	mmu_uncharge(current_mmu(), charged);
}

int kernel_window_refuse(struct kernel_window *window, unsigned long first, unsigned long nr,
			 bool refuse, enum mmu_prot prot)
{
	return mmu_host_mprotect(current_mmu(), page_addr(window, first), nr << PAGE_SHIFT,
				 refuse ? PROT_NONE : mmu_host_prot(prot));
}

void kernel_window_watch(void (*report)(unsigned long addr, bool write))
{
	smp_store_release(&current_mmu()->report, report);
}

void mmu_report_refused(unsigned long addr, bool write)
{
	struct pv_machine *m = current_machine();
	struct mmu *mmu = m ? m->mmu : nullptr;
	void (*report)(unsigned long addr, bool write) =
		mmu ? smp_load_acquire(&mmu->report) : nullptr;
	const struct kernel_window *window = report ? READ_ONCE(mmu->kernel_window) : nullptr;

	if (window && (addr - window->start) >> PAGE_SHIFT < window->nr_pages)
		report(addr, write);
}

#if KSHIM_EXPLORE
struct page *kernel_window_load(const void *addr)
{
	struct kernel_window *window = READ_ONCE(current_mmu()->kernel_window);
	unsigned long i = ((unsigned long)addr - window->start) >> PAGE_SHIFT;
	struct page **tlb = window->tlbs + kshim_cpu() * window->nr_pages;
	struct page *page = READ_ONCE(tlb[i]);

	if (page)
		return page;
	/* No step in between: an instruction is not interrupted between its walk and its fill. */
	page = READ_ONCE(window->mapped[i]);
	tlb[i] = page;
	return page;
}

struct page *kernel_window_reached(const void *addr)
{
	const struct kernel_window *window = READ_ONCE(current_mmu()->kernel_window);
	unsigned long i = ((unsigned long)addr - window->start) >> PAGE_SHIFT;
	struct page *page = nullptr;

	if (i >= window->nr_pages)
		return nullptr;
	page = READ_ONCE(window->mapped[i]);
	for (unsigned int cpu = 0; !page && cpu < kshim_nr_cpus(); cpu++)
		page = window->tlbs[cpu * window->nr_pages + i];
	return page;
}

const void *kernel_window_start(void)
{
	return (const void *)READ_ONCE(current_mmu()->kernel_window)->start;
}
#endif

long kernel_window_room(void)
{
	const struct mmu *mmu = current_mmu();

	return __atomic_load_n(&mmu->mapping_budget, __ATOMIC_RELAXED) -
	       __atomic_load_n(&mmu->host_mappings, __ATOMIC_RELAXED);
}
