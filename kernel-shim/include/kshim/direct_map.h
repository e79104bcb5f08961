/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * kshim/direct_map.h - rights in the direct map, and stores that may be refused there
 *
 *      frame     direct map             the hypervisor's alias
 *        n       rw, or r by            always rw
 *                direct_map_protect()
 *
 * A page table lies in a frame whose direct map is read-only, so that the kernel's own ("native")
 * stores to it fault and the hypervisor sees them:
 *
 *      native_pte_xchg(ptep) --> passes                          the frame is writable
 *                            --> write_fault handler             it is not
 *                                  EMULATED   made for it; it goes on behind the instruction
 *                                  RETRY      the right is back: the instruction is made again
 *                                  UNHANDLED  as any fault (trap.cc)
 *
 * D1. direct_map_protect() has taken the right away, on every processor of the host, when it
 *     returns.
 *     Explorer: a processor's TLB may keep it until direct_map_flush_tlb(), as real ones do.
 * D2. A word of a page table is touched by the functions below only. Explorer: all accesses to one
 *     table are accesses to one word, which also stands for the right to store there; a store is
 *     one step: right, TLB and access (soft_mmu.h, S1).
 * D3. The processor itself (accessed and dirty bits) and the hypervisor do not need the right: they
 *     use pte_load() and hv_pte_cmpxchg().
 *
 * KSHIM: processors drop a translation whenever they like, ours when told. With a real MMU below
 * us mprotect() tells all of them, so there is no stale entry: what a flush would have been needed
 * for is counted, and found by the explorer.
 */
#ifndef KSHIM_DIRECT_MAP_H
#define KSHIM_DIRECT_MAP_H

#include <asm/pgtable_types.h>
#include <kshim/mmu.h>

/* Whose direct map may be protected: frames of low memory. */

/**
 * direct_map_protect - refuse the kernel's stores to these frames, or let them through again
 *
 * Runs of contiguous frames are one system call. May sleep. Return: 0 or -ENOMEM, and then the
 * rights are as they were.
 */
[[nodiscard]] int direct_map_protect(struct page *const *pages, unsigned long nr,
				     enum mmu_prot prot);
bool direct_map_writable(const struct page *page);

/* @cpu forgets what it knows of rights in the direct map. A step. */
void direct_map_flush_tlb(unsigned int cpu);

/* The hypervisor's address of what is at @addr in the direct map. */
static inline void *direct_map_alias(const void *addr)
{
	return (void *)((unsigned long)addr + MMU_ALIAS_OFFSET);
}

/* The kernel's stores to page tables. */
enum native_op {
	NATIVE_SET,  /* mov */
	NATIVE_XCHG, /* xchg */
	NATIVE_BTR,  /* lock btr: `arg` is the bit */
};

/* One of them, when it is refused and there is no instruction to look at (soft MMU). */
struct native_write {
	u64 *ptep;
	enum native_op op;
	u64 arg;
	u64 result; /* NATIVE_XCHG: what was there; NATIVE_BTR: the bit */
	/* Private to the explorer. */
	bool allowed;
};

enum write_fault_result {
	WRITE_FAULT_EMULATED,
	WRITE_FAULT_RETRY,
	WRITE_FAULT_UNHANDLED,
};

struct write_fault {
	unsigned long addr;
	void *context;              /* the signal's ucontext_t; null: no instruction was refused */
	struct native_write *write; /* but this store; explorer only */
};

/* One handler a machine; null takes it away. Runs in the storing thread, in a signal handler. */
void direct_map_on_write_fault(enum write_fault_result (*handler)(struct write_fault *fault));

#if KSHIM_EXPLORE
/* Asked before a stale entry of a TLB lets a store through to @page. */
void direct_map_on_stale_store(void (*look)(const struct page *page));
#else
static inline void direct_map_on_stale_store(void (*)(const struct page *)) {}
#endif

/* The instructions. */
static inline void insn_set(u64 *ptep, u64 value)
{
	__asm__ __volatile__("movq %1, %0" : "=m"(*ptep) : "r"(value) : "memory");
}

static inline u64 insn_xchg(u64 *ptep, u64 value)
{
	__asm__ __volatile__("xchgq %0, %1" : "+r"(value), "+m"(*ptep) : : "memory");
	return value;
}

static inline bool insn_btr(u64 *ptep, u64 bit)
{
	bool was;

	__asm__ __volatile__("lock btrq %2, %0" : "+m"(*ptep), "=@ccc"(was) : "r"(bit) : "memory");
	return was;
}

#if KSHIM_EXPLORE
pteval_t pte_load(const u64 *ptep);
bool hv_pte_cmpxchg(u64 *ptep, pteval_t *expected, pteval_t value);
void native_pte_set(u64 *ptep, pteval_t value);
pteval_t native_pte_xchg(u64 *ptep, pteval_t value);
bool native_pte_btr(u64 *ptep, unsigned int bit);

/* A look that is no step: for what nobody changes meanwhile, or when it does not matter. */
static inline pteval_t pte_peek(const u64 *ptep)
{
	return __atomic_load_n(ptep, __ATOMIC_RELAXED);
}
#else
static inline pteval_t pte_load(const u64 *ptep)
{
	return __atomic_load_n(ptep, __ATOMIC_ACQUIRE);
}

static inline pteval_t pte_peek(const u64 *ptep)
{
	return __atomic_load_n(ptep, __ATOMIC_RELAXED);
}

/* False: *@expected becomes what was found. */
static inline bool hv_pte_cmpxchg(u64 *ptep, pteval_t *expected, pteval_t value)
{
	return __atomic_compare_exchange_n((u64 *)direct_map_alias(ptep), expected, value, false,
					   __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
}

static inline void native_pte_set(u64 *ptep, pteval_t value)
{
	insn_set(ptep, value);
}

static inline pteval_t native_pte_xchg(u64 *ptep, pteval_t value)
{
	return insn_xchg(ptep, value);
}

static inline bool native_pte_btr(u64 *ptep, unsigned int bit)
{
	return insn_btr(ptep, bit);
}
#endif

#endif
