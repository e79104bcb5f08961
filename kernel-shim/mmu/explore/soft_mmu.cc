// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * soft_mmu.cc - TLBs, page walks and the accesses of programs (soft_mmu.h)
 */
#include "soft_mmu.h"

#include <kshim/user.h>
#include <linux/atomic.h>
#include <linux/kernel.h>
#include <linux/sched.h>

#include <limits.h>

static struct soft_tlb *this_tlb(struct mmu_host *host)
{
	return &host->tlbs[kshim_cpu() % SOFT_CPUS_MAX];
}

static struct soft_tlb_entry *tlb_find(struct soft_tlb *tlb, unsigned long page_addr)
{
	for (struct soft_tlb_entry &entry : tlb->entries) {
		if (entry.addr == page_addr)
			return &entry;
	}
	return nullptr;
}

static void tlb_fill(struct soft_tlb *tlb, unsigned long page_addr, u64 pte)
{
	struct soft_tlb_entry *entry = tlb_find(tlb, page_addr);

	if (!entry)
		entry = tlb_find(tlb, 0);
	if (!entry)
		entry = &tlb->entries[tlb->next++ % SOFT_TLB_ENTRIES];
	*entry = {page_addr, pte};
}

static bool tlb_flush(struct soft_tlb *tlb, unsigned long addr, unsigned long nr, bool only_look)
{
	bool found = false;

	for (struct soft_tlb_entry &entry : tlb->entries) {
		if (!entry.addr || entry.addr - addr >= nr << PAGE_SHIFT)
			continue;
		found = true;
		if (!only_look)
			entry.addr = 0;
	}
	return found;
}

void soft_flush(struct mmu_area *area, unsigned long first, unsigned long nr)
{
	unsigned long addr = area->start + (first << PAGE_SHIFT);

	for (struct soft_tlb &tlb : area->mmu->host->tlbs) {
		/* Nothing to flush is nothing that another thread could come before. */
		if (!tlb_flush(&tlb, addr, nr, true))
			continue;
		soft_point(addr, nr, KSHIM_RMW);
		kshim_note("flushes the TLB of CPU %d", (int)(&tlb - area->mmu->host->tlbs));
		(void)tlb_flush(&tlb, addr, nr, false);
	}
}

struct mmu_area *soft_find_area(struct mmu_host *host, unsigned long addr)
{
	struct mmu_area *area;

	for (struct list_head *pos = host->areas.next; pos != &host->areas; pos = pos->next) {
		area = list_entry(pos, struct mmu_area, node);
		if ((addr - area->start) >> PAGE_SHIFT < area->nr_pages)
			return area;
	}
	return nullptr;
}

/*
 * The page table's answer, with A and D set as the processor does: one locked read-modify-write of
 * the PTE. 0: refused.
 */
static u64 walk(struct mmu_host *host, unsigned long addr, bool write)
{
	struct mmu_area *area = soft_find_area(host, addr);
	u64 *pte;

	if (!area)
		return 0;
	pte = &area->ptes[(addr - area->start) >> PAGE_SHIFT];
	if (!(*pte & SOFT_PRESENT) || (write && !(*pte & SOFT_WRITABLE)))
		return 0;
	*pte |= SOFT_ACCESSED | (write ? SOFT_DIRTY : 0);
	return *pte;
}

/* What this processor's TLB lets through; null: nothing, the page table must be asked. */
static char *look_up(struct mmu *mmu, unsigned long addr, bool write)
{
	struct soft_tlb_entry *entry = tlb_find(this_tlb(mmu->host), addr & PAGE_MASK);
	/* A store needs D in the entry: the first one goes to the page table to set it. */
	u64 need = write ? SOFT_PRESENT | SOFT_WRITABLE | SOFT_DIRTY : SOFT_PRESENT;

	if (!entry || (entry->pte & need) != need)
		return nullptr;
	return mmu->window + (entry->pte & ~SOFT_FLAGS) + offset_in_page(addr);
}

/* Asks the page table. False: a fault. */
static bool fill(struct mmu *mmu, unsigned long addr, bool write)
{
	struct soft_tlb *tlb = this_tlb(mmu->host);
	u64 pte = walk(mmu->host, addr, write);

	if (pte)
		tlb_fill(tlb, addr & PAGE_MASK, pte);
	else if (struct soft_tlb_entry *entry = tlb_find(tlb, addr & PAGE_MASK))
		entry->addr = 0;
	return pte != 0;
}

/* The owner is asked. False: the access fails for good. */
static bool soft_fault(struct mmu *mmu, unsigned long addr, bool write)
{
	struct mmu_area *area = soft_find_area(mmu->host, addr);
	int err;

	if (!area)
		return false;
	area->faults++;
	kshim_note("%s to PTE %lu faults", write ? "store" : "load",
		   (addr - area->start) >> PAGE_SHIFT);
	err = area->ops->fault(area, addr, write);
	if (--area->faults == 0)
		kshim_wake(&area->faults, INT_MAX);
	mmu_count(&mmu->faults);
	if (err)
		mmu_count(&mmu->faults_failed);
	return err == 0;
}

/* Returns with no schedule point between the check and the caller's access. */
static char *user_access(unsigned long addr, bool write, unsigned int size)
{
	struct mmu *mmu = current_mmu();

	BUG_ON(offset_in_page(addr) + size > PAGE_SIZE);
	for (;;) {
		char *at = look_up(mmu, addr, write);

		/* A walk sets A or D in the PTE. */
		soft_point(addr, 1, write || !at ? KSHIM_RMW : KSHIM_LOAD);
		if (at) {
			at = look_up(mmu, addr, write);
			if (at)
				return at;
			continue; /* flushed meanwhile: so it is to be another step */
		}
		if (fill(mmu, addr, write))
			continue;
		if (soft_fault(mmu, addr, write))
			continue;
		mmu_fixup_jump();
		kshim_violation("a program's %s at %#lx faults and nobody resolves it",
				write ? "store" : "load", addr);
	}
}

u8 kshim_user_load8(unsigned long addr)
{
	return *(volatile u8 *)user_access(addr, false, 1);
}

u32 kshim_user_load32(unsigned long addr)
{
	return *(volatile u32 *)user_access(addr, false, 4);
}

void kshim_user_store8(unsigned long addr, u8 value)
{
	*(volatile u8 *)user_access(addr, true, 1) = value;
}

void kshim_user_store32(unsigned long addr, u32 value)
{
	*(volatile u32 *)user_access(addr, true, 4) = value;
}
