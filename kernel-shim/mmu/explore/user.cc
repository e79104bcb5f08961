// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * user.cc - the accesses of programs in explored worlds
 *
 *      soft    attempt -> refused? the fault, here -> attempt ... -> the access, through the
 *              frame's direct map
 *      real    attempt -> the instruction on the real address
 *                           -> refused? a signal: the fault, in its handler -> attempt -> return
 *                              to the instruction
 *
 * Steps and answers are the same either way, and in the same order: so a schedule means the same.
 */
#include "real_mmu.h"
#include "soft_mmu.h"

#include <kshim/user.h>
#include <linux/atomic.h>
#include <linux/kernel.h>
#include <linux/sched.h>

#include <limits.h>

void user_attempt(struct soft_access *access)
{
	for (;;) {
		bool found = soft_look_up(access);

		/* A walk sets A or D in the PTE. */
		soft_point(access->addr, 1, access->write || !found ? KSHIM_RMW : KSHIM_LOAD);
		/* No schedule point from here to the access. */
		if (found) {
			if (soft_look_up(access))
				return;
			continue; /* flushed meanwhile: so it is to be another step */
		}
		if (!soft_fill(access))
			return;
	}
}

/* The owner is asked. False: the access fails for good. */
static bool soft_fault(const struct soft_access *access)
{
	struct mmu *mmu = access->mmu;
	struct mmu_area *area = soft_find_area(mmu->host, access->addr);
	int err;

	if (!area)
		return false;
	area->faults++;
	kshim_note("%s to PTE %lu faults", access->write ? "store" : "load",
		   (access->addr - area->start) >> PAGE_SHIFT);
	err = area->ops->fault(area, access->addr, access->write);
	if (--area->faults == 0)
		kshim_wake(&area->faults, INT_MAX);
	mmu_count(&mmu->faults);
	if (err)
		mmu_count(&mmu->faults_failed);
	return err == 0;
}

void user_fault(struct soft_access *access)
{
	if (soft_fault(access))
		return;
	mmu_fixup_jump();
	kshim_violation("a program's %s at %#lx faults and nobody resolves it",
			access->write ? "store" : "load", access->addr);
}

static struct soft_access access_of(unsigned long addr, bool write, unsigned int size)
{
	BUG_ON(offset_in_page(addr) + size > PAGE_SIZE);
	return {.mmu = current_mmu(), .addr = addr, .write = write, .at = nullptr, .stale = false};
}

static char *soft_way(struct soft_access *access)
{
	for (user_attempt(access); !access->at; user_attempt(access))
		user_fault(access);
	return access->at;
}

template <typename T>
static T user_load(unsigned long addr)
{
	struct soft_access access = access_of(addr, false, sizeof(T));

	if (!real_owns(access.mmu->host->real, addr))
		return *(volatile T *)soft_way(&access);
	user_attempt(&access);
	real_access_begin(&access);
	T value = *(volatile T *)addr;
	real_access_end(&access);
	if (value != *(volatile T *)access.at)
		real_disagrees(&access, "reads another frame");
	return value;
}

template <typename T>
static void user_store(unsigned long addr, T value)
{
	struct soft_access access = access_of(addr, true, sizeof(T));

	if (!real_owns(access.mmu->host->real, addr)) {
		*(volatile T *)soft_way(&access) = value;
		return;
	}
	user_attempt(&access);
	real_access_begin(&access);
	*(volatile T *)addr = value;
	real_access_end(&access);
	if (*(volatile T *)access.at != value)
		real_disagrees(&access, "goes to another frame");
}

u8 kshim_user_load8(unsigned long addr)
{
	return user_load<u8>(addr);
}

u32 kshim_user_load32(unsigned long addr)
{
	return user_load<u32>(addr);
}

void kshim_user_store8(unsigned long addr, u8 value)
{
	user_store<u8>(addr, value);
}

void kshim_user_store32(unsigned long addr, u32 value)
{
	user_store<u32>(addr, value);
}
