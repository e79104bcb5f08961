/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * soft_mmu.h - areas of explored worlds: page tables and TLBs of our own
 *
 *      soft_area.cc    the calls of <kshim/mmu.h>
 *      soft_mmu.cc     TLBs and page walks
 *      user.cc         the accesses of programs, <kshim/user.h>
 *      real_mmu.h      the same on the real MMU beside it, when the world wants that
 *
 *      kshim_user_store32(addr)           steps:
 *        schedule point                     TLB of this processor: allowed?  -> the access
 *        schedule point                     else the page table: allowed?  set A, D, fill the TLB
 *                                           and once more
 *                                         else ops->fault(), and once more
 *
 * S1. Check and access are one step, as one instruction is to a shootdown that waits for the
 *     processor. Setting A and D is a step before it, one read-modify-write of the PTE: whoever
 *     changes a PTE by a plain load and a plain store can lose them. A TLB entry with D in it does
 *     not set D again.
 * S2. A TLB entry stays until it is flushed, whatever happens to the page table. Changing a PTE and
 *     flushing each processor's TLB are steps of their own, so what a stale entry lets through is
 *     let through here too.
 * S3. A processor that finds an entry too weak looks at the page table again (no fault by a stale
 *     entry).
 *
 * Fibers run one at a time and switch at schedule points only, so there are no locks here.
 */
#ifndef KSHIM_MMU_SOFT_MMU_H
#define KSHIM_MMU_SOFT_MMU_H

#include "../mmu_internal.h"

#define SOFT_PRESENT 1ul
#define SOFT_WRITABLE 2ul
#define SOFT_ACCESSED 4ul
#define SOFT_DIRTY 8ul
#define SOFT_FLAGS (PAGE_SIZE - 1)

/* Where programs' addresses begin. */
#define SOFT_FIRST_ADDR 0x300000000000ul

#define SOFT_CPUS_MAX 8
#define SOFT_TLB_ENTRIES 16

struct soft_tlb_entry {
	unsigned long addr; /* of the page; 0: empty */
	u64 pte;            /* as it was */
};

struct soft_tlb {
	struct soft_tlb_entry entries[SOFT_TLB_ENTRIES];
	unsigned int next; /* replaced when all are full */
};

struct mmu_host {
	struct mmu_area *areas;  /* not a list_head: its functions have schedule points */
	unsigned long next_addr; /* addresses are never used twice */
	struct real_mmu *real;   /* null: programs run on the soft MMU alone */
	struct soft_tlb tlbs[SOFT_CPUS_MAX];
};

struct mmu_area {
	struct mmu *mmu;
	const struct mmu_area_ops *ops;
	void *owner;
	unsigned long start, nr_pages;
	enum mmu_delivery delivery;
	struct mmu_area *next;
	struct real_area *real; /* what is at its addresses really; null as host->real */
	u32 faults;             /* in flight; destroy sleeps on it */
	u64 ptes[];             /* pfn << PAGE_SHIFT | SOFT_* */
};

/*
 * S4. Whatever touches a page in any way (its PTE, a TLB's entry of it, the bytes through it) is
 * announced as an access to one word, the page's: the explorer leaves out preemptions before
 * accesses that nobody else could disturb, and an entry that is still there lets a store through
 * long after the PTE changed. The word is an address that stands for the page, and for it alone,
 * whether its area still exists or not; nothing is there.
 */
static inline const void *soft_word(unsigned long addr)
{
	return (const void *)((addr >> PAGE_SHIFT) * sizeof(u64));
}

static inline void soft_point(unsigned long addr, unsigned long nr, enum kshim_point_kind kind)
{
	kshim_point(kind, soft_word(addr), (unsigned int)(nr * sizeof(u64)));
}

/* Drops the TLBs' entries of these pages; a step for each processor that has some. */
void soft_flush(struct mmu_area *area, unsigned long first, unsigned long nr);

/* Null: nobody's. */
struct mmu_area *soft_find_area(struct mmu_host *host, unsigned long addr);

/* An access of a program. */
struct soft_access {
	struct mmu *mmu;
	unsigned long addr;
	bool write;
	/* The soft MMU's answer: where the byte is; null: refused. */
	char *at;
	bool stale; /* a TLB's entry allows it, and the page table would not any more */
};

/* No schedule point in these two. What this processor's TLB lets through, as of now: into @at. */
bool soft_look_up(struct soft_access *access);
/* Asks the page table, sets A and D, fills the TLB. False: refused. */
bool soft_fill(struct soft_access *access);

/*
 * user.cc: one attempt, up to the step in which the access is made or refused; and the fault after
 * a refusal, which returns when the access is to be tried again, and else leaves the program.
 */
void user_attempt(struct soft_access *access);
void user_fault(struct soft_access *access);

#endif
