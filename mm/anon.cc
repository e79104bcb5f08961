/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * anon.cc - page faults of an mm with tables: anonymous memory, copy on write, PTEs of files
 *
 *      PTE at the fault      a load                         a store
 *      nothing               a zeroed page, writable        the same
 *      a place in swap       the page, writable if nobody   the same; else a copy
 *                            else has it
 *      present, read-only    (another was faster)           alone: writable; else a copy
 *
 * Everything that takes time (pages, tables, the page lock) is done before the PTE lock; then the
 * PTE must still be what was seen, or the access is tried again.
 *
 * A page is its mapper's alone when there is one PTE, no place in swap that another PTE names, and
 * no reference but the PTE's, the caller's and the cache's. Decided under page lock and PTE lock:
 * who could map it again needs one of them.
 */
#include "pgtable.h"

#include <linux/fs.h>
#include <linux/slab.h>
#include <linux/string.h>

static pteval_t mk_pte(const struct vm_area_struct *vma, const struct page *page, bool writable,
		       bool dirty)
{
	return pfn_pte(page_to_pfn(page),
		       _PAGE_PRESENT | _PAGE_USER | _PAGE_ACCESSED |
			       (writable && vma->vm_flags & VM_WRITE ? _PAGE_RW : 0) |
			       (dirty ? _PAGE_DIRTY : 0));
}

void page_add_rmap(struct page *page)
{
	get_page(page);
	atomic_inc(&page->_mapcount);
}

void page_remove_rmap(struct page *page)
{
	atomic_dec(&page->_mapcount);
	put_page(page);
}

static void name_anon_page(struct page *page, const struct vm_area_struct *vma, unsigned long va)
{
	/* Nothing moves an area, so the address is the page's name in all of them. */
	page->index = va >> PAGE_SHIFT;
	WRITE_ONCE(page->mapping,
		   (struct address_space *)((unsigned long)vma->anon_vma | PAGE_MAPPING_ANON));
}

/* A new page, of the caller's alone, becomes the PTE's. False: the PTE is not @seen any more. */
static bool install_new(struct vm_area_struct *vma, unsigned long va, u64 *ptep, pteval_t seen,
			struct page *page, bool write)
{
	guard(spinlock)(pte_lockptr(ptep));
	if (pte_load(ptep) != seen)
		return false;
	name_anon_page(page, vma, va);
	page_add_rmap(page);
	set_pte(ptep, mk_pte(vma, page, true, write));
	lru_add(page);
	return true;
}

static int anonymous_fault(struct vm_area_struct *vma, unsigned long va, u64 *ptep, bool write)
{
	struct page *page = alloc_page(GFP_KERNEL | __GFP_ZERO);

	if (!page)
		return -ENOMEM;
	if (install_new(vma, va, ptep, 0, page, write))
		pgtable_count(&current_pgtable()->stats.anon_faults);
	put_page(page);
	return 0;
}

static bool is_alone(struct page *page, int mapcount)
{
	bool cached = page_has_flags(page, PG_swapcache);

	return page_mapcount(page) == mapcount && (!cached || swap_count(page) <= 1u - mapcount) &&
	       page_ref_count(page) == mapcount + cached + 1;
}

/* The page of a place in swap, locked, with a reference; null: no memory, or the PTE changed. */
static struct page *swap_in(unsigned long slot, int *err)
{
	struct page *page = swap_page(slot);

	*err = 0;
	if (page) {
		lock_page(page);
		return page;
	}
	page = alloc_page(GFP_KERNEL);
	if (!page) {
		*err = -ENOMEM;
		return nullptr;
	}
	lock_page(page);
	if (swap_claim(slot, page)) {
		pgtable_count(&current_pgtable()->stats.swap_ins);
		return page;
	}
	/* Somebody was faster; or nobody names the place any more. */
	unlock_page(page);
	put_page(page);
	return nullptr;
}

static void map_swapped(struct vm_area_struct *vma, unsigned long va, u64 *ptep, pteval_t seen,
			struct page *page, bool write)
{
	guard(spinlock)(pte_lockptr(ptep));
	if (pte_load(ptep) != seen)
		return;
	/* Its place was given to another page while we waited for the lock. */
	if (!page_has_flags(page, PG_swapcache) || page->private_data != pte_slot(seen))
		return;
	bool alone = is_alone(page, 0);

	name_anon_page(page, vma, va);
	page_add_rmap(page);
	/* Clean: as long as it stays so, the place in swap is its copy. */
	set_pte(ptep, mk_pte(vma, page, alone, alone && write));
	swap_put(pte_slot(seen));
	if (!page_has_flags(page, PG_lru))
		lru_add(page);
}

static int swap_fault(struct vm_area_struct *vma, unsigned long va, u64 *ptep, pteval_t seen,
		      bool write)
{
	int err;
	struct page *page = swap_in(pte_slot(seen), &err);

	if (!page)
		return err;
	map_swapped(vma, va, ptep, seen, page, write);
	unlock_page(page);
	put_page(page);
	return 0;
}

/* The page of @seen, if it is still there: a reference, and the lock. */
static struct page *lock_mapped(u64 *ptep, pteval_t seen)
{
	struct page *page = pfn_to_page(pte_pfn(seen));

	scoped_guard (spinlock, pte_lockptr(ptep)) {
		pteval_t now = pte_load(ptep);

		if (!pte_present(now) || pte_pfn(now) != pte_pfn(seen) || pte_write(now))
			return nullptr;
		get_page(page);
	}
	lock_page(page);
	return page;
}

/* 1: writable now, or changed meanwhile; 0: it must be copied. */
static bool reuse(u64 *ptep, struct page *page)
{
	pteval_t now;

	guard(spinlock)(pte_lockptr(ptep));
	now = pte_load(ptep);
	if (!pte_present(now) || pte_pfn(now) != page_to_pfn(page) || pte_write(now))
		return true;
	if (!is_alone(page, 1))
		return false;
	set_pte(ptep, now | _PAGE_RW | _PAGE_DIRTY | _PAGE_ACCESSED);
	pgtable_count(&current_pgtable()->stats.cow_reuses);
	return true;
}

static bool install_copy(struct vm_area_struct *vma, unsigned long va, u64 *ptep, struct page *old,
			 struct page *copy)
{
	guard(spinlock)(pte_lockptr(ptep));
	pteval_t now = pte_load(ptep);

	if (!pte_present(now) || pte_pfn(now) != page_to_pfn(old) || pte_write(now))
		return false;
	name_anon_page(copy, vma, va);
	page_add_rmap(copy);
	/* The old page's dirty bit may be in this PTE only: others have it from a fork, clean. */
	if (pte_dirty(ptep_xchg(ptep, mk_pte(vma, copy, true, true))))
		page_set_flags(old, PG_dirty);
	tlb_flush(vma, va, 1);
	lru_add(copy);
	return true;
}

static int write_protect_fault(struct vm_area_struct *vma, unsigned long va, u64 *ptep,
			       pteval_t seen)
{
	struct page *old = lock_mapped(ptep, seen), *copy;
	int err = 0;

	if (!old || reuse(ptep, old))
		goto unlock;
	copy = alloc_page(GFP_KERNEL);
	if (!copy) {
		err = -ENOMEM;
		goto unlock;
	}
	memcpy(page_address(copy), page_address(old), PAGE_SIZE);
	if (install_copy(vma, va, ptep, old, copy)) {
		pgtable_count(&current_pgtable()->stats.cow_copies);
		page_remove_rmap(old);
	}
	put_page(copy);
unlock:
	if (old) {
		unlock_page(old);
		put_page(old);
	}
	return err;
}

int handle_pte_fault(struct vm_area_struct *vma, unsigned long va, bool write)
{
	u64 *ptep = pt_alloc(vma->vm_mm->tables, va);
	pteval_t pte;

	if (!ptep)
		return -ENOMEM;
	pte = pte_load(ptep);
	if (!pte)
		return anonymous_fault(vma, va, ptep, write);
	if (pte_is_swap(pte))
		return swap_fault(vma, va, ptep, pte, write);
	if (write && !pte_write(pte))
		return write_protect_fault(vma, va, ptep, pte);
	return 0;
}

int install_file_pte(struct vm_area_struct *vma, unsigned long va, struct page *page, bool write)
{
	u64 *ptep = pt_alloc(vma->vm_mm->tables, va);
	pteval_t now;

	if (!ptep)
		return -ENOMEM;
	guard(spinlock)(pte_lockptr(ptep));
	now = pte_load(ptep);
	if (pte_present(now) && (pte_write(now) || !write))
		return 0;
	if (!pte_present(now))
		page_add_rmap(page);
	set_pte(ptep, mk_pte(vma, page, write, write));
	return 0;
}

/* What a PTE that is gone had. */
static void release_pte(const struct vm_area_struct *vma, pteval_t old)
{
	struct page *page;

	if (pte_is_swap(old))
		swap_put(pte_slot(old));
	if (!pte_present(old))
		return;
	page = pfn_to_page(pte_pfn(old));
	if (pte_dirty(old) && vma->anon_vma)
		page_set_flags(page, PG_dirty);
	atomic_dec(&page->_mapcount);
	if (page_has_flags(page, PG_swapcache))
		swap_drop_orphan(page);
	put_page(page);
}

void zap_vma(struct vm_area_struct *vma, bool pinned)
{
	unsigned long va = vma->vm_start;

	while (u64 *ptep = pt_next(vma->vm_mm->tables, &va, vma->vm_end)) {
		pteval_t old;

		scoped_guard (spinlock, pte_lockptr(ptep))
			old = pinned ? ptep_xchg(ptep, 0) : native_pte_xchg(ptep, 0);
		release_pte(vma, old);
		va += PAGE_SIZE;
	}
}

void zap_file_range(struct vm_area_struct *vma, unsigned long va, unsigned long nr)
{
	const unsigned long end = va + (nr << PAGE_SHIFT);

	while (u64 *ptep = pt_next(vma->vm_mm->tables, &va, end)) {
		pteval_t old;

		scoped_guard (spinlock, pte_lockptr(ptep)) {
			old = ptep_xchg(ptep, 0);
			tlb_flush(vma, va, 1);
		}
		release_pte(vma, old);
		va += PAGE_SIZE;
	}
}
