/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * kshim/xen_mmu.h - the hypervisor below a paravirtual guest's page tables
 *
 * Each frame has one type at a time, and a count of those who rely on it:
 *
 *      none        nobody
 *      writable    count = the direct map, if it may store there
 *                        + present PTEs with RW in tables of type l1
 *                        + other kernel mappings that may (vmap, kmap, foreign)
 *      l1 .. l4    count = entries of tables one level up + the pin + processors' cr3
 *
 * T1. The type changes only when the count is 0. So no frame is a page table and writable by the
 *     guest at once.
 * T2. A table has been validated, every entry with all that lies below it, before anybody but the
 *     validator counts on its type; from then on each entry changes through the hypervisor.
 * T3. A pin is a bit and one reference. Pinning what is pinned, unpinning what is not, and what is
 *     of another type are -EINVAL, and change nothing.
 * T4. When a frame stops being writable, no processor's TLB lets a store through to it by the time
 *     its new type can be seen: the reference is taken first, the flush follows (XSA-401), and
 *     whether one is needed depends on what the frame *was* (XSA-408).
 *
 * KSHIM: one guest, so frames have no owner, and general references are the guest's own page
 * references. Preemption of long validations does not exist.
 */
#ifndef KSHIM_XEN_MMU_H
#define KSHIM_XEN_MMU_H

#include <asm/pgtable_types.h>
#include <linux/types.h>

struct machine_initcall;
struct page;
struct write_fault;

/* After mmu_initcall, before mm_initcall. */
extern const struct machine_initcall xen_mmu_initcall;

/* Virtual processors: what cr3 says and TLB flushes are for. */
#define XEN_MMU_VCPUS 8u

enum xen_frame_type {
	XEN_PGT_none,
	XEN_PGT_l1,
	XEN_PGT_l2,
	XEN_PGT_l3,
	XEN_PGT_l4,
	XEN_PGT_writable,
};

struct xen_frame {
	enum xen_frame_type type;
	u32 count;
	bool pinned, validated;
};
/* What a frame is now. No locks. */
struct xen_frame xen_frame(const struct page *page);

/**
 * xen_writable_get - a kernel mapping of @page with the right to store is about to appear
 * No-op in machines without xen_mmu_initcall. Return: 0; -EBUSY: it is a page table.
 */
[[nodiscard]] int xen_writable_get(struct page *page);
/* The mapping is gone, from TLBs too. */
void xen_writable_put(struct page *page);

struct xen_mmu_stats {
	u64 hypercalls;      /* multicalls count once, */
	u64 multicall_calls; /* and here what was in them */
	u64 emulated;        /* native stores to page tables, made by the hypervisor */
	u64 retried;         /* refused ones that found the right back */
	u64 oopses;
	u64 validations;               /* of tables */
	u64 flushes, flushes_filtered; /* of TLBs, by change of type; and those that had been */
};
void xen_mmu_stats(struct xen_mmu_stats *stats);

/*
 * What the guest's kernel wants said in an oops: writes a line of text or none, for a frame that is
 * read-only and of no type. Runs in the handler of the refused store. Null: nothing.
 */
void xen_mmu_on_oops(void (*describe)(const struct page *table, char *text, size_t bytes));

/*
 * An oops does not end the program but is counted, logged, and the store is made all the same (the
 * explorer: it is a violation). KSHIM: Linux's would kill the thread, with its locks held.
 */

/**
 * xen_mmu_check - count everything anew
 * Only while nobody changes anything. Return: false after a WARN for each frame whose count is not
 * what page tables and mappings say, or that is a table and writable at once.
 */
bool xen_mmu_check(void);

#endif
