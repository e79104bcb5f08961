// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * kernel_window.cc - addresses of the kernel side whose owner says what is mapped where
 *
 *      | slots: a word a page | guard | the window: reserved, or frames | guard |
 *
 * W1. Every address of the window belongs to this process's reservation at any moment: frames are
 *     mapped over it and it is mapped over them, in one system call each. So no other mmap() of the
 *     process gets an address in between.
 * W2. A page is charged with the host mappings of its runs, and with one for the reservation that
 *     begins behind them: an upper bound, since neighbours may merge.
 *
 * Taking away is one mmap() of nothing over the range. It cannot fail: the mappings that it may
 * split are within the budget, which lies below the host's limit.
 */
#include "mmu_internal.h"

#include <linux/atomic.h>
#include <linux/err.h>
#include <linux/slab.h>

#include <errno.h>
#include <sys/mman.h>

constexpr int RESERVED_FLAGS = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;

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

static int host_prot(enum mmu_prot prot)
{
	return prot == MMU_RW ? PROT_READ | PROT_WRITE : PROT_READ;
}

static int make_slots(struct mmu *mmu, struct kernel_window *window, unsigned long base)
{
	if (!KSHIM_EXPLORE) {
		window->slots = (void **)base;
		window->mapped = nullptr;
		return mmu_host_mprotect(mmu, base, slots_bytes(window->nr_pages),
					 PROT_READ | PROT_WRITE);
	}
	window->slots = (void **)kcalloc(2 * window->nr_pages, sizeof(void *), GFP_KERNEL);
	window->mapped = (struct page **)window->slots + window->nr_pages;
	return window->slots ? 0 : -ENOMEM;
}

int kernel_window_reserve(struct kernel_window *window, unsigned long nr_pages)
{
	struct mmu *mmu = current_mmu();
	const struct mmu_mapping all = {.addr = MMU_KERNEL_WINDOW_HINT,
					.bytes = window_bytes(nr_pages),
					.prot = PROT_NONE,
					.flags = RESERVED_FLAGS,
					.fd = -1,
					.offset = 0};
	void *base = mmu_host_mmap(mmu, all);
	int err = PTR_ERR_OR_ZERO(base);

	if (err)
		return err;
	window->nr_pages = nr_pages;
	window->start = (unsigned long)base + slots_bytes(nr_pages) + PAGE_SIZE;
	err = make_slots(mmu, window, (unsigned long)base);
	if (err)
		mmu_host_munmap((unsigned long)base, all.bytes);
	return err;
}

void kernel_window_release(struct kernel_window *window)
{
	const size_t before = slots_bytes(window->nr_pages) + PAGE_SIZE;

	kernel_window_watch(window, nullptr);
	if (KSHIM_EXPLORE)
		kfree(window->slots);
	mmu_host_munmap(window->start - before, window_bytes(window->nr_pages));
}

/* The explorer's record; each page is a step, as other processors see it come and go. */
static void note_mapped(struct kernel_window *window, unsigned long first, unsigned long nr,
			struct page *const *pages)
{
	for (unsigned long i = 0; KSHIM_EXPLORE && i < nr; i++)
		WRITE_ONCE(window->mapped[first + i], pages ? pages[i] : nullptr);
}

static void unmap(struct kernel_window *window, unsigned long first, unsigned long nr)
{
	void *addr = (void *)page_addr(window, first);

	note_mapped(window, first, nr, nullptr);
	if (mmap(addr, nr << PAGE_SHIFT, PROT_NONE, RESERVED_FLAGS | MAP_FIXED, -1, 0) != addr)
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
	err = mmu_map_runs(mmu, page_addr(window, first), pages, nr, host_prot(prot));
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
				 refuse ? PROT_NONE : host_prot(prot));
}

void kernel_window_watch(struct kernel_window *window,
			 void (*report)(unsigned long addr, bool write))
{
	struct mmu *mmu = current_mmu();

	WRITE_ONCE(mmu->watched, report ? window : nullptr);
	smp_store_release(&mmu->report, report);
}

void mmu_report_refused(unsigned long addr, bool write)
{
	struct pv_machine *m = current_machine();
	struct mmu *mmu = m ? m->mmu : nullptr;
	void (*report)(unsigned long addr, bool write) =
		mmu ? smp_load_acquire(&mmu->report) : nullptr;
	const struct kernel_window *window = report ? READ_ONCE(mmu->watched) : nullptr;

	if (window && (addr - window->start) >> PAGE_SHIFT < window->nr_pages)
		report(addr, write);
}

long kernel_window_room(void)
{
	const struct mmu *mmu = current_mmu();

	return __atomic_load_n(&mmu->mapping_budget, __ATOMIC_RELAXED) -
	       __atomic_load_n(&mmu->host_mappings, __ATOMIC_RELAXED);
}
