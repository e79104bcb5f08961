/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * fork.cc - copying an address space, and taking one away
 *
 *      fork   for each area: a new one, in rmap (others see it from here on)
 *                            PTEs: the parent's made read-only, the child's the same
 *             pin
 *      exit   processors leave it -> unpin -> for each area: out of rmap, PTEs gone -> tables gone
 *
 * In rmap before it is copied: reclaim must find all PTEs of a page to be able to free it, and a
 * fork may need just those pages for the child's tables (Hugh Dickins, the seed). A policy can ask
 * for the other order: then areas enter rmap after the pin, and leave it before the unpin.
 *
 * Mutant: pin_unpin_before_rmap unpins while the areas of such a policy are still in rmap.
 */
#include "pgtable.h"
#include "pin/pin.h"

#include <kshim/mutant.h>
#include <linux/err.h>
#include <linux/fs.h>
#include <linux/slab.h>

/* One PTE of the parent, its lock held: both can only read it from now on. */
static void copy_pte(u64 *from, u64 *to, bool *protected_any)
{
	pteval_t pte = pte_load(from);

	if (pte_is_swap(pte)) {
		swap_get(pte_slot(pte));
		native_pte_set(to, pte);
		return;
	}
	if (!pte_present(pte))
		return;
	if (pte_write(pte)) {
		/* Not a store of what was read: the processor sets bits meanwhile (P3). */
		(void)ptep_test_and_clear(from, _PAGE_BIT_RW);
		*protected_any = true;
	}
	page_add_rmap(pfn_to_page(pte_pfn(pte)));
	native_pte_set(to, pte & ~(_PAGE_RW | _PAGE_DIRTY | _PAGE_ACCESSED));
}

static int copy_range(struct vm_area_struct *vma, struct vm_area_struct *old)
{
	unsigned long va = old->vm_start;
	bool protected_any = false;

	while (u64 *from = pt_next(old->vm_mm->tables, &va, old->vm_end)) {
		u64 *to = pt_alloc(vma->vm_mm->tables, va);

		if (!to)
			break;
		guard(spinlock)(pte_lockptr(from));
		guard(spinlock)(pte_lockptr(to));
		copy_pte(from, to, &protected_any);
		va += PAGE_SIZE;
	}
	if (protected_any)
		tlb_flush(old, old->vm_start, (old->vm_end - old->vm_start) >> PAGE_SHIFT);
	return va < old->vm_end ? -ENOMEM : 0;
}

static int dup_vma(struct mm_struct *mm, struct vm_area_struct *old) __must_hold(&mm->mmap_lock)
{
	struct vm_area_struct *vma = vma_alloc(mm, old->vm_end - old->vm_start);

	if (IS_ERR(vma))
		return PTR_ERR_OR_ZERO(vma);
	vma->vm_start = old->vm_start;
	vma->vm_end = old->vm_end;
	vma->vm_flags = old->vm_flags;
	vma->vm_pgoff = old->vm_pgoff;
	vma->vm_ops = old->vm_ops;
	vma->vm_private_data = old->vm_private_data;
	if (old->anon_vma) {
		refcount_inc(&old->anon_vma->refs);
		vma->anon_vma = old->anon_vma;
	} else {
		vma->vm_file = get_file(old->vm_file);
		if (vma->vm_ops->open)
			vma->vm_ops->open(vma);
	}
	list_add_tail(&vma->mm_node, &mm->vmas);
	if (!current_pgtable()->policy->late_visible)
		vma_link_rmap(vma);
	/* A file's PTEs come by faults. */
	return old->anon_vma ? copy_range(vma, old) : 0;
}

static void link_all(struct mm_struct *mm) __must_hold(&mm->mmap_lock)
{
	struct vm_area_struct *vma;

	list_for_each_entry (vma, &mm->vmas, mm_node)
		vma_link_rmap(vma);
}

static int dup_mmap(struct mm_struct *mm, struct mm_struct *old)
{
	struct vm_area_struct *vma;
	int err = 0;

	guard(rwsem_write)(&old->mmap_lock);
	guard(rwsem_write)(&mm->mmap_lock);
	list_for_each_entry (vma, &old->vmas, mm_node) {
		err = dup_vma(mm, vma);
		if (err)
			return err;
	}
	err = pin_tables(mm->tables);
	if (!err && current_pgtable()->policy->late_visible)
		link_all(mm);
	return err;
}

struct mm_struct *dup_mm(struct mm_struct *old)
{
	struct mm_struct *mm = mm_alloc();
	int err;

	if (!mm)
		return (struct mm_struct *)ERR_PTR(-ENOMEM);
	mm->delivery = old->delivery;
	err = mm_alloc_tables(mm);
	if (!err)
		err = dup_mmap(mm, old);
	if (err) {
		mmput(mm);
		return (struct mm_struct *)ERR_PTR(err);
	}
	pgtable_count(&current_pgtable()->stats.forks);
	return mm;
}

int mm_activate(struct mm_struct *mm)
{
	guard(rwsem_write)(&mm->mmap_lock);
	return pin_tables(mm->tables);
}

unsigned long mm_view(struct mm_struct *mm, unsigned long va)
{
	struct vm_area_struct *vma;

	guard(rwsem_read)(&mm->mmap_lock);
	list_for_each_entry (vma, &mm->vmas, mm_node) {
		if (va >= vma->vm_start && va < vma->vm_end)
			return vma_view(vma, va);
	}
	return 0;
}

static void unlink_all(struct mm_struct *mm)
{
	struct vm_area_struct *vma;

	guard(rwsem_write)(&mm->mmap_lock);
	list_for_each_entry (vma, &mm->vmas, mm_node)
		vma_unlink_rmap(vma);
}

void exit_mm_tables(struct mm_struct *mm)
{
	struct mm_tables *tables = mm->tables;
	bool hide = current_pgtable()->policy->late_visible && !KSHIM_MUTANT(pin_unpin_before_rmap);

	pgtable_count(&current_pgtable()->stats.exits);
	if (hide)
		unlink_all(mm);
	if (!tables->pinned)
		return;
	drop_cr3(tables);
	if (unpin_tables(tables))
		kshim_violation("the page tables of an mm that exits cannot be unpinned");
}

int pgtable_state_init(struct mm_state *mm)
{
	struct pgtable_state *state = kzalloc_obj(struct pgtable_state, GFP_KERNEL);
	int err;

	if (!state)
		return -ENOMEM;
	init_rwsem(&state->anon_life);
	spin_lock_init(&state->lru_lock);
	spin_lock_init(&state->swap_lock);
	scoped_guard (spinlock, &state->lru_lock)
		INIT_LIST_HEAD(&state->lru);
	mm->pgtable = state;
	err = pin_init(state);
	if (err)
		goto free_state;
	err = reclaim_init(state);
	if (err)
		goto free_state;
	return 0;

free_state:
	mm->pgtable = nullptr;
	kfree(state);
	return err;
}

void pgtable_state_exit(struct mm_state *mm)
{
	reclaim_exit(mm->pgtable);
	swap_exit(mm->pgtable);
	kfree(mm->pgtable);
	mm->pgtable = nullptr;
}
