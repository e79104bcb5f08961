// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * soft_mmu.cc - TLBs and page walks (soft_mmu.h)
 */
#include "soft_mmu.h"

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
	for (struct mmu_area *area = host->areas; area; area = area->next) {
		if ((addr - area->start) >> PAGE_SHIFT < area->nr_pages)
			return area;
	}
	return nullptr;
}

/* The PTE if the page table allows the access, else null. */
static u64 *walk(struct mmu_host *host, unsigned long addr, bool write)
{
	struct mmu_area *area = soft_find_area(host, addr);
	u64 *pte;

	if (!area)
		return nullptr;
	pte = &area->ptes[(addr - area->start) >> PAGE_SHIFT];
	if (!(*pte & SOFT_PRESENT) || (write && !(*pte & SOFT_WRITABLE)))
		return nullptr;
	return pte;
}

bool soft_look_up(struct soft_access *access)
{
	struct mmu_host *host = access->mmu->host;
	struct soft_tlb_entry *entry = tlb_find(this_tlb(host), access->addr & PAGE_MASK);
	/* A store needs D in the entry: the first one goes to the page table to set it. */
	u64 need = access->write ? SOFT_PRESENT | SOFT_WRITABLE | SOFT_DIRTY : SOFT_PRESENT;
	u64 *pte = walk(host, access->addr, access->write);

	access->at = nullptr;
	access->stale = false;
	if (!entry || (entry->pte & need) != need)
		return false;
	access->stale = !pte || ((*pte ^ entry->pte) & ~SOFT_FLAGS);
	access->at =
		access->mmu->window + (entry->pte & ~SOFT_FLAGS) + offset_in_page(access->addr);
	return true;
}

bool soft_fill(struct soft_access *access)
{
	struct mmu_host *host = access->mmu->host;
	struct soft_tlb *tlb = this_tlb(host);
	unsigned long page_addr = access->addr & PAGE_MASK;
	u64 *pte = walk(host, access->addr, access->write);

	if (pte) {
		/* As the processor does: one locked read-modify-write of the PTE. */
		*pte |= SOFT_ACCESSED | (access->write ? SOFT_DIRTY : 0);
		tlb_fill(tlb, page_addr, *pte);
	} else if (struct soft_tlb_entry *entry = tlb_find(tlb, page_addr)) {
		entry->addr = 0;
	}
	return pte;
}
