// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * mmu_check.cc - counts all references anew and compares (T1)
 *
 * Takes what tables, pins, cr3s and rights say; what is left of a writable count are kernel
 * mappings (vmap and the like), which cannot be more than mm says: they are looked at from there.
 */
#include "xen_mmu_internal.h"

#include <linux/bug.h>
#include <linux/kernel.h>
#include <linux/slab.h>

struct counts {
	u32 writable, table;
};

static void count_table(struct xen_mmu *xen, struct counts *counts, unsigned long pfn,
			enum xen_frame_type type)
{
	const u64 *table = table_of(pfn);

	for (unsigned int i = 0; i < PTRS_PER_PTE; i++) {
		pteval_t entry = pte_peek(&table[i]);
		unsigned long target = pte_pfn(entry);

		if (!pte_present(entry) || target >= xen->nr_frames)
			continue;
		if (type != XEN_PGT_l1)
			counts[target].table++;
		else if (pte_write(entry))
			counts[target].writable++;
	}
}

static bool check_frame(struct xen_mmu *xen, const struct counts *expected, unsigned long pfn)
{
	struct xen_frame frame = xen_frame(pfn_to_page(pfn));
	bool right = direct_map_writable(pfn_to_page(pfn));
	u32 writable = expected->writable + right;
	u32 table = expected->table + frame.pinned;

	for (unsigned int vcpu = 0; vcpu < xen->nr_vcpus; vcpu++)
		table += xen->cr3[vcpu] == pfn && pfn;
	if (is_table(frame.type) && frame.count)
		return !WARN(writable || table != frame.count || !frame.validated,
			     "xen: frame %lu is an l%d table with %u references, found %u, and %u "
			     "mappings can store to it\n",
			     pfn, frame.type, frame.count, table, writable);
	return !WARN(table || frame.count < writable,
		     "xen: frame %lu has %u writable references, found %u, and %u as a table\n",
		     pfn, frame.count, writable, table);
}

bool xen_mmu_check(void)
{
	struct xen_mmu *xen = current_xen_mmu();
	auto *counts =
		(struct counts *)kvzalloc(xen->nr_frames * sizeof(struct counts), GFP_KERNEL);
	bool ok = true;

	if (WARN(!counts, "xen: no memory to count with\n"))
		return false;
	for (unsigned long pfn = 0; pfn < xen->nr_frames; pfn++) {
		struct xen_frame frame = xen_frame(pfn_to_page(pfn));

		if (is_table(frame.type) && frame.count)
			count_table(xen, counts, pfn, frame.type);
	}
	for (unsigned long pfn = 0; pfn < xen->nr_frames; pfn++)
		ok = check_frame(xen, &counts[pfn], pfn) && ok;
	kvfree(counts);
	return ok;
}
