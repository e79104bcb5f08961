// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * direct_map_threads.cc - refused stores to the direct map are signals
 */
#include "../direct_map.h"

int direct_map_host_protect(struct mmu *mmu, unsigned long pfn, unsigned long nr,
			    enum mmu_prot prot)
{
	int err = direct_map_mprotect(mmu, pfn, nr, prot);

	for (unsigned long i = pfn; !err && i < pfn + nr; i++)
		__atomic_store_n(&mmu->direct_map->read_only[i], prot == MMU_RO, __ATOMIC_RELEASE);
	return err;
}

int direct_map_host_init(struct mmu *)
{
	return 0;
}

void direct_map_host_exit(struct mmu *) {}

/* The system call has told all processors. */
void direct_map_flush_tlb(unsigned int) {}

/* Memory is not kept. */
void mmu_direct_map_reset(struct mmu *) {}

bool mmu_direct_map_trap(unsigned long addr, void *context)
{
	struct pv_machine *m = current_machine();
	struct mmu *mmu = m ? m->mmu : nullptr;
	struct write_fault fault = {.addr = addr, .context = context, .write = nullptr};
	write_fault_handler handler;

	if (!mmu || !in_direct_map(mmu, addr))
		return false;
	handler = __atomic_load_n(&mmu->direct_map->handler, __ATOMIC_ACQUIRE);
	return handler && handler(&fault) != WRITE_FAULT_UNHANDLED;
}
