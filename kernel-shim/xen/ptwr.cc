// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * ptwr.cc - writable page tables: a native store that is refused
 *
 *      frame, with its lock held      what happens
 *      writable                       the right is back: the instruction is made again
 *      read-only, l1, counted         emulated: decoded, validated, made through our alias
 *      read-only, l2 .. l4            oops: those need hypercalls
 *      read-only, anything else       oops: the guest took the right away and has not told us why
 *
 * The last line is the seed's bug. The lock makes the line that is found the one that is acted on:
 * a pin that is on its way in one call (pin_tree.cc) is waited for.
 *
 * What is emulated: one store of 1, 2, 4 or 8 bytes, naturally aligned, in the page that was
 * refused. A narrow one changes its bytes of the entry and keeps the others. A value that would
 * break T1 is refused, and so is an instruction that is something else.
 */
#include "xen_mmu_internal.h"

#include <linux/kernel.h>
#include <linux/printk.h>
#include <linux/sched.h>
#include <linux/stacktrace.h>

struct emulation {
	struct write_fault *fault;
	struct ptwr_insn insn;
	unsigned int shift; /* of the bytes in their entry */
};

static u64 mask_of(const struct emulation *e)
{
	return (e->insn.bytes == 8 ? ~0ull : (1ull << 8 * e->insn.bytes) - 1) << e->shift;
}

static bool emulated_next(struct entry_change *change, pteval_t now, pteval_t *next)
{
	struct emulation *e = (struct emulation *)change->ctx;
	struct native_write *write = e->fault->write;

	if (!e->fault->context) {
		/* No instruction: the soft MMU says what was to be stored. */
		*next = write->op == NATIVE_BTR ? now & ~(1ull << write->arg) : write->arg;
		write->result = write->op == NATIVE_BTR ? now >> write->arg & 1 : now;
		return true;
	}
	ptwr_compute(e->fault->context, &e->insn, (now & mask_of(e)) >> e->shift);
	*next = (now & ~mask_of(e)) | (e->insn.result << e->shift & mask_of(e));
	return e->insn.writes;
}

/* 0; else why the store cannot be. */
static const char *emulate(struct xen_mmu *xen, struct write_fault *fault, unsigned long pfn)
	__must_hold(&frame_info(xen, pfn)->lock)
{
	struct emulation e = {.fault = fault, .insn = {}, .shift = 0};
	struct entry_change change = {.next = emulated_next, .ctx = &e, .old = 0};
	u64 *ptep = (u64 *)(fault->addr & ~7ul);
	const char *why = nullptr;

	if (fault->context) {
		if (!ptwr_decode(fault->context, fault->addr, &e.insn, &why))
			return why;
		e.shift = 8 * (fault->addr & 7);
	}
	if (change_entry(xen, pfn, ptep, &change))
		return "the entry it makes is refused";
	if (fault->context)
		ptwr_retire(fault->context, &e.insn);
	return nullptr;
}

/* After an oops: the store is made as if the frame were writable (<kshim/xen_mmu.h>). */
static enum write_fault_result store_anyway(struct xen_mmu *xen, struct write_fault *fault,
					    unsigned long pfn)
{
	u32 info;

	guard(spinlock)(&frame_info(xen, pfn)->lock);
	info = READ_ONCE(frame_info(xen, pfn)->info);
	/* It has become a table meanwhile, or writable: somebody knows what to do then. */
	if (is_table(type_of(info)) && count_of(info))
		return type_of(info) == XEN_PGT_l1 ? WRITE_FAULT_RETRY : WRITE_FAULT_UNHANDLED;
	return emulate(xen, fault, pfn) ? WRITE_FAULT_UNHANDLED : WRITE_FAULT_EMULATED;
}

static void oops(struct xen_mmu *xen, const struct write_fault *fault, unsigned long pfn,
		 const char *why)
{
	void (*describe)(const struct page *table, char *text, size_t bytes) =
		__atomic_load_n(&xen->describe, __ATOMIC_ACQUIRE);
	struct xen_frame frame = xen_frame(pfn_to_page(pfn));
	unsigned long entries[16];
	char guest[700] = "", stack[400];
	unsigned int n;

	xen_mmu_count(&xen->stats.oopses);
	if (describe)
		describe(pfn_to_page(pfn), guest, sizeof(guest));
#if KSHIM_EXPLORE
	kshim_violation("oops: a native store to entry %lu of frame %lu: %s%s%s",
			offset_in_page(fault->addr) / sizeof(u64), pfn, why, *guest ? "; " : "",
			guest);
#endif
	n = stack_trace_save(entries, 16, 2);
	stack_trace_snprint(stack, sizeof(stack), entries, n, 0);
	pr_alert("oops: a native store to entry %lu of frame %lu (type %d, count %u%s): %s%s%s\n",
		 offset_in_page(fault->addr) / sizeof(u64), pfn, frame.type, frame.count,
		 frame.pinned ? ", pinned" : "", why, *guest ? "; " : "", guest);
	pr_alert("oops: stored by %s: %s\n", current->comm[0] ? current->comm : "a thread", stack);
}

enum write_fault_result ptwr_handle(struct write_fault *fault)
{
	struct xen_mmu *xen = current_xen_mmu();
	struct page *page = virt_to_page((const void *)fault->addr);
	unsigned long pfn = page_to_pfn(page);
	const char *why;

	if (pfn >= xen->nr_frames)
		return WRITE_FAULT_UNHANDLED;
	scoped_guard (spinlock, &frame_info(xen, pfn)->lock) {
		u32 info = READ_ONCE(frame_info(xen, pfn)->info);

		if (direct_map_writable(page)) {
			xen_mmu_count(&xen->stats.retried);
			return WRITE_FAULT_RETRY;
		}
		if (!count_of(info) || !is_table(type_of(info))) {
			why = "it is read-only and not pinned";
		} else if (type_of(info) != XEN_PGT_l1) {
			why = "it is a table above l1, which needs a hypercall";
		} else {
			why = emulate(xen, fault, pfn);
			if (!why) {
				xen_mmu_count(&xen->stats.emulated);
				return WRITE_FAULT_EMULATED;
			}
			pr_err("xen: a store to entry %lu of the page table in frame %lu is "
			       "refused: %s\n",
			       offset_in_page(fault->addr) / sizeof(u64), pfn, why);
			return WRITE_FAULT_UNHANDLED;
		}
	}
	oops(xen, fault, pfn, why);
	return store_anyway(xen, fault, pfn);
}

void xen_mmu_on_oops(void (*describe)(const struct page *table, char *text, size_t bytes))
{
	__atomic_store_n(&current_xen_mmu()->describe, describe, __ATOMIC_RELEASE);
}
