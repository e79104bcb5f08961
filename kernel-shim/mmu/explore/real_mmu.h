/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * real_mmu.h - explored worlds on the real MMU
 *
 *      model (soft_mmu.h)    PTE changed | a step: flush, a step: flush | the call returns
 *      real MMU              ............ one system call, somewhere in here ............
 *
 * The soft MMU goes on as the model: it announces the steps, and says of every access whether it is
 * allowed. What it does to PTEs is done to the real MMU too, by userfaultfd or mprotect (range.h);
 * programs' accesses are real instructions on real addresses, and their refusals real signals.
 *
 * X1. What gives a right is done at once, in the step that changes the PTE.
 * X2. What takes a right away is one system call to the real MMU and several steps to the model.
 *     Where between the first step and the return it happens is free, and decided by need: when an
 *     access finds the model refusing and the real right still there; at the latest at the return.
 * X3. So two things can be wrong about an access. The model allows it by a stale TLB entry whose
 *     right is gone really: the real MMU cannot be made to keep such an entry, and the schedule is
 *     unfit. Anything else is a disagreement of the two, a violation: the hardware decides, by
 *     faulting or not, and the bytes must be those of the model's frame.
 * X4. Nothing in here is a step, allocates in the world or counts in the machine: the same schedule
 *     has the same decisions on either MMU. Addresses are the same in every world.
 *
 * One thread of a world runs at a time, so there are no locks here.
 */
#ifndef KSHIM_MMU_REAL_MMU_H
#define KSHIM_MMU_REAL_MMU_H

#include <linux/types.h>

struct mmu;
struct mmu_area;
struct page;
struct real_area;
struct real_mmu;
struct soft_access;

/* The real MMU that this world is to run on, made or used again; null: the soft one alone. */
struct real_mmu *real_mmu_get(struct mmu *mmu);

/* Is @addr one that areas get? @real may be null. */
bool real_owns(const struct real_mmu *real, unsigned long addr);

/*
 * For soft_area.cc, about an area that has an area->real; without one they do nothing.
 *
 * create: gives the area its addresses, too
 * gone: no walk finds it any more; destroy: nor does a TLB
 * strengthened: after the page's PTE got a right, or another frame
 * weakening/weakened: around everything that takes rights of these pages away
 */
void real_area_create(struct mmu_area *area);
void real_area_gone(struct mmu_area *area);
void real_area_destroy(struct mmu_area *area);
void real_bind(struct mmu_area *area, unsigned long first, struct page *const *pages,
	       unsigned long nr);
void real_strengthened(struct mmu_area *area, unsigned long index);
void real_weakening(struct mmu_area *area);
void real_weakened(struct mmu_area *area, unsigned long first, unsigned long nr);

/* Around the instruction. */
void real_access_begin(struct soft_access *access);
void real_access_end(struct soft_access *access);

/* @what: "a store at 0x.. ..." */
[[noreturn]] void real_disagrees(const struct soft_access *access, const char *what);

#endif
