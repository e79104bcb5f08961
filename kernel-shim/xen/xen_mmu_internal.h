/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * xen_mmu_internal.h - what the files below <kshim/xen_mmu.h> share
 *
 *      frame_type.cc     types and counts: get, put, when TLBs are flushed
 *      pt_entry.cc       entries: what a table may hold; validation, and its undoing; updates
 *      mmu_hypercall.cc  <asm/xen/hypercall.h>
 *      pin_tree.cc       protect and pin, unpin and unprotect, in one call
 *      ptwr.cc           refused native stores: emulated, made again, or an oops
 *      ptwr_decode.cc    ... what the instruction wants
 *      mmu_check.cc      counts everything anew
 *
 * A frame's state is one word:
 *
 *      31      30        29          28 .. 3   2 .. 0
 *      -       pinned    validated   count     type
 *
 * W1. count > 0 and not validated: somebody makes it valid, or takes that back, and holds
 *     frame->lock; others who want the same type wait for the lock.
 * W2. A writable reference needs no lock: one cmpxchg. All that make or undo a table, and every
 *     change of a table's entry, hold the table's frame->lock.
 * Locks: frame->lock of a table -> frame->lock of a table one level below. Nothing else is taken
 * below them but by the flush (none).
 */
#ifndef KSHIM_XEN_MMU_INTERNAL_H
#define KSHIM_XEN_MMU_INTERNAL_H

#include <asm/xen/hypercall.h>
#include <kshim/direct_map.h>
#include <kshim/machine.h>
#include <kshim/mmu.h>
#include <kshim/xen_mmu.h>
#include <linux/atomic.h>
#include <linux/spinlock.h>

#define FRAME_TYPE_MASK 7u
#define FRAME_COUNT_ONE 8u
#define FRAME_COUNT_MASK 0x1ffffff8u
#define FRAME_VALIDATED (1u << 29)
#define FRAME_PINNED (1u << 30)

struct frame_info {
	u32 info;
	u32 stamp; /* the TLB clock when the count last became 0 */
	spinlock_t lock;
};

struct xen_mmu {
	unsigned long nr_frames; /* of low memory: others cannot be tables and are not looked at */
	struct frame_info *frames;

	u32 tlb_clock; /* atomic; ticks with each flush */
	u32 flushed_at[XEN_MMU_VCPUS];
	unsigned long cr3[XEN_MMU_VCPUS]; /* frames; 0: none. Each its processor's */
	unsigned int nr_vcpus;

	void (*describe)(const struct page *table, char *text, size_t bytes); /* atomic */
	struct xen_mmu_stats stats;                                           /* atomic */
};

static inline struct xen_mmu *current_xen_mmu(void)
{
	return current_machine()->xen_mmu;
}

/* Counters are no part of what the explorer looks at. */
static inline void xen_mmu_count(u64 *counter)
{
	__atomic_fetch_add(counter, 1, __ATOMIC_RELAXED);
}

static inline enum xen_frame_type type_of(u32 info)
{
	return (enum xen_frame_type)(info & FRAME_TYPE_MASK);
}

static inline u32 count_of(u32 info)
{
	return (info & FRAME_COUNT_MASK) / FRAME_COUNT_ONE;
}

static inline bool is_table(enum xen_frame_type type)
{
	return type >= XEN_PGT_l1 && type <= XEN_PGT_l4;
}

static inline struct frame_info *frame_info(struct xen_mmu *xen, unsigned long pfn)
{
	return &xen->frames[pfn];
}

/* The first entry of a table, at its address in the direct map. */
static inline u64 *table_of(unsigned long pfn)
{
	return (u64 *)page_address(pfn_to_page(pfn));
}

/*
 * frame_type.cc: one reference to the frame as @type. 0; -EBUSY: it is of another; -EINVAL: an
 * entry is wrong. get_..._locked: the frame's lock is held.
 */
[[nodiscard]] int get_frame_type(struct xen_mmu *xen, unsigned long pfn, enum xen_frame_type type);
[[nodiscard]] int get_table_type_locked(struct xen_mmu *xen, unsigned long pfn,
					enum xen_frame_type type)
	__must_hold(&frame_info(xen, pfn)->lock);
void put_frame_type(struct xen_mmu *xen, unsigned long pfn);
void put_table_type_locked(struct xen_mmu *xen, unsigned long pfn)
	__must_hold(&frame_info(xen, pfn)->lock);
[[nodiscard]] int pin_table_locked(struct xen_mmu *xen, unsigned long pfn, enum xen_frame_type type)
	__must_hold(&frame_info(xen, pfn)->lock);
[[nodiscard]] int unpin_table_locked(struct xen_mmu *xen, unsigned long pfn)
	__must_hold(&frame_info(xen, pfn)->lock);
void flush_vcpu(struct xen_mmu *xen, unsigned int vcpu);

/* pt_entry.cc */
[[nodiscard]] int validate_table(struct xen_mmu *xen, unsigned long pfn, enum xen_frame_type type);
void devalidate_table(struct xen_mmu *xen, unsigned long pfn, enum xen_frame_type type);

/*
 * How an entry changes: @next makes the new value of what is there now, and is asked again when
 * the processor has set a bit meanwhile; false: leave it.
 */
struct entry_change {
	bool (*next)(struct entry_change *change, pteval_t now, pteval_t *next);
	void *ctx;
	pteval_t old; /* out: what was replaced */
};

/* *@ptep lies in frame @pfn, whose lock is held: of any type. Checked by its type. 0 or -errno. */
[[nodiscard]] int change_entry(struct xen_mmu *xen, unsigned long pfn, u64 *ptep,
			       struct entry_change *change)
	__must_hold(&frame_info(xen, pfn)->lock);

/* mmu_hypercall.cc: a right of the direct map changes, and the writable reference with it. */
[[nodiscard]] int set_direct_map(struct xen_mmu *xen, struct page *const *pages, unsigned int nr,
				 bool writable);

/* pin_tree.cc */
[[nodiscard]] int protect_and_pin(struct xen_mmu *xen, unsigned long top);
[[nodiscard]] int unpin_and_unprotect(struct xen_mmu *xen, unsigned long top);

/* ptwr.cc */
enum write_fault_result ptwr_handle(struct write_fault *fault);

/*
 * ptwr_decode.cc: what the instruction at a fault stores. An instruction is one that writes 1, 2, 4
 * or 8 bytes of memory at once, aligned to that, at the address that was refused.
 */
struct ptwr_insn {
	unsigned int op;          /* private: which */
	unsigned int bytes;       /* of the store */
	unsigned int length;      /* of the instruction */
	u64 operand;              /* source register or immediate */
	int dest_reg, source_reg; /* of the context: what it changes besides memory; -1: none */
	u64 result, reg_result, flags; /* what it computes */
	bool writes;                   /* a cmpxchg that fails writes nothing new */
};

/* False: not such an instruction, for @why. */
bool ptwr_decode(const void *context, unsigned long addr, struct ptwr_insn *insn, const char **why);
/* Computes the result for memory that holds @now. */
void ptwr_compute(const void *context, struct ptwr_insn *insn, u64 now);
/* The instruction is done: registers, flags, and the next instruction. */
void ptwr_retire(void *context, const struct ptwr_insn *insn);

#endif
