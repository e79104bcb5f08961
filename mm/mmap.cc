/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * mmap.cc - address spaces of guest programs
 *
 * A VMA owns one mmu_area, a range of real addresses whose accesses fault until a page is
 * installed.
 *
 *      vm_mmap:   area -> file's mmap() -> on the address_space's list -> on the mm's list
 *      vm_munmap: marked, off both lists -> faults in flight have ended, addresses gone ->
 *      close() -> fput()
 *
 * While a VMA is marked, faults in its area fail; those which were in flight are waited for when
 * the area is destroyed, without any lock of ours, since they may be waiting for mmap_lock.
 *
 * Lock order: mmap_lock -> i_mmap_rwsem. close() and fput() run with no lock: they flush and sleep.
 */
#include "pgtable.h"

#include <linux/err.h>
#include <linux/fs.h>
#include <linux/printk.h>
#include <linux/slab.h>

static const struct mmu_area_ops mm_area_ops = {
	.fault = mm_handle_fault,
};

struct mm_struct *mm_alloc(void)
{
	struct mm_struct *mm = (struct mm_struct *)kzalloc(sizeof(*mm), GFP_KERNEL);

	if (!mm)
		return nullptr;
	refcount_set(&mm->mm_users, 1);
	init_rwsem(&mm->mmap_lock);
	mm->delivery = MMU_DELIVER_INLINE;
	mm->tables = nullptr;
	guard(rwsem_write)(&mm->mmap_lock);
	INIT_LIST_HEAD(&mm->vmas);
	return mm;
}

void mmget(struct mm_struct *mm)
{
	refcount_inc(&mm->mm_users);
}

struct vm_area_struct *vma_alloc(struct mm_struct *mm, unsigned long len)
{
	struct vm_area_struct *vma = kzalloc_obj(struct vm_area_struct, GFP_KERNEL);

	if (!vma)
		return (struct vm_area_struct *)ERR_PTR(-ENOMEM);
	vma->vm_mm = mm;
	spin_lock_init(&vma->tlb_lock);
	INIT_LIST_HEAD(&vma->mm_node);
	INIT_LIST_HEAD(&vma->shared_node);
	INIT_LIST_HEAD(&vma->anon_node);
	vma->area = mmu_area_create(PAGE_ALIGN(len), mm->delivery, &mm_area_ops, vma);
	if (IS_ERR(vma->area)) {
		int err = PTR_ERR_OR_ZERO(vma->area);

		kfree(vma);
		return (struct vm_area_struct *)ERR_PTR(err);
	}
	vma->vm_start = mmu_area_start(vma->area);
	vma->vm_end = vma->vm_start + PAGE_ALIGN(len);
	return vma;
}

/* What vma_alloc() made, and the references to what is mapped; the addresses are gone already. */
void vma_free(struct vm_area_struct *vma)
{
	if (vma->vm_file)
		fput(vma->vm_file);
	if (vma->anon_vma)
		anon_vma_put(vma->anon_vma);
	kfree(vma);
}

void detach_vma(struct mm_struct *mm, struct vm_area_struct *vma) __must_hold(&mm->mmap_lock)
{
	vma->unmapped = true;
	list_del_init(&vma->mm_node);
	vma_unlink_rmap(vma);
}

void destroy_vma(struct vm_area_struct *vma)
{
	mmu_area_destroy(vma->area);
	if (vma->vm_mm->tables)
		zap_vma(vma, vma->vm_mm->tables->pinned);
	if (vma->vm_ops && vma->vm_ops->close)
		vma->vm_ops->close(vma);
	vma_free(vma);
}

void mmput(struct mm_struct *mm)
{
	if (!mm || !refcount_dec_and_test(&mm->mm_users))
		return;
	if (mm->tables)
		exit_mm_tables(mm);
	for (;;) {
		struct vm_area_struct *vma;

		scoped_guard (rwsem_write, &mm->mmap_lock) {
			vma = list_first_entry_or_null(&mm->vmas, struct vm_area_struct, mm_node);
			if (vma)
				detach_vma(mm, vma);
		}
		if (!vma)
			break;
		destroy_vma(vma);
	}
	if (mm->tables)
		pt_free_all(mm->tables);
	kfree(mm);
}

static unsigned long prot_to_vm_flags(unsigned long prot, bool shared)
{
	unsigned long vm_flags = shared ? VM_SHARED : 0;

	if (prot & (PROT_READ | PROT_WRITE))
		vm_flags |= VM_READ;
	if (prot & PROT_WRITE)
		vm_flags |= VM_WRITE;
	return vm_flags;
}

/* The file says what faults do. */
static int mmap_file(struct vm_area_struct *vma, struct file *file)
{
	int err;

	vma->vm_file = get_file(file);
	err = file->f_op->mmap(file, vma);
	if (err)
		return err;
	return WARN_ON(!file->f_mapping || !vma->vm_ops || !vma->vm_ops->fault) ? -ENODEV : 0;
}

static int mmap_anonymous(struct vm_area_struct *vma)
{
	vma->anon_vma = anon_vma_alloc();
	return vma->anon_vma ? 0 : -ENOMEM;
}

static bool is_mappable(const struct mm_struct *mm, const struct file *file, unsigned long flags)
{
	return file ? flags & MAP_SHARED : (flags & MAP_PRIVATE) && mm->tables;
}

unsigned long vm_mmap(struct mm_struct *mm, struct file *file, unsigned long len,
		      unsigned long prot, unsigned long flags, unsigned long offset)
{
	struct vm_area_struct *vma;
	int err;

	if (len == 0 || PAGE_ALIGN(len) < len || !PAGE_ALIGNED(offset) ||
	    !is_mappable(mm, file, flags))
		return (unsigned long)-EINVAL;
	if (file && !file->f_op->mmap)
		return (unsigned long)-ENODEV;
	vma = vma_alloc(mm, len);
	if (IS_ERR(vma))
		return (unsigned long)PTR_ERR(vma);
	vma->vm_flags = prot_to_vm_flags(prot, flags & MAP_SHARED);
	vma->vm_pgoff = offset >> PAGE_SHIFT;
	err = file ? mmap_file(vma, file) : mmap_anonymous(vma);
	if (err) {
		mmu_area_destroy(vma->area);
		vma_free(vma);
		return (unsigned long)(long)err;
	}
	guard(rwsem_write)(&mm->mmap_lock);
	list_add_tail(&vma->mm_node, &mm->vmas);
	vma_link_rmap(vma);
	return vma->vm_start;
}

static struct vm_area_struct *find_exact(struct mm_struct *mm, unsigned long addr,
					 unsigned long len) __must_hold(&mm->mmap_lock)
{
	struct vm_area_struct *vma;

	list_for_each_entry (vma, &mm->vmas, mm_node) {
		if (vma->vm_start == addr && vma->vm_end == addr + PAGE_ALIGN(len))
			return vma;
	}
	return nullptr;
}

int vm_munmap(struct mm_struct *mm, unsigned long addr, unsigned long len)
{
	struct vm_area_struct *vma;

	scoped_guard (rwsem_write, &mm->mmap_lock) {
		vma = find_exact(mm, addr, len);
		if (vma)
			detach_vma(mm, vma);
	}
	if (!vma)
		return -EINVAL;
	destroy_vma(vma);
	return 0;
}

static int mm_init(struct pv_machine *machine)
{
	struct mm_state *mm = (struct mm_state *)kzalloc(sizeof(*mm), GFP_KERNEL);
	int err;

	if (!mm)
		return -ENOMEM;
	err = page_allocator_init(&mm->allocator);
	if (err)
		goto free_mm;
	shrinker_state_init(&mm->shrinkers);
	machine->mm = mm;
	err = vmap_state_init(mm);
	if (err)
		goto unset_mm;
	err = pgtable_state_init(mm);
	if (err)
		goto exit_vmap;
	return 0;

exit_vmap:
	vmap_state_exit(mm);

unset_mm:
	machine->mm = nullptr;
free_mm:
	kfree(mm);
	return err;
}

static void mm_exit(struct pv_machine *machine)
{
	pgtable_state_exit(machine->mm);
	vmap_state_exit(machine->mm);
	page_allocator_exit(&machine->mm->allocator);
	kfree(machine->mm);
	machine->mm = nullptr;
}

const struct machine_initcall mm_initcall = {"mm", mm_init, mm_exit};
