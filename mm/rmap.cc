/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * rmap.cc - all mappings of a page, all mappings of a range of a file
 *
 * Both walk the VMAs of the address_space. A VMA on the list has its addresses; it leaves the
 * list before they are given back (mmap.cc), so the walk never touches addresses of somebody
 * else.
 */
#include "pgtable.h"

#include <linux/bug.h>
#include <linux/fs.h>
#include <linux/minmax.h>
#include <linux/rmap.h>

static unsigned long vma_pages(const struct vm_area_struct *vma)
{
	return (vma->vm_end - vma->vm_start) >> PAGE_SHIFT;
}

/* With page tables: neither writable nor dirty, and no TLB says otherwise. */
static bool clean_pte(struct vm_area_struct *vma, unsigned long va)
{
	u64 *ptep = pt_lookup(vma->vm_mm->tables, va);

	if (!ptep)
		return false;
	guard(spinlock)(pte_lockptr(ptep));
	if (!pte_write(pte_load(ptep)))
		return false;
	(void)ptep_test_and_clear(ptep, _PAGE_BIT_RW);
	tlb_flush(vma, va, 1);
	/* After the flush nobody sets it. The caller looks at the page now. */
	(void)ptep_test_and_clear(ptep, _PAGE_BIT_DIRTY);
	return true;
}

static bool clean_area(struct vm_area_struct *vma, unsigned long address)
{
	if (!mmu_pte(vma->area, address).writable)
		return false;
	mmu_protect(vma->area, address, 1, MMU_RO);
	return true;
}

int page_mkclean(struct page *page)
{
	struct address_space *mapping = page->mapping;
	struct vm_area_struct *vma;
	int cleaned = 0;

	if (!mapping)
		return 0;
	guard(rwsem_read)(&mapping->i_mmap_rwsem);
	list_for_each_entry (vma, &mapping->i_mmap, shared_node) {
		unsigned long address;

		if (!(vma->vm_flags & VM_WRITE) || page->index < vma->vm_pgoff ||
		    page->index >= vma->vm_pgoff + vma_pages(vma))
			continue;
		address = vma->vm_start + ((page->index - vma->vm_pgoff) << PAGE_SHIFT);
		if (vma->vm_mm->tables ? clean_pte(vma, address) : clean_area(vma, address))
			cleaned++;
	}
	return cleaned;
}

void unmap_mapping_range(struct address_space *mapping, u64 holebegin, u64 holelen)
{
	pgoff_t first = holebegin >> PAGE_SHIFT;
	pgoff_t end = holelen ? (holebegin + holelen + PAGE_SIZE - 1) >> PAGE_SHIFT : ~0ul;
	struct vm_area_struct *vma;

	guard(rwsem_read)(&mapping->i_mmap_rwsem);
	list_for_each_entry (vma, &mapping->i_mmap, shared_node) {
		pgoff_t from = max(first, vma->vm_pgoff);
		pgoff_t to = min(end, vma->vm_pgoff + vma_pages(vma));
		unsigned long va = vma->vm_start + ((from - vma->vm_pgoff) << PAGE_SHIFT);

		if (from >= to)
			continue;
		if (vma->vm_mm->tables)
			zap_file_range(vma, va, to - from);
		else
			mmu_zap(vma->area, va, to - from);
	}
}
