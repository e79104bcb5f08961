/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * memfd.cc - a file that exists in memory only
 *
 * Its pages come with the first access and go with the file. They are not reclaimed.
 * Lock: memfd->lock guards the pages.
 */
#include "pgtable.h"

#include <linux/err.h>
#include <linux/fs.h>
#include <linux/pagemap.h>
#include <linux/slab.h>

struct memfd {
	struct address_space mapping;
	struct mutex lock;
	unsigned long nr;
	struct page *pages[];
};

static struct page *get_or_make(struct memfd *memfd, pgoff_t index)
{
	struct page *page;

	guard(mutex)(&memfd->lock);
	page = memfd->pages[index];
	if (!page) {
		page = alloc_page(GFP_KERNEL | __GFP_ZERO);
		if (!page)
			return nullptr;
		page->mapping = &memfd->mapping;
		page->index = index;
		memfd->pages[index] = page;
	}
	get_page(page);
	return page;
}

static vm_fault_t memfd_fault(struct vm_fault *vmf)
{
	auto *memfd = (struct memfd *)vmf->vma->vm_file->private_data;

	if (vmf->pgoff >= memfd->nr)
		return VM_FAULT_SIGBUS;
	vmf->page = get_or_make(memfd, vmf->pgoff);
	return vmf->page ? 0 : VM_FAULT_OOM;
}

static int memfd_mmap(struct file *file, struct vm_area_struct *vma)
{
	static const struct vm_operations_struct ops = {
		.open = nullptr, .close = nullptr, .fault = memfd_fault, .page_mkwrite = nullptr};

	(void)file;
	vma->vm_ops = &ops;
	return 0;
}

static int memfd_release(struct file *file)
{
	auto *memfd = (struct memfd *)file->private_data;

	for (unsigned long i = 0; i < memfd->nr; i++) {
		if (memfd->pages[i])
			put_page(memfd->pages[i]);
	}
	kvfree(memfd);
	return 0;
}

struct file *memfd_file(unsigned long nr_pages)
{
	static const struct file_operations fops = {
		.mmap = memfd_mmap, .release = memfd_release, .fsync = nullptr};
	auto *memfd = (struct memfd *)kvzalloc(
		sizeof(struct memfd) + nr_pages * sizeof(struct page *), GFP_KERNEL);
	struct file *file;

	if (!memfd)
		return (struct file *)ERR_PTR(-ENOMEM);
	address_space_init(&memfd->mapping, memfd);
	mutex_init(&memfd->lock);
	memfd->nr = nr_pages;
	file = alloc_file(&fops, memfd);
	if (IS_ERR(file)) {
		kvfree(memfd);
		return file;
	}
	file->f_mapping = &memfd->mapping;
	return file;
}

struct page *memfd_page(struct file *file, unsigned long index)
{
	auto *memfd = (struct memfd *)file->private_data;

	guard(mutex)(&memfd->lock);
	return index < memfd->nr ? memfd->pages[index] : nullptr;
}
