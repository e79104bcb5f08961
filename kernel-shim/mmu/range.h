/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * range.h - addresses of the host whose pages are frames with rights
 *
 *      range.cc        the record of every page, and what is charged for host mappings
 *      uffd.cc         rights by userfaultfd
 *      uffd_open.cc    userfaultfd: is it there, can it do what we need
 *      mprot.cc        rights by mprotect
 *
 * What the real MMU is made to do, for whoever needs it: an area of a program (threads/area.cc), or
 * the shadow that an explored area has on the real MMU (explore/real_mmu.cc). No locks and no
 * schedule points in here.
 *
 * A page is in one of these states, kept in its record:
 *
 *      nothing --bind--> bound --install--> present, RO or RW --zap--> bound
 *      refused: its last fault failed; for system calls it stays failed until it is bound again
 *
 * R1. A record changes together with the host's mapping: the mapping first, then the record.
 * R2. Calls on one range are made one after the other: the owner sees to that. Records are written
 *     by these calls, and read by anybody at any time.
 *
 * How a call that returns nothing deals with a host that refuses: what takes rights away must not
 * fail, so it takes more away instead. Protecting becomes zapping (the owner's fault callback is
 * asked once more), and zapping forgets what is bound. If even that is refused the machine stops:
 * I1 of mmu.h would be broken.
 */
#ifndef KSHIM_MMU_RANGE_H
#define KSHIM_MMU_RANGE_H

#include "mmu_internal.h"

#include <linux/minmax.h>

/* The record of a page: bits 0 and 1, and above them what is bound: a frame's number plus one. */
#define RECORD_PRESENT 1ul
#define RECORD_WRITABLE 2ul
#define RECORD_RIGHTS 3ul
#define RECORD_NOTHING 0ul
#define RECORD_REFUSED (~3ul)

static inline u64 record_of(unsigned long pfn)
{
	return ((u64)pfn + 1) << 2;
}

static inline u64 record_with(unsigned long pfn, enum mmu_prot prot)
{
	return record_of(pfn) | RECORD_PRESENT | (prot == MMU_RW ? RECORD_WRITABLE : 0);
}

static inline bool record_is_bound(u64 record)
{
	u64 what = record & ~RECORD_RIGHTS;

	return what != RECORD_NOTHING && what != RECORD_REFUSED;
}

static inline unsigned long record_pfn(u64 record)
{
	return (unsigned long)(record >> 2) - 1;
}

static inline u64 record_get(const u64 *records, unsigned long index)
{
	return __atomic_load_n(&records[index], __ATOMIC_ACQUIRE);
}

struct mmu_range;

/*
 * How rights are made. Pages are numbers in the range. All return 0 or -errno, and after an error
 * the page may be anything that faults.
 */
struct range_backend {
	/* Nothing there; accesses fault. */
	int (*clear)(const struct mmu_range &range, unsigned long first, unsigned long nr);
	/* Accesses fail, also those of system calls, until bind or clear. */
	int (*refuse)(const struct mmu_range &range, unsigned long first);
	/* @nr contiguous frames become what install() will install. */
	int (*bind)(const struct mmu_range &range, unsigned long first, unsigned long nr,
		    unsigned long pfn);
	/* A bound page becomes present. */
	int (*install)(const struct mmu_range &range, unsigned long index, enum mmu_prot prot);
	/* Changes the right to store in the present ones of these pages. */
	int (*protect)(const struct mmu_range &range, unsigned long first, unsigned long nr,
		       enum mmu_prot prot);
	int (*zap)(const struct mmu_range &range, unsigned long first, unsigned long nr);
	/* Do rights split host mappings? */
	bool rights_split;
};

/* uffd.cc, mprot.cc */
extern const struct range_backend uffd_backend, mprot_backend;

struct mmu_range {
	struct mmu *mmu; /* the memfd, and who pays for system calls and mappings */
	const struct range_backend *backend;
	int uffd; /* -1: mprotect */
	unsigned long start, nr_pages;
	u64 *records; /* nr_pages of them, zeroed by the owner */
	s64 charged;  /* host mappings */
};

static inline unsigned long range_addr(const struct mmu_range &range, unsigned long index)
{
	return range.start + (index << PAGE_SHIFT);
}

/* The pages [*@first, *@first + *@nr) of those from @addr on that are among @nr_pages at @start. */
static inline bool pages_clip(unsigned long start, unsigned long nr_pages, unsigned long addr,
			      unsigned long *first, unsigned long *nr)
{
	*first = (addr - start) >> PAGE_SHIFT;
	if (addr < start || *first >= nr_pages || *nr == 0)
		return false;
	*nr = min(*nr, nr_pages - *first);
	return true;
}

/*
 * Reserved addresses of the host's (PROT_NONE, nothing behind them) become pages that fault.
 * @range: filled in but for `charged`. 0, or -errno: then nothing has changed.
 */
[[nodiscard]] int range_create(struct mmu_range &range);
/* Reserved addresses again. */
void range_destroy(struct mmu_range &range);

/* As mmu_map(), mmu_bind(), mmu_protect() and mmu_zap() on pages that are known to be inside. */
[[nodiscard]] int range_map(struct mmu_range &range, unsigned long index, unsigned long pfn,
			    enum mmu_prot prot);
[[nodiscard]] int range_bind(struct mmu_range &range, unsigned long first,
			     struct page *const *pages, unsigned long nr);
void range_protect(struct mmu_range &range, unsigned long first, unsigned long nr,
		   enum mmu_prot prot);
void range_zap(struct mmu_range &range, unsigned long first, unsigned long nr);
/* A fault of a thread in the kernel failed for good: make it fail. */
void range_refuse(struct mmu_range &range, unsigned long index);

/*
 * uffd_open.cc: a userfaultfd that resolves faults of programs in the faulting thread, or
 * (@system_calls) all faults by a thread that reads them. Found out by doing it, on frame 0.
 * Return: the descriptor, or -1 and one line in @problem.
 */
int uffd_open(struct mmu *mmu, bool system_calls, char *problem, size_t size);

#endif
