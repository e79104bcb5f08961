/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * pgtable.cc - page tables in guest pages (pgtable.h)
 *
 *      pgd page -> pud page -> pmd page -> pte page       each: a struct pt_page, in a list of the
 *                                                         mm's by level, oldest first
 *
 * Tables are made when they are needed and stay until the mm goes, so a lookup needs no lock: an
 * entry above the last level changes once, from nothing to a table. Tables of one fork are
 * allocated in a row, and contiguous frames are protected by one system call.
 */
#include "pgtable.h"
#include "pin/pin.h"

#include <linux/err.h>
#include <linux/slab.h>

static struct pt_page *pt_page_alloc(struct mm_tables *tables, unsigned int level)
{
	struct pt_page *pt = kzalloc_obj(struct pt_page, GFP_KERNEL);

	if (!pt)
		return nullptr;
	pt->page = alloc_page(GFP_KERNEL | __GFP_ZERO);
	if (!pt->page) {
		kfree(pt);
		return nullptr;
	}
	spin_lock_init(&pt->ptl);
	pt->tables = tables;
	pt->level = level;
	pt->page->private_data = (unsigned long)pt;
	page_set_flags(pt->page, PG_table);
	pgtable_count(&current_pgtable()->stats.tables);
	return pt;
}

static void pt_page_free(struct pt_page *pt)
{
	pgtable_count(&current_pgtable()->stats.tables, -1ull);
	(void)page_clear_flags(pt->page, PG_table);
	put_page(pt->page);
	kfree(pt);
}

int mm_alloc_tables(struct mm_struct *mm)
{
	struct mm_tables *tables = kzalloc_obj(struct mm_tables, GFP_KERNEL);
	struct pt_page *pt;

	if (!tables)
		return -ENOMEM;
	spin_lock_init(&tables->lock);
	for (struct list_head &list : tables->list)
		INIT_LIST_HEAD(&list);
	pt = pt_page_alloc(tables, PT_LEVELS);
	if (!pt) {
		kfree(tables);
		return -ENOMEM;
	}
	list_add_tail(&pt->node, &tables->list[PT_LEVELS]);
	tables->nr_tables = 1;
	tables->pgd = (u64 *)page_address(pt->page);
	mm->tables = tables;
	return 0;
}

u64 *pt_lookup(const struct mm_tables *tables, unsigned long va)
{
	u64 *table = tables->pgd;

	for (unsigned int level = PT_LEVELS; level > 1; level--) {
		pteval_t entry = pte_peek(&table[pt_index(va, level)]);

		if (!pte_present(entry))
			return nullptr;
		table = (u64 *)page_address(pfn_to_page(pte_pfn(entry)));
	}
	return &table[pt_index(va, 1)];
}

u64 *pt_next(const struct mm_tables *tables, unsigned long *va, unsigned long end)
{
	const unsigned long l1_bytes = 1ul << PT_LEVEL_SHIFT(2);

	while (*va < end) {
		unsigned long next = (*va | (l1_bytes - 1)) + 1;

		if (u64 *ptep = pt_lookup(tables, *va)) {
			for (; *va < next && *va < end; *va += PAGE_SIZE, ptep++) {
				if (pte_peek(ptep))
					return ptep;
			}
		}
		*va = next;
	}
	return nullptr;
}

/* @entry, of a table of @pt's level + 1, gets @pt unless it has one by now. 0 or -errno. */
static int install_table(struct mm_tables *tables, u64 *entry, struct pt_page *pt)
{
	pteval_t value = pfn_pte(page_to_pfn(pt->page), _PAGE_TABLE);
	int err = 0;

	guard(spinlock)(&tables->lock);
	if (pte_present(pte_load(entry)))
		return -EEXIST;
	if (tables->pinned)
		err = pin_new_table(pt, entry, value);
	else
		native_pte_set(entry, value);
	if (err)
		return err;
	list_add_tail(&pt->node, &tables->list[pt->level]);
	tables->nr_tables++;
	return 0;
}

u64 *pt_alloc(struct mm_tables *tables, unsigned long va)
{
	u64 *table = tables->pgd;

	for (unsigned int level = PT_LEVELS; level > 1; level--) {
		u64 *entry = &table[pt_index(va, level)];

		if (!pte_present(pte_peek(entry))) {
			struct pt_page *pt = pt_page_alloc(tables, level - 1);
			int err = pt ? install_table(tables, entry, pt) : -ENOMEM;

			if (pt && err)
				pt_page_free(pt);
			if (err && err != -EEXIST)
				return nullptr;
		}
		table = (u64 *)page_address(pfn_to_page(pte_pfn(pte_peek(entry))));
	}
	return &table[pt_index(va, 1)];
}

void pt_free_all(struct mm_tables *tables)
{
	for (struct list_head &list : tables->list) {
		while (!list_empty(&list)) {
			struct pt_page *pt = list_first_entry(&list, struct pt_page, node);

			list_del(&pt->node);
			pt_page_free(pt);
		}
	}
	kfree(tables);
}

void set_pte(u64 *ptep, pteval_t value)
{
	current_pgtable()->policy->set(ptep, value);
}

pteval_t ptep_xchg(u64 *ptep, pteval_t value)
{
	return current_pgtable()->policy->exchange(ptep, value);
}

bool ptep_test_and_clear(u64 *ptep, unsigned int bit)
{
	return current_pgtable()->policy->test_and_clear(ptep, bit);
}

void pgtable_stats(struct pgtable_stats *stats)
{
	const u64 *from = (const u64 *)&current_pgtable()->stats;
	u64 *to = (u64 *)stats;

	for (size_t i = 0; i < sizeof(*stats) / sizeof(u64); i++)
		to[i] = __atomic_load_n(&from[i], __ATOMIC_RELAXED);
}
