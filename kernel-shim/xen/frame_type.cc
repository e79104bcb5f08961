// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * frame_type.cc - types of frames and their counts (<kshim/xen_mmu.h>, T1 to T4)
 *
 *      get(type):  count > 0, same type       +1               cmpxchg
 *                  count > 0, another type    -EBUSY
 *                  count == 0                 type := , +1     cmpxchg, then flush, then validate
 *      put:        count > 1                  -1
 *                  count == 1, a table        entries are given back, then 0
 *
 * Flushes are filtered: a processor that has flushed since the frame's count became 0 cannot have
 * an old translation. That is known from a clock that ticks with each flush.
 *
 * Mutants: mmu_type_flush_before_count is the shape of XSA-401: flush, then take the reference; in
 * between somebody may have made the frame writable, stored, and let go again. The cmpxchg cannot
 * see that (ABA), and a TLB entry survives. mmu_type_flush_by_new_type is that of XSA-408: the
 * first fix looked at the type the frame gets, to decide whether to flush.
 */
#include "xen_mmu_internal.h"

#include <kshim/mutant.h>
#include <linux/bug.h>
#include <linux/kernel.h>
#include <linux/minmax.h>
#include <linux/slab.h>

void flush_vcpu(struct xen_mmu *xen, unsigned int vcpu)
{
	/* Before the flush: what is cached during it may be older. */
	u32 now = __atomic_add_fetch(&xen->tlb_clock, 1, __ATOMIC_SEQ_CST);

	direct_map_flush_tlb(vcpu);
	xen_mmu_count(&xen->stats.flushes);
	__atomic_store_n(&xen->flushed_at[vcpu], now, __ATOMIC_RELEASE);
}

/* The frame had @old and gets @type: nobody's TLB may let stores through as it did. */
static void flush_for_type(struct xen_mmu *xen, const struct frame_info *frame,
			   enum xen_frame_type old, enum xen_frame_type type)
{
	u32 stamp = __atomic_load_n(&frame->stamp, __ATOMIC_ACQUIRE);

	if (KSHIM_MUTANT(mmu_type_flush_by_new_type) ? type != XEN_PGT_writable
						     : old != XEN_PGT_writable)
		return;
	for (unsigned int vcpu = 0; vcpu < xen->nr_vcpus; vcpu++) {
		if ((s32)(__atomic_load_n(&xen->flushed_at[vcpu], __ATOMIC_ACQUIRE) - stamp) > 0)
			xen_mmu_count(&xen->stats.flushes_filtered);
		else
			flush_vcpu(xen, vcpu);
	}
}

/* One more of the type it has. 1; 0: the count is 0; -EBUSY. Waits for nobody. */
static int get_same_type(struct frame_info *frame, enum xen_frame_type type, u32 *info)
{
	for (;;) {
		if (!count_of(*info))
			return 0;
		if (type_of(*info) != type)
			return -EBUSY;
		if (!(*info & FRAME_VALIDATED))
			return 0; /* W1: with the lock held it cannot be so */
		if (try_cmpxchg(&frame->info, info, *info + FRAME_COUNT_ONE))
			return 1;
	}
}

static int get_writable(struct xen_mmu *xen, struct frame_info *frame)
{
	u32 info = READ_ONCE(frame->info);

	for (;;) {
		u32 next =
			(count_of(info) + 1) * FRAME_COUNT_ONE | XEN_PGT_writable | FRAME_VALIDATED;

		if (count_of(info) && type_of(info) != XEN_PGT_writable)
			return -EBUSY;
		if (try_cmpxchg(&frame->info, &info, next))
			return 0;
	}
}

/* The count is 0 and becomes 1. False: it is not 0 any more. */
static bool take_type(struct xen_mmu *xen, struct frame_info *frame, u32 info,
		      enum xen_frame_type type)
{
	u32 next = FRAME_COUNT_ONE | type;

	if (KSHIM_MUTANT(mmu_type_flush_before_count)) {
		flush_for_type(xen, frame, type_of(info), type);
		return try_cmpxchg(&frame->info, &info, next);
	}
	if (!try_cmpxchg(&frame->info, &info, next))
		return false;
	flush_for_type(xen, frame, type_of(info), type);
	return true;
}

int get_table_type_locked(struct xen_mmu *xen, unsigned long pfn, enum xen_frame_type type)
{
	struct frame_info *frame = frame_info(xen, pfn);
	u32 info = READ_ONCE(frame->info);
	int err;

	do {
		int got = get_same_type(frame, type, &info);

		if (got)
			return got > 0 ? 0 : got;
		/* A writable reference may come and go meanwhile: look again. */
	} while (!take_type(xen, frame, info, type) && (info = READ_ONCE(frame->info), true));

	xen_mmu_count(&xen->stats.validations);
	err = validate_table(xen, pfn, type);
	/* No reference but ours, and nobody takes one of what is not validated. */
	WRITE_ONCE(frame->info, err ? (u32)XEN_PGT_none : FRAME_COUNT_ONE | type | FRAME_VALIDATED);
	return err;
}

int get_frame_type(struct xen_mmu *xen, unsigned long pfn, enum xen_frame_type type)
{
	struct frame_info *frame = frame_info(xen, pfn);
	u32 info;
	int got;

	if (type == XEN_PGT_writable)
		return get_writable(xen, frame);
	info = READ_ONCE(frame->info);
	got = get_same_type(frame, type, &info);
	if (got)
		return got > 0 ? 0 : got;
	guard(spinlock)(&frame_info(xen, pfn)->lock);
	return get_table_type_locked(xen, pfn, type);
}

/* The count goes from 1 to 0: a processor's TLB is as old as this at most. */
static void stamp(struct xen_mmu *xen, struct frame_info *frame)
{
	__atomic_store_n(&frame->stamp, __atomic_load_n(&xen->tlb_clock, __ATOMIC_SEQ_CST),
			 __ATOMIC_RELEASE);
}

void put_table_type_locked(struct xen_mmu *xen, unsigned long pfn)
{
	struct frame_info *frame = frame_info(xen, pfn);
	u32 info = READ_ONCE(frame->info);

	for (;;) {
		u32 next = info - FRAME_COUNT_ONE;

		if (WARN(!count_of(info), "xen: frame %lu has no reference to give back\n", pfn))
			return;
		if (count_of(info) > 1) {
			if (try_cmpxchg(&frame->info, &info, next))
				return;
			continue;
		}
		/* W1 */
		if (try_cmpxchg(&frame->info, &info, info & ~FRAME_VALIDATED))
			break;
	}
	devalidate_table(xen, pfn, type_of(info));
	stamp(xen, frame);
	WRITE_ONCE(frame->info, (u32)type_of(info));
}

static void put_writable(struct xen_mmu *xen, unsigned long pfn, u32 info)
{
	struct frame_info *frame = frame_info(xen, pfn);

	do {
		if (WARN(!count_of(info), "xen: frame %lu has no reference to give back\n", pfn))
			return;
		if (count_of(info) == 1)
			stamp(xen, frame);
	} while (!try_cmpxchg(&frame->info, &info, info - FRAME_COUNT_ONE));
}

void put_frame_type(struct xen_mmu *xen, unsigned long pfn)
{
	struct frame_info *frame = frame_info(xen, pfn);
	u32 info = READ_ONCE(frame->info);

	/* The caller's reference keeps the type. */
	if (!is_table(type_of(info))) {
		put_writable(xen, pfn, info);
		return;
	}
	while (count_of(info) > 1) {
		if (try_cmpxchg(&frame->info, &info, info - FRAME_COUNT_ONE))
			return;
	}
	guard(spinlock)(&frame_info(xen, pfn)->lock);
	put_table_type_locked(xen, pfn);
}

int pin_table_locked(struct xen_mmu *xen, unsigned long pfn, enum xen_frame_type type)
{
	struct frame_info *frame = frame_info(xen, pfn);
	int err = get_table_type_locked(xen, pfn, type);
	u32 info;

	if (err)
		return err == -EBUSY ? -EINVAL : err;
	info = READ_ONCE(frame->info);
	do {
		if (info & FRAME_PINNED) {
			put_table_type_locked(xen, pfn);
			return -EINVAL;
		}
	} while (!try_cmpxchg(&frame->info, &info, info | FRAME_PINNED));
	return 0;
}

int unpin_table_locked(struct xen_mmu *xen, unsigned long pfn)
{
	struct frame_info *frame = frame_info(xen, pfn);
	u32 info = READ_ONCE(frame->info);

	do {
		if (!(info & FRAME_PINNED))
			return -EINVAL;
	} while (!try_cmpxchg(&frame->info, &info, info & ~FRAME_PINNED));
	put_table_type_locked(xen, pfn);
	return 0;
}

struct xen_frame xen_frame(const struct page *page)
{
	struct xen_mmu *xen = current_xen_mmu();
	unsigned long pfn = page_to_pfn(page);
	u32 info = pfn < xen->nr_frames ? READ_ONCE(frame_info(xen, pfn)->info) : 0;

	return {.type = type_of(info),
		.count = count_of(info),
		.pinned = (info & FRAME_PINNED) != 0,
		.validated = (info & FRAME_VALIDATED) != 0};
}

int xen_writable_get(struct page *page)
{
	struct xen_mmu *xen = current_xen_mmu();
	unsigned long pfn = page_to_pfn(page);

	return xen && pfn < xen->nr_frames ? get_frame_type(xen, pfn, XEN_PGT_writable) : 0;
}

void xen_writable_put(struct page *page)
{
	struct xen_mmu *xen = current_xen_mmu();
	unsigned long pfn = page_to_pfn(page);

	if (xen && pfn < xen->nr_frames)
		put_frame_type(xen, pfn);
}

void xen_mmu_stats(struct xen_mmu_stats *stats)
{
	const u64 *from = (const u64 *)&current_xen_mmu()->stats;
	u64 *to = (u64 *)stats;

	for (size_t i = 0; i < sizeof(*stats) / sizeof(u64); i++)
		to[i] = __atomic_load_n(&from[i], __ATOMIC_RELAXED);
}

#if KSHIM_EXPLORE
/* T4, in the step of the store: no schedule point in here. */
static void look_at_stale_store(const struct page *page)
{
	unsigned long pfn = page_to_pfn(page);
	u32 info = __atomic_load_n(&frame_info(current_xen_mmu(), pfn)->info, __ATOMIC_RELAXED);

	if (count_of(info) && is_table(type_of(info)) && info & FRAME_VALIDATED)
		kshim_violation("frame %lu is a page table, and a TLB lets a store through to it",
				pfn);
}
#else
static void (*const look_at_stale_store)(const struct page *) = nullptr;
#endif

static int xen_mmu_init(struct pv_machine *m)
{
	struct xen_mmu *xen = kzalloc_obj(struct xen_mmu, GFP_KERNEL);

	if (!xen)
		return -ENOMEM;
	xen->nr_frames = mmu_lowmem_pages();
	xen->nr_vcpus = clamp(m->config.nr_cpus, 1u, XEN_MMU_VCPUS);
	xen->frames =
		(struct frame_info *)kvzalloc(xen->nr_frames * sizeof(xen->frames[0]), GFP_KERNEL);
	if (!xen->frames) {
		kfree(xen);
		return -ENOMEM;
	}
	kshim_name_array(&xen->frames[0].info, sizeof(xen->frames[0]), xen->nr_frames,
			 "type of frame");
	for (unsigned long pfn = 0; pfn < xen->nr_frames; pfn++) {
		(spin_lock_init)(&xen->frames[pfn].lock);
		/* The direct map's. */
		xen->frames[pfn].info = FRAME_COUNT_ONE | XEN_PGT_writable | FRAME_VALIDATED;
	}
	m->xen_mmu = xen;
	direct_map_on_write_fault(ptwr_handle);
	direct_map_on_stale_store(look_at_stale_store);
	return 0;
}

static void xen_mmu_exit(struct pv_machine *m)
{
	struct xen_mmu *xen = m->xen_mmu;

	for (unsigned long pfn = 0; pfn < xen->nr_frames; pfn++)
		WARN(is_table(type_of(xen->frames[pfn].info)) && count_of(xen->frames[pfn].info),
		     "xen: frame %lu is still a page table\n", pfn);
	direct_map_on_write_fault(nullptr);
	kvfree(xen->frames);
	kfree(xen);
	m->xen_mmu = nullptr;
}

const struct machine_initcall xen_mmu_initcall = {"xen_mmu", xen_mmu_init, xen_mmu_exit};
