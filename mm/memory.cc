/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * memory.cc - from a fault to a PTE
 *
 *   faulting thread                                    the others
 *     mmap_lock (read)                                   munmap waits
 *     vm_ops->fault: the page, a reference
 *     lock the page
 *       write: vm_ops->page_mkwrite does the locking     harvest of this page waits
 *     still the file's page? still this PTE?
 *     install the PTE                                    (its own step)
 *     unlock the page                                    harvest: protects, then reads
 *
 * Why the lock is held from page_mkwrite to the PTE: between the driver's note "this page is
 * dirty" and the writable PTE, a harvest must not come: it would protect nothing, clear the note,
 * and the PTE that is installed afterwards would let stores pass unseen for ever. (That was bug
 * 219787 of the first xenfb, and once more a regression of 2025, where the worker stopped taking
 * the lock.)
 *
 * M1 and M2 of linux/mm.h are kept here. Runs in the faulting thread's signal handler, or in a
 * handler thread; it may sleep: a guest program holds no lock of ours.
 */
#include "pgtable.h"

#include <linux/bug.h>
#include <linux/err.h>
#include <linux/fs.h>
#include <linux/pagemap.h>

static int fault_errno(vm_fault_t ret)
{
	return ret & VM_FAULT_OOM ? -ENOMEM : -EFAULT;
}

/* vmf->page with the caller's reference becomes readable, or writable. */
static int install(struct vm_fault *vmf, bool write)
{
	struct vm_area_struct *vma = vmf->vma;
	vm_fault_t ret = 0;
	int err;

	if (write && vma->vm_ops->page_mkwrite) {
		ret = vma->vm_ops->page_mkwrite(vmf);
		if (ret & (VM_FAULT_SIGBUS | VM_FAULT_OOM))
			return fault_errno(ret);
	}
	if (!(ret & VM_FAULT_LOCKED))
		lock_page(vmf->page);
	/*
	 * The device may have gone away while we waited; its unmapping comes after this, or has
	 * been.
	 */
	if (vmf->page->mapping != vma->vm_file->f_mapping)
		err = -EFAULT;
	else if (vma->vm_mm->tables)
		err = install_file_pte(vma, vmf->address, vmf->page, write);
	else
		err = mmu_map(vma->area, vmf->address, vmf->page, write ? MMU_RW : MMU_RO);
	unlock_page(vmf->page);
	return err;
}

static int handle_fault_locked(struct vm_area_struct *vma, unsigned long address, bool write)
{
	struct vm_fault vmf = {
		.vma = vma,
		.flags = write ? FAULT_FLAG_WRITE : 0,
		.address = address & PAGE_MASK,
		.pgoff = linear_page_index(vma, address),
		.page = nullptr,
	};
	struct mmu_pte pte;
	vm_fault_t ret;
	int err;

	if (vma->unmapped || !(vma->vm_flags & (write ? VM_WRITE : VM_READ)))
		return -EFAULT;
	if (vma->anon_vma)
		return handle_pte_fault(vma, vmf.address, write);
	/* With tables, install() sees whether another thread was faster. */
	pte = mmu_pte(vma->area, vmf.address);
	if (!vma->vm_mm->tables && pte.present && (pte.writable || !write))
		return 0;

	ret = vma->vm_ops->fault(&vmf);
	if (ret)
		return fault_errno(ret);
	err = install(&vmf, write);
	put_page(vmf.page);
	return err;
}

static int page_fault(struct vm_area_struct *vma, unsigned long address, bool write)
{
	guard(rwsem_read)(&vma->vm_mm->mmap_lock);
	return handle_fault_locked(vma, address, write);
}

/* The processor walks; what it cannot do is a page fault, and then it walks again. */
static int walk_and_fault(struct vm_area_struct *vma, unsigned long va, bool write)
{
	for (;;) {
		int err = tlb_fill(vma, va, write);

		if (err == -EFAULT)
			err = page_fault(vma, va, write);
		else
			return err;
		if (err)
			return err;
	}
}

int mm_handle_fault(struct mmu_area *area, unsigned long address, bool write)
{
	struct vm_area_struct *vma = (struct vm_area_struct *)mmu_area_owner(area);

	if (!vma->vm_mm->tables)
		return page_fault(vma, address, write);
	return walk_and_fault(vma, (address & PAGE_MASK) - mmu_area_start(area) + vma->vm_start,
			      write);
}
