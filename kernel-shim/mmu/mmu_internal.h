/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * mmu_internal.h - what the files of mmu/ share
 *
 *      memory.cc       memfd, window, direct map, pages        both hosts
 *      direct_map.cc   rights in the direct map                both hosts
 *      kernel_map.cc   frames side by side                     both hosts
 *      kernel_window.cc  the addresses that mm's vmap hands out  both hosts
 *      host_calls.cc   system calls, made to fail on demand    both hosts
 *      trap.cc         signals, kshim_try()                    both hosts
 *      range.h         frames with rights at real addresses    both hosts
 *      threads/        areas on the real MMU
 *      explore/        areas on a soft MMU, and on the real one beside it
 *
 * Locks: mmu->lock guards the list of kernel maps; nothing is taken under it. An area's own lock is
 * in its host's area header.
 */
#ifndef KSHIM_MMU_INTERNAL_H
#define KSHIM_MMU_INTERNAL_H

#include <kshim/machine.h>
#include <kshim/mmu.h>
#include <linux/list.h>
#include <linux/spinlock.h>

#include <sys/mman.h>

struct direct_map;
struct kept_memory;
struct mmu_host;

/*
 * Where the host is asked to put a machine's memory and its kernel maps. An explored schedule must
 * see the same addresses whenever it is run; elsewhere the host chooses (0).
 */
#define MMU_WINDOW_HINT (KSHIM_EXPLORE ? 0x200000000000ul : 0ul)
#define MMU_KERNEL_MAP_HINT (KSHIM_EXPLORE ? 0x280000000000ul : 0ul)
#define MMU_KERNEL_WINDOW_HINT (KSHIM_EXPLORE ? 0x2c0000000000ul : 0ul)

struct mmu {
	struct pv_machine *machine;

	/* Constant after init. */
	int memfd;
	char *window; /* MMU_WINDOW bytes, aligned to that */
	struct page *pages;
	unsigned long nr_pages;
	unsigned long nr_lowmem;  /* with a direct map */
	struct kept_memory *kept; /* by the explorer: memory stays when the machine goes */
	struct mmu_host *host;    /* the host's part: fault delivery */

	spinlock_t lock;
	struct list_head kernel_maps __guarded_by(lock);

	struct direct_map *direct_map; /* direct_map.h */

	/* Atomic: mm's window, and who is told of refused accesses in it. */
	struct kernel_window *kernel_window;
	void (*report)(unsigned long addr, bool write);

	/* Atomic. */
	s64 host_mappings, mapping_budget;
	long fail_call; /* calls to go; 0: off */
	u64 faults, faults_failed, installs, upgrades, protects, zaps, rebinds;
};

static inline struct mmu *current_mmu(void)
{
	return current_machine()->mmu;
}

/* Counters are no part of what the explorer looks at: no schedule point. */
static inline void mmu_count(u64 *counter, u64 n = 1)
{
	__atomic_fetch_add(counter, n, __ATOMIC_RELAXED);
}

/* memory.cc */
/* What else of the host's addresses an explored world uses, for the case that it is given up. */
void mmu_world_maps(struct mmu *mmu, unsigned long addr, size_t bytes);
void mmu_world_unmaps(struct mmu *mmu, unsigned long addr);
[[nodiscard]] int mmu_memory_init(struct mmu *mmu, size_t bytes, size_t lowmem_bytes);
void mmu_memory_exit(struct mmu *mmu);
/* Makes the host have memory for a frame, so that UFFDIO_CONTINUE finds it. 0 or -ENOMEM. */
[[nodiscard]] int mmu_populate(struct mmu *mmu, unsigned long pfn);

/* direct_map.cc */
[[nodiscard]] int mmu_direct_map_init(struct mmu *mmu);
void mmu_direct_map_exit(struct mmu *mmu);
/* A store at @addr was refused. True: go on, here or behind it. Runs in a signal handler. */
bool mmu_direct_map_trap(unsigned long addr, void *context);
/* A world before this one may have been given up while frames were protected. */
void mmu_direct_map_reset(struct mmu *mmu);

/* kernel_map.cc: reports what was never destroyed, and destroys it. */
void mmu_kernel_maps_exit(struct mmu *mmu);
/* Frames of the current machine, all of them? Host mappings for the runs of contiguous ones. */
bool mmu_pages_are_ours(const struct mmu *mmu, struct page *const *pages, unsigned long nr);
/* How many of @pages, from the first, are contiguous frames. */
unsigned long mmu_run_length(struct page *const *pages, unsigned long nr);
s64 mmu_count_runs(struct page *const *pages, unsigned long nr);
/*
 * Maps the runs over addresses that are the caller's; @fixed: MAP_FIXED or MAP_FIXED_NOREPLACE. On
 * failure a part of it may be mapped.
 */
[[nodiscard]] int mmu_map_runs(struct mmu *mmu, unsigned long addr, struct page *const *pages,
			       unsigned long nr, int prot, int fixed);

/* kernel_window.cc: an access was refused, and it is nobody's area. In a signal handler. */
void mmu_report_refused(unsigned long addr, bool write);

/* The host's part; also what it needs to be told by a trap. */
[[nodiscard]] int mmu_host_init(struct mmu *mmu);
void mmu_host_exit(struct mmu *mmu);

/* trap.cc: the signal handlers exist from the first get to the last put. */
[[nodiscard]] int mmu_traps_get(void);
void mmu_traps_put(void);
/* Leaves the innermost kshim_try() of this thread; returns when there is none. */
void mmu_fixup_jump(void);
/*
 * The host's part: an access at @addr was refused. True: make it again. Runs in a signal handler.
 */
bool mmu_resolve_trap(unsigned long addr, bool write);

/* What the host calls it: PROT_*. */
static inline int mmu_host_prot(enum mmu_prot prot)
{
	return prot == MMU_RW ? PROT_READ | PROT_WRITE : PROT_READ;
}

/* host_calls.cc: 0 or -errno. munmap of our own ranges cannot fail but by being asked to. */
struct mmu_mapping {
	unsigned long addr; /* 0: the host's choice */
	size_t bytes;
	int prot, flags, fd;
	u64 offset;
};
[[nodiscard]] void *mmu_host_mmap(struct mmu *mmu, const struct mmu_mapping &what);
[[nodiscard]] int mmu_host_mprotect(struct mmu *mmu, unsigned long addr, size_t bytes, int prot);
[[nodiscard]] int mmu_host_madvise(struct mmu *mmu, unsigned long addr, size_t bytes, int advice);
[[nodiscard]] int mmu_host_ioctl(struct mmu *mmu, int fd, unsigned long request, void *arg);
void mmu_host_munmap(unsigned long addr, size_t bytes);
/* May another @n mappings be made? They are counted then. @n below 0 gives back. 0 or -ENOMEM. */
[[nodiscard]] int mmu_charge(struct mmu *mmu, s64 n);
/* The same without a line in the log: for those who can make room. */
[[nodiscard]] bool mmu_try_charge(struct mmu *mmu, s64 n);
void mmu_uncharge(struct mmu *mmu, s64 n);
/* What the host allows this process, less a reserve. */
s64 mmu_default_budget(void);

#endif
