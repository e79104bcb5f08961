// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * pt_entry.cc - what entries of page tables may say, and what they hold references to
 *
 *      l1 entry, present, RW     one writable reference to the frame
 *      l1 entry, present         nothing: reading harms nobody
 *      l2 .. l4, present         one reference to a table of the level below
 *
 * A table is validated entry by entry; the first that is refused gives back all before it. An entry
 * of a valid table changes only here: the new one's reference is taken, the entry exchanged by a
 * cmpxchg (the processor sets accessed and dirty bits meanwhile), the old one's given back.
 */
#include "xen_mmu_internal.h"

#include <linux/printk.h>

/* Bits 52 to 62 mean something to other processors. */
#define RESERVED_BITS 0x7ff0000000000000ull
#define TABLE_RESERVED_BITS (RESERVED_BITS | _PAGE_PSE | _PAGE_GLOBAL)

static enum xen_frame_type below(enum xen_frame_type type)
{
	return (enum xen_frame_type)(type - 1);
}

static int get_entry(struct xen_mmu *xen, enum xen_frame_type type, pteval_t entry)
{
	unsigned long pfn = pte_pfn(entry);

	if (!pte_present(entry))
		return 0;
	if (entry & (type == XEN_PGT_l1 ? RESERVED_BITS : TABLE_RESERVED_BITS) || !pfn_valid(pfn))
		return -EINVAL;
	if (type == XEN_PGT_l1)
		return pte_write(entry) && pfn < xen->nr_frames
			       ? get_frame_type(xen, pfn, XEN_PGT_writable)
			       : 0;
	return pfn < xen->nr_frames ? get_frame_type(xen, pfn, below(type)) : -EINVAL;
}

static void put_entry(struct xen_mmu *xen, enum xen_frame_type type, pteval_t entry)
{
	unsigned long pfn = pte_pfn(entry);

	if (!pte_present(entry) || pfn >= xen->nr_frames)
		return;
	if (type != XEN_PGT_l1 || pte_write(entry))
		put_frame_type(xen, pfn);
}

static void put_entries(struct xen_mmu *xen, unsigned long pfn, enum xen_frame_type type,
			unsigned int nr)
{
	const u64 *table = table_of(pfn);

	for (unsigned int i = 0; i < nr; i++) {
		pteval_t entry = pte_peek(&table[i]);

		if (pte_present(entry))
			put_entry(xen, type, entry);
	}
}

int validate_table(struct xen_mmu *xen, unsigned long pfn, enum xen_frame_type type)
{
	const u64 *table = table_of(pfn);

	/* One look at all of it: nobody stores to it from here on (T4, W2). */
	(void)pte_load(table);
	for (unsigned int i = 0; i < PTRS_PER_PTE; i++) {
		pteval_t entry = pte_peek(&table[i]);
		int err;

		if (!pte_present(entry))
			continue;
		err = get_entry(xen, type, entry);
		if (err) {
			pr_err("xen: frame %lu is no l%d table: entry %u is %#llx, and frame %lu "
			       "is %s\n",
			       pfn, type, i, entry, pte_pfn(entry),
			       err == -EBUSY ? "of another type" : "not to be had");
			put_entries(xen, pfn, type, i);
			return -EINVAL;
		}
	}
	return 0;
}

void devalidate_table(struct xen_mmu *xen, unsigned long pfn, enum xen_frame_type type)
{
	put_entries(xen, pfn, type, PTRS_PER_PTE);
}

/* The same frame with the same right: the reference stays. */
static bool same_reference(pteval_t a, pteval_t b)
{
	return !((a ^ b) & (PTE_PFN_MASK | _PAGE_PRESENT | _PAGE_RW | RESERVED_BITS | _PAGE_PSE));
}

int change_entry(struct xen_mmu *xen, unsigned long pfn, u64 *ptep, struct entry_change *change)
{
	u32 info = READ_ONCE(frame_info(xen, pfn)->info);
	enum xen_frame_type type = count_of(info) ? type_of(info) : XEN_PGT_none;
	bool table = is_table(type);
	pteval_t now = pte_load(ptep), next;

	for (;;) {
		bool moves;

		if (!change->next(change, now, &next)) {
			change->old = now;
			return 0;
		}
		moves = table && !same_reference(now, next);
		if (moves) {
			int err = get_entry(xen, type, next);

			if (err)
				return err == -EBUSY ? -EINVAL : err;
		}
		change->old = now;
		if (hv_pte_cmpxchg(ptep, &now, next)) {
			if (moves)
				put_entry(xen, type, change->old);
			return 0;
		}
		if (moves)
			put_entry(xen, type, next);
	}
}
