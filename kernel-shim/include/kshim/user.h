/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * kshim/user.h - the loads and stores of a guest program
 *
 * A program of a test or a race scenario reaches an area's addresses through these, so that it can
 * run on both hosts: in threads builds they are the plain instructions; under the explorer they go
 * through the soft MMU, one step for the check of the PTE and the access.
 *
 * I1. Either the access is made, or ops->fault() said no. Then: threads builds: as any fault
 *     (<kshim/fault.h>); explorer: kshim_try() returns false, without one it is a violation.
 */
#ifndef KSHIM_USER_H
#define KSHIM_USER_H

#include <kshim/host.h>
#include <linux/types.h>

#if KSHIM_EXPLORE
u8 kshim_user_load8(unsigned long addr);
u32 kshim_user_load32(unsigned long addr);
void kshim_user_store8(unsigned long addr, u8 value);
void kshim_user_store32(unsigned long addr, u32 value);
#else
static inline u8 kshim_user_load8(unsigned long addr)
{
	return *(volatile u8 *)addr;
}

static inline u32 kshim_user_load32(unsigned long addr)
{
	return *(volatile u32 *)addr;
}

static inline void kshim_user_store8(unsigned long addr, u8 value)
{
	*(volatile u8 *)addr = value;
}

static inline void kshim_user_store32(unsigned long addr, u32 value)
{
	*(volatile u32 *)addr = value;
}
#endif

#endif
