// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * soft_direct_map.cc - rights and TLBs of the direct map in explored worlds
 *
 *      soft    attempt: the TLB of this processor, else the right -> the store
 *                -> refused? the handler, here -> attempt ...
 *      real    attempt -> the instruction -> refused? a signal: the handler -> attempt -> return
 *
 * Steps and answers are the same either way (user.cc). The real MMU's right changes in the step in
 * which the model's does. Where the model lets a store through by a stale entry of its TLB, the
 * real MMU has none: the schedule is unfit (real_mmu.h, X3).
 *
 * The word that stands for a table (D2) is its frame's in `words`; nothing is in it.
 */
#include "../direct_map.h"
#include "soft_mmu.h"

#include <linux/atomic.h>
#include <linux/kernel.h>
#include <linux/slab.h>

#include <sys/mman.h>

struct soft_direct_map {
	void (*look)(const struct page *page);
	struct native_write *making; /* on the real MMU: whose instruction is being made */
	u64 tlbs[SOFT_CPUS_MAX];     /* a step's word for each processor */
	u64 *words;                  /* of each frame; then: may processor n store there? */
	u8 *cached;
};

static struct soft_direct_map *soft_of(struct mmu *mmu)
{
	return mmu->direct_map->soft;
}

static bool is_real(const struct mmu *mmu)
{
	return mmu->host->real;
}

static unsigned long frame_of(const struct mmu *mmu, const void *addr)
{
	return ((unsigned long)addr - (unsigned long)mmu->window) >> PAGE_SHIFT;
}

static void table_point(struct mmu *mmu, unsigned long pfn, enum kshim_point_kind kind)
{
	kshim_point(kind, &soft_of(mmu)->words[pfn], sizeof(u64), __ATOMIC_SEQ_CST);
}

/* Bit n: processor n. */
static u8 *cached_in(struct mmu *mmu, unsigned long pfn)
{
	return &soft_of(mmu)->cached[pfn];
}

static bool is_read_only(const struct mmu *mmu, unsigned long pfn)
{
	return mmu->direct_map->read_only[pfn];
}

int direct_map_host_protect(struct mmu *mmu, unsigned long pfn, unsigned long nr,
			    enum mmu_prot prot)
{
	for (unsigned long i = pfn; i < pfn + nr; i++) {
		table_point(mmu, i, KSHIM_RMW);
		mmu->direct_map->read_only[i] = prot == MMU_RO;
		kshim_note("frame %lu: %s in the direct map", i,
			   prot == MMU_RO ? "read-only" : "writable");
		if (is_real(mmu) && direct_map_mprotect(mmu, i, 1, prot))
			kshim_misused("the host refuses to protect the direct map");
	}
	return 0;
}

void direct_map_flush_tlb(unsigned int cpu)
{
	struct mmu *mmu = current_mmu();

	kshim_point(KSHIM_RMW, &soft_of(mmu)->tlbs[cpu % SOFT_CPUS_MAX], sizeof(u64));
	for (unsigned long pfn = 0; pfn < mmu->nr_lowmem; pfn++) {
		u8 bit = (u8)(1u << cpu % SOFT_CPUS_MAX);

		if (!(*cached_in(mmu, pfn) & bit))
			continue;
		table_point(mmu, pfn, KSHIM_RMW);
		*cached_in(mmu, pfn) &= (u8)~bit;
		kshim_note("flushes frame %lu out of the TLB of CPU %u", pfn, cpu);
	}
}

pteval_t pte_load(const u64 *ptep)
{
	struct mmu *mmu = current_mmu();

	table_point(mmu, frame_of(mmu, ptep), KSHIM_LOAD);
	return *ptep;
}

bool hv_pte_cmpxchg(u64 *ptep, pteval_t *expected, pteval_t value)
{
	struct mmu *mmu = current_mmu();
	u64 *alias = (u64 *)direct_map_alias(ptep);

	table_point(mmu, frame_of(mmu, ptep), KSHIM_RMW);
	if (*alias != *expected) {
		*expected = *alias;
		return false;
	}
	*alias = value;
	return true;
}

static void make(struct native_write *write, u64 *at)
{
	switch (write->op) {
	case NATIVE_SET:
		insn_set(at, write->arg);
		break;
	case NATIVE_XCHG:
		write->result = insn_xchg(at, write->arg);
		break;
	case NATIVE_BTR:
		write->result = insn_btr(at, write->arg);
		break;
	}
}

/* The step in which the store is made or refused; no schedule point from here to it. */
static bool attempt(struct mmu *mmu, struct native_write *write)
{
	unsigned long pfn = frame_of(mmu, write->ptep);
	u8 bit = (u8)(1u << kshim_cpu() % SOFT_CPUS_MAX);

	table_point(mmu, pfn, KSHIM_RMW);
	write->allowed = !is_read_only(mmu, pfn) || (*cached_in(mmu, pfn) & bit);
	if (!write->allowed)
		return false;
	if (is_read_only(mmu, pfn)) {
		if (is_real(mmu))
			kshim_unfit("this schedule needs a stale TLB entry of the direct map, "
				    "which the real MMU cannot be made to keep");
		kshim_note("stores to frame %lu through a stale TLB entry", pfn);
		if (soft_of(mmu)->look)
			soft_of(mmu)->look(mmu->pages + pfn);
	}
	*cached_in(mmu, pfn) |= bit;
	return true;
}

static enum write_fault_result ask(struct mmu *mmu, struct native_write *write, void *context)
{
	struct write_fault fault = {
		.addr = (unsigned long)write->ptep, .context = context, .write = write};
	write_fault_handler handler = mmu->direct_map->handler;

	kshim_note("native store to entry %lu of frame %lu faults",
		   offset_in_page(write->ptep) / sizeof(u64), frame_of(mmu, write->ptep));
	return handler ? handler(&fault) : WRITE_FAULT_UNHANDLED;
}

static void make_on_real_mmu(struct mmu *mmu, struct native_write *write)
{
	struct soft_direct_map *soft = soft_of(mmu);

	(void)attempt(mmu, write);
	soft->making = write;
	kshim_world_mmu()->accesses++;
	barrier();
	make(write, write->ptep);
	barrier();
	if (soft->making && !write->allowed)
		kshim_violation("the soft MMU and the real one disagree: a store to %p passes, "
				"and the soft one refuses it",
				(void *)write->ptep);
	soft->making = nullptr;
}

void direct_map_on_stale_store(void (*look)(const struct page *page))
{
	soft_of(current_mmu())->look = look;
}

static u64 native_store(u64 *ptep, enum native_op op, u64 arg)
{
	struct native_write write = {
		.ptep = ptep, .op = op, .arg = arg, .result = 0, .allowed = false};
	struct mmu *mmu = current_mmu();

	if (is_real(mmu)) {
		make_on_real_mmu(mmu, &write);
		return write.result;
	}
	while (!attempt(mmu, &write)) {
		enum write_fault_result result = ask(mmu, &write, nullptr);

		if (result == WRITE_FAULT_EMULATED)
			return write.result;
		if (result == WRITE_FAULT_UNHANDLED)
			kshim_violation("a store to %p is refused and nobody handles it",
					(void *)ptep);
	}
	make(&write, (u64 *)direct_map_alias(ptep));
	return write.result;
}

/* In the signal handler of the thread whose instruction was refused. */
bool mmu_direct_map_trap(unsigned long addr, void *context)
{
	struct pv_machine *m = current_machine();
	struct mmu *mmu = m ? m->mmu : nullptr;
	struct native_write *write = mmu ? soft_of(mmu)->making : nullptr;

	if (!write || (unsigned long)write->ptep != addr)
		return false;
	soft_of(mmu)->making = nullptr;
	kshim_world_mmu()->faults++;
	if (write->allowed)
		kshim_violation("the soft MMU and the real one disagree: a store to %p is refused, "
				"and the soft one allows it",
				(void *)addr);
	kshim_note("signal: a store at %#lx is refused", addr);
	do {
		enum write_fault_result result = ask(mmu, write, context);

		if (result != WRITE_FAULT_RETRY)
			return result == WRITE_FAULT_EMULATED;
	} while (!attempt(mmu, write));
	soft_of(mmu)->making = write;
	return true;
}

void native_pte_set(u64 *ptep, pteval_t value)
{
	(void)native_store(ptep, NATIVE_SET, value);
}

pteval_t native_pte_xchg(u64 *ptep, pteval_t value)
{
	return native_store(ptep, NATIVE_XCHG, value);
}

bool native_pte_btr(u64 *ptep, unsigned int bit)
{
	return native_store(ptep, NATIVE_BTR, bit);
}

int direct_map_host_init(struct mmu *mmu)
{
	struct soft_direct_map *soft = (struct soft_direct_map *)kvzalloc(
		sizeof(*soft) + mmu->nr_lowmem * (sizeof(u64) + 1), GFP_KERNEL);

	if (!soft)
		return -ENOMEM;
	soft->words = (u64 *)(soft + 1);
	soft->cached = (u8 *)(soft->words + mmu->nr_lowmem);
	kshim_name_array(soft->words, sizeof(u64), mmu->nr_lowmem, "table in frame");
	mmu->direct_map->soft = soft;
	return 0;
}

void direct_map_host_exit(struct mmu *mmu)
{
	kvfree(soft_of(mmu));
}

void mmu_direct_map_reset(struct mmu *mmu)
{
	struct kshim_world_mmu *world = kshim_world_mmu();

	if (world && world->kind != explore_mmu::soft &&
	    direct_map_mprotect(mmu, 0, mmu->nr_lowmem, MMU_RW))
		kshim_misused("the last world's direct map cannot be made writable");
}
