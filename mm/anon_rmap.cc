/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * anon_rmap.cc - from an anonymous page to its PTEs
 *
 *      page->mapping = anon_vma | ANON   page->index        vma (parent), vma (child), ...
 *              \__ anon_vma: list of VMAs __/ each has the page at one address, or not at all
 *
 * An anon_vma lives while a VMA has a reference; a VMA leaves the list before it goes, and gives
 * back its reference when its PTEs are gone. So a page that is mapped has a living anon_vma; and
 * who walks holds anon_life, for which who frees one waits.
 *
 * Clearing young is where the seed's bug was seen: it touches a PTE of a process that it knows
 * nothing about, and is therefore the first to meet one whose table is on its way to being pinned.
 */
#include "pgtable.h"

#include <linux/bug.h>
#include <linux/fs.h>
#include <linux/pagemap.h>
#include <linux/slab.h>

struct anon_vma *anon_vma_alloc(void)
{
	struct anon_vma *anon_vma = kzalloc_obj(struct anon_vma, GFP_KERNEL);

	if (!anon_vma)
		return nullptr;
	mutex_init(&anon_vma->lock);
	refcount_set(&anon_vma->refs, 1);
	guard(mutex)(&anon_vma->lock);
	INIT_LIST_HEAD(&anon_vma->vmas);
	return anon_vma;
}

void anon_vma_put(struct anon_vma *anon_vma)
{
	if (!refcount_dec_and_test(&anon_vma->refs))
		return;
	/* Wait for those who found it in a page that was mapped then. */
	down_write(&current_pgtable()->anon_life);
	up_write(&current_pgtable()->anon_life);
	kfree(anon_vma);
}

void vma_link_rmap(struct vm_area_struct *vma)
{
	if (vma->anon_vma) {
		guard(mutex)(&vma->anon_vma->lock);
		list_add_tail(&vma->anon_node, &vma->anon_vma->vmas);
	} else {
		struct address_space *mapping = vma->vm_file->f_mapping;

		guard(rwsem_write)(&mapping->i_mmap_rwsem);
		list_add_tail(&vma->shared_node, &mapping->i_mmap);
	}
}

void vma_unlink_rmap(struct vm_area_struct *vma)
{
	if (vma->anon_vma) {
		guard(mutex)(&vma->anon_vma->lock);
		list_del_init(&vma->anon_node);
	} else {
		struct address_space *mapping = vma->vm_file->f_mapping;

		guard(rwsem_write)(&mapping->i_mmap_rwsem);
		list_del_init(&vma->shared_node);
	}
}

/* What is done to each PTE that maps @page, under its lock. False: enough. */
typedef bool (*pte_visitor)(struct vm_area_struct *vma, unsigned long va, u64 *ptep,
			    struct page *page, void *arg);

static bool visit(struct vm_area_struct *vma, unsigned long va, struct page *page,
		  pte_visitor visitor, void *arg)
{
	u64 *ptep;
	pteval_t pte;

	if (va < vma->vm_start || va >= vma->vm_end || !vma->vm_mm->tables)
		return true;
	ptep = pt_lookup(vma->vm_mm->tables, va);
	if (!ptep)
		return true;
	guard(spinlock)(pte_lockptr(ptep));
	pte = pte_load(ptep);
	if (!pte_present(pte) || pte_pfn(pte) != page_to_pfn(page))
		return true;
	return visitor(vma, va, ptep, page, arg);
}

static void walk_anon(struct page *page, pte_visitor visitor, void *arg)
{
	struct anon_vma *anon_vma;
	struct vm_area_struct *vma;

	guard(rwsem_read)(&current_pgtable()->anon_life);
	if (!page_mapcount(page))
		return;
	anon_vma =
		(struct anon_vma *)((unsigned long)READ_ONCE(page->mapping) & ~PAGE_MAPPING_ANON);
	guard(mutex)(&anon_vma->lock);
	list_for_each_entry (vma, &anon_vma->vmas, anon_node) {
		if (!visit(vma, page->index << PAGE_SHIFT, page, visitor, arg))
			return;
	}
}

static void walk_file(struct page *page, struct address_space *mapping, pte_visitor visitor,
		      void *arg)
{
	struct vm_area_struct *vma;

	guard(rwsem_read)(&mapping->i_mmap_rwsem);
	list_for_each_entry (vma, &mapping->i_mmap, shared_node) {
		if (page->index < vma->vm_pgoff)
			continue;
		if (!visit(vma, vma->vm_start + ((page->index - vma->vm_pgoff) << PAGE_SHIFT), page,
			   visitor, arg))
			return;
	}
}

static void walk(struct page *page, pte_visitor visitor, void *arg)
{
	struct address_space *mapping = READ_ONCE(page->mapping);

	if ((unsigned long)mapping & PAGE_MAPPING_ANON)
		walk_anon(page, visitor, arg);
	else if (mapping)
		walk_file(page, mapping, visitor, arg);
}

static bool clear_young(struct vm_area_struct *vma, unsigned long va, u64 *ptep, struct page *,
			void *arg)
{
	if (ptep_test_and_clear(ptep, _PAGE_BIT_ACCESSED)) {
		(*(int *)arg)++;
		tlb_flush(vma, va, 1);
	}
	return true;
}

int page_referenced(struct page *page)
{
	int referenced = 0;

	walk(page, clear_young, &referenced);
	return referenced;
}

static bool unmap_one(struct vm_area_struct *vma, unsigned long va, u64 *ptep, struct page *page,
		      void *)
{
	pteval_t old;

	swap_get(page->private_data);
	old = ptep_xchg(ptep, swap_pte(page->private_data));
	tlb_flush(vma, va, 1);
	if (pte_dirty(old))
		page_set_flags(page, PG_dirty);
	page_remove_rmap(page);
	return true;
}

bool try_to_unmap(struct page *page)
{
	WARN_ON(!page_has_flags(page, PG_swapcache));
	walk(page, unmap_one, nullptr);
	return !page_mapcount(page);
}
