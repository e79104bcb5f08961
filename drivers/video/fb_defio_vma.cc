/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * fb_defio_vma.cc - deferred I/O for guest programs that map the framebuffer
 *
 * Programs map the *view*, pages of our own that start as copies of the frame; only a harvest
 * carries bytes from the view into the frame. So the frame holds the old content to compare with,
 * and rectangles are exact.
 *
 *   program's store --fault--> page_mkwrite: lock page, set dirty bit, kick ... PTE ... unlock
 *   harvest, per dirty page:   lock page, protect, clear dirty bit, absorb view -> frame, unlock
 *
 * V1: with the page lock held, a page has a writable PTE only if its dirty bit is set. (Same
 *     statement, both sides: the seed of all bugs in this code was a dirty record that did not
 *     agree with the PTEs.)
 * V2: dirty bit set => a run of the worker is pending, or a harvest is on its way to the page.
 * V3: protecting comes before reading: a store that the copy misses will fault.
 * V4: reading never dirties.
 * V5: the view lives from the first VMA to the last; all of it, in runs of frames as long as
 *     memory allows, so that the host sees few mappings. Its pages are of this address_space
 *     until the device goes away.
 *
 * The dirty bits belong to the pages and not to the VMAs: two mappings of one page have one bit
 * (a list was once entered twice here), and what a program stored before it unmapped is still
 * there.
 *
 * Locks: vmas->map_lock (mutex, outermost) makes "the first VMA comes" and "the last one goes"
 *     whole; vmas->lock (mutex, short) guards pages[]. Orders: map_lock -> defio lock ->
 *     vmas->lock; mmap_lock -> vmas->lock; defio lock -> page lock -> i_mmap_rwsem. vmas->lock
 *     and the page lock are never held together.
 * KSHIM: Linux maps the frame itself and has no view, so a program's store is in the frame at
 * once and cannot be compared with anything. So what the driver draws goes into both (store).
 */
#include "video/damage.h"
#include "video/fb_defio_private.h"

#include <kshim/host.h>
#include <kshim/mutant.h>
#include <linux/bitmap.h>
#include <linux/err.h>
#include <linux/fs.h>
#include <linux/minmax.h>
#include <linux/mm.h>
#include <linux/printk.h>
#include <linux/rmap.h>
#include <linux/slab.h>
#include <linux/string.h>

struct fb_defio_vmas {
	struct fb_defio_mapping defio_mapping;
	struct fb_info *info; /* owns us */
	struct address_space mapping;
	unsigned long nr_pages; /* of the frame; constant */
	unsigned long *dirty;   /* atomic bits; set only with the page's lock held */

	struct mutex map_lock;
	unsigned int nr_vmas __guarded_by(map_lock);

	struct mutex lock;
	struct page **pages __guarded_by(lock); /* all, or null while there is no VMA */
	bool gone __guarded_by(lock);           /* zapped: the device went away */

	atomic64_t read_faults, write_faults, pages_harvested;
};

static struct fb_defio_vmas *vma_owner(struct vm_area_struct *vma)
{
	return (struct fb_defio_vmas *)vma->vm_private_data;
}

/* A page of the view with a reference, or null: beyond the frame, or the device is gone. */
static struct page *get_view_page(struct fb_defio_vmas *vmas, pgoff_t index)
{
	guard(mutex)(&vmas->lock);
	if (vmas->gone || index >= vmas->nr_pages)
		return nullptr;
	get_page(vmas->pages[index]);
	return vmas->pages[index];
}

static vm_fault_t fb_defio_fault(struct vm_fault *vmf)
{
	struct fb_defio_vmas *vmas = vma_owner(vmf->vma);
	struct page *page = get_view_page(vmas, vmf->pgoff);

	if (!page)
		return VM_FAULT_SIGBUS;
	if (!(vmf->flags & FAULT_FLAG_WRITE))
		atomic64_inc(&vmas->read_faults);
	/* Mutants: the first xenfb's nopage counted every fault, also a read's. */
	if (KSHIM_MUTANT(defio_reads_dirty) || KSHIM_MUTANT(defio_nopage_zap)) {
		set_bit(vmf->pgoff, vmas->dirty);
		fb_defio_kick(vmas->info);
	}
	/*
	 * Mutant: a read fault by a second mapping initialised the entry of a page anew that was on
	 * the list of dirty ones ("fix page list with concurrent processes", 2010).
	 */
	if (KSHIM_MUTANT(defio_reader_forgets) && !(vmf->flags & FAULT_FLAG_WRITE))
		clear_bit(vmf->pgoff, vmas->dirty);
	vmf->page = page;
	return 0;
}

/*
 * Mutant: two programs that faulted at once were entered by list_add() without a look at each
 * other (2008). A list corrupts; of bits that are changed in two steps one gets lost.
 */
static void record_in_two_steps(struct fb_defio_vmas *vmas, pgoff_t index)
{
	unsigned long *word = &vmas->dirty[index / BITS_PER_LONG];
	unsigned long seen = READ_ONCE(*word);

	WRITE_ONCE(*word, seen | 1ul << index % BITS_PER_LONG);
}

/*
 * Mutant: Linux since February 2025, as far as this house can show it ("fbdev: defio: do not use
 * deprecated page->mapping, index fields"). The page is entered under the mutex, its lock taken,
 * the mutex dropped; the PTE comes with the page lock held. The worker holds the mutex, protects
 * what is entered, calls the driver, empties the list, and nobody on that side takes the page
 * lock: see harvest_2025().
 *
 * What is modelled is the order of mutex, page lock, PTE and list. Not modelled: the list's own
 * order, folios, and that Linux's programs store into the frame itself; the copy out of the view
 * stands for the driver that reads the frame.
 */
static vm_fault_t mkwrite_2025(struct fb_defio_vmas *vmas, struct page *page)
{
	scoped_guard (mutex, &vmas->info->defio->lock) {
		set_bit(page->index, vmas->dirty);
		lock_page(page);
	}
	fb_defio_kick(vmas->info);
	return VM_FAULT_LOCKED;
}

static vm_fault_t fb_defio_mkwrite(struct vm_fault *vmf)
{
	struct fb_defio_vmas *vmas = vma_owner(vmf->vma);
	struct page *page = vmf->page;

	if (KSHIM_MUTANT(defio_linux_2025))
		return mkwrite_2025(vmas, page);
	lock_page(page);
	if (page->mapping != &vmas->mapping) {
		unlock_page(page);
		return VM_FAULT_SIGBUS;
	}
	if (KSHIM_MUTANT(defio_record_not_atomic))
		record_in_two_steps(vmas, page->index);
	else
		set_bit(page->index, vmas->dirty);
	atomic64_inc(&vmas->write_faults);
	/* After the bit: a run which came before it would have found nothing. */
	fb_defio_kick(vmas->info);
	/*
	 * Mutant: the first xenfb (bug 219787) recorded the fault and let go; the PTE came later,
	 * and a worker between the two cleared the record of a page that then became writable.
	 */
	if (KSHIM_MUTANT(defio_nopage_zap)) {
		unlock_page(page);
		return 0;
	}
	return VM_FAULT_LOCKED;
}

/* Carries one dirty page into the frame. */
static void harvest_page(struct fb_defio_vmas *vmas, pgoff_t index)
{
	size_t offset = index << PAGE_SHIFT;
	struct page *page;

	scoped_guard (mutex, &vmas->lock)
		page = vmas->pages[index];

	/*
	 * Mutant: the first xenfb's worker zapped with no page lock, and never waited for a
	 * fault.
	 */
	if (KSHIM_MUTANT(defio_nopage_zap)) {
		clear_bit(index, vmas->dirty);
		unmap_mapping_range(&vmas->mapping, offset, PAGE_SIZE);
		fb_damage_absorb(vmas->info, offset, page_address(page), PAGE_SIZE);
		return;
	}
	/*
	 * Mutant: pages whose PTE was not dirty (not yet: the fault was still on its way) were
	 * dropped from the list (the page lock cured it, 2010).
	 */
	if (KSHIM_MUTANT(defio_drops_clean)) {
		clear_bit(index, vmas->dirty);
		if (page_mkclean(page))
			fb_damage_absorb(vmas->info, offset, page_address(page), PAGE_SIZE);
		return;
	}
	/*
	 * Mutant: a conversion to folio-less write protection dropped the lock on this side only
	 * (2025).
	 */
	if (!KSHIM_MUTANT(defio_no_page_lock))
		lock_page(page);
	/* Mutant: what is stored between reading and protecting is neither copied nor noticed. */
	if (KSHIM_MUTANT(defio_clear_before_protect)) {
		clear_bit(index, vmas->dirty);
		fb_damage_absorb(vmas->info, offset, page_address(page), PAGE_SIZE);
		page_mkclean(page);
	} else {
		page_mkclean(page);
		clear_bit(index, vmas->dirty);
		fb_damage_absorb(vmas->info, offset, page_address(page), PAGE_SIZE);
	}
	if (!KSHIM_MUTANT(defio_no_page_lock))
		unlock_page(page);
	atomic64_inc(&vmas->pages_harvested);
}

/* The mutant's worker; its caller holds the mutex under which pages are entered. */
static void harvest_2025(struct fb_defio_vmas *vmas)
{
	struct page **pages;

	scoped_guard (mutex, &vmas->lock)
		pages = vmas->pages;
	for (unsigned long i = 0; i < vmas->nr_pages; i++) {
		if (test_bit(i, vmas->dirty))
			page_mkclean(pages[i]);
	}
	for (unsigned long i = 0; i < vmas->nr_pages; i++) {
		if (test_bit(i, vmas->dirty))
			fb_damage_absorb(vmas->info, i << PAGE_SHIFT, page_address(pages[i]),
					 PAGE_SIZE);
	}
	for (unsigned long i = 0; i < vmas->nr_pages; i++)
		clear_bit(i, vmas->dirty);
}

static bool fb_defio_vma_harvest(struct fb_defio_mapping *mapping)
{
	struct fb_defio_vmas *vmas = container_of(mapping, struct fb_defio_vmas, defio_mapping);

	if (KSHIM_MUTANT(defio_linux_2025)) {
		harvest_2025(vmas);
		return false;
	}
	for (unsigned long base = 0; base < vmas->nr_pages; base += BITS_PER_LONG) {
		unsigned long word = READ_ONCE(vmas->dirty[base / BITS_PER_LONG]);

		for (; word; word &= word - 1)
			harvest_page(vmas, base + __ffs(word));
	}
	/* A page that becomes dirty from now on kicks. */
	return false;
}

/* No page gets writable any more. Whoever is installing one has its lock. */
static void forget_pages(struct fb_defio_vmas *vmas)
{
	struct page **pages;

	scoped_guard (mutex, &vmas->lock)
		pages = vmas->pages;
	for (unsigned long index = 0; index < vmas->nr_pages; index++) {
		lock_page(pages[index]);
		pages[index]->mapping = nullptr;
		unlock_page(pages[index]);
	}
}

static void fb_defio_vma_zap(struct fb_defio_mapping *mapping)
{
	struct fb_defio_vmas *vmas = container_of(mapping, struct fb_defio_vmas, defio_mapping);

	scoped_guard (mutex, &vmas->lock)
		vmas->gone = true;
	forget_pages(vmas);
	/* What was installed before that. */
	unmap_mapping_range(&vmas->mapping, 0, 0);
}

/* One line of a block, page by page. The view first: a harvest of the page then changes nothing. */
static void store_line(struct fb_defio_vmas *vmas, size_t offset, const char *bytes, size_t len)
{
	const size_t end = min(offset + len, vmas->nr_pages << PAGE_SHIFT);

	while (offset < end) {
		const size_t n = min(end - offset, PAGE_SIZE - offset % PAGE_SIZE);
		struct page *page = get_view_page(vmas, offset >> PAGE_SHIFT);

		if (!page)
			return;
		lock_page(page);
		memcpy((char *)page_address(page) + offset % PAGE_SIZE, bytes, n);
		fb_damage_absorb(vmas->info, offset, bytes, n);
		unlock_page(page);
		put_page(page);
		offset += n;
		bytes += n;
	}
}

static int fb_defio_vma_store(struct fb_defio_mapping *mapping, const struct fb_block *block)
{
	struct fb_defio_vmas *vmas = container_of(mapping, struct fb_defio_vmas, defio_mapping);

	for (u32 i = 0; i < block->lines; i++)
		store_line(vmas, block->offset + i * block->pitch, block->bytes + i * block->len,
			   block->len);
	return 0;
}

void fb_defio_vmas_hold(struct fb_defio_vmas *vmas)
{
	mutex_lock(&vmas->map_lock);
}

void fb_defio_vmas_let_go(struct fb_defio_vmas *vmas)
{
	mutex_unlock(&vmas->map_lock);
}

static const struct fb_defio_mapping_ops fb_defio_vma_mapping_ops = {
	.name = "guest programs",
	.kind = FB_DEFIO_GUEST,
	.harvest = fb_defio_vma_harvest,
	.zap = fb_defio_vma_zap,
	.store = fb_defio_vma_store,
};

static void free_view(struct page **pages, unsigned long nr)
{
	for (unsigned long index = 0; index < nr; index++)
		put_page(pages[index]);
	kvfree(pages);
}

/* The first VMA comes: a copy of the frame. */
static int make_view(struct fb_defio_vmas *vmas)
{
	struct page **pages;
	int err;

	pages = (struct page **)kvcalloc(vmas->nr_pages, sizeof(struct page *), GFP_KERNEL);
	if (!pages)
		return -ENOMEM;
	err = alloc_pages_bulk(GFP_KERNEL, vmas->nr_pages, pages);
	if (err) {
		kvfree(pages);
		return err;
	}
	for (unsigned long index = 0; index < vmas->nr_pages; index++) {
		memcpy(page_address(pages[index]),
		       vmas->info->screen_buffer + (index << PAGE_SHIFT), PAGE_SIZE);
		pages[index]->mapping = &vmas->mapping;
		pages[index]->index = index;
		kshim_name(pages[index], sizeof(struct page), "view page", (long)index);
	}
	scoped_guard (mutex, &vmas->lock)
		vmas->pages = pages;
	/* From now on only guests store into the frame, through the view. */
	err = fb_defio_add_mapping(vmas->info, &vmas->defio_mapping);
	if (err) {
		scoped_guard (mutex, &vmas->lock)
			vmas->pages = nullptr;
		free_view(pages, vmas->nr_pages);
	}
	return err;
}

/* The last VMA went: what it stored is brought into the frame. */
static void drop_view(struct fb_defio_vmas *vmas)
{
	struct page **pages;

	/* Mutant: the last close let the pages go, and dirty ones were worked off later (2023). */
	if (KSHIM_MUTANT(defio_runs_after_close)) {
		scoped_guard (mutex, &vmas->lock)
			pages = vmas->pages;
		for (unsigned long index = 0; index < vmas->nr_pages; index++)
			put_page(pages[index]);
		fb_defio_remove_mapping(vmas->info, &vmas->defio_mapping);
		kvfree(pages);
		return;
	}
	fb_defio_remove_mapping(vmas->info, &vmas->defio_mapping);
	scoped_guard (mutex, &vmas->lock) {
		pages = vmas->pages;
		vmas->pages = nullptr;
	}
	free_view(pages, vmas->nr_pages);
	bitmap_zero(vmas->dirty, (unsigned int)vmas->nr_pages);
}

static void fb_defio_vma_close(struct vm_area_struct *vma)
{
	struct fb_defio_vmas *vmas = vma_owner(vma);

	guard(mutex)(&vmas->map_lock);
	if (--vmas->nr_vmas > 0) {
		/* Mutant: Linux once cleaned up (2023) when the first of several was closed. */
		if (KSHIM_MUTANT(defio_cleanup_at_first_close))
			forget_pages(vmas);
		return;
	}
	drop_view(vmas);
}

static const struct vm_operations_struct fb_defio_vm_ops = {
	.open = nullptr,
	.close = fb_defio_vma_close,
	.fault = fb_defio_fault,
	.page_mkwrite = fb_defio_mkwrite,
};

int fb_defio_mmap(struct fb_info *info, struct file *file, struct vm_area_struct *vma)
{
	struct fb_defio_vmas *vmas = info->defio ? info->defio->vmas : nullptr;
	unsigned long nr = (vma->vm_end - vma->vm_start) >> PAGE_SHIFT;
	struct page **pages;
	int err;

	if (!vmas)
		return -ENODEV;
	if (vma->vm_pgoff > vmas->nr_pages || nr > vmas->nr_pages - vma->vm_pgoff)
		return -EINVAL;
	guard(mutex)(&vmas->map_lock);
	scoped_guard (mutex, &vmas->lock) {
		if (vmas->gone)
			return -ENODEV;
	}
	if (vmas->nr_vmas == 0) {
		err = make_view(vmas);
		if (err)
			return err;
	}
	/* Constant while there are VMAs. */
	scoped_guard (mutex, &vmas->lock)
		pages = vmas->pages;
	err = mmu_bind(vma->area, vma->vm_start, pages + vma->vm_pgoff, nr);
	if (err) {
		if (vmas->nr_vmas == 0)
			drop_view(vmas);
		return err;
	}
	vmas->nr_vmas++;
	vma->vm_ops = &fb_defio_vm_ops;
	vma->vm_private_data = vmas;
	return 0;
}

struct address_space *fb_defio_address_space(struct fb_info *info)
{
	return info->defio ? &info->defio->vmas->mapping : nullptr;
}

void fb_defio_vma_stats(struct fb_info *info, struct fb_defio_vma_stats *stats)
{
	*stats = {};
	if (!info->defio)
		return;
	struct fb_defio_vmas *vmas = info->defio->vmas;

	stats->read_faults = (u64)atomic64_read(&vmas->read_faults);
	stats->write_faults = (u64)atomic64_read(&vmas->write_faults);
	stats->pages_harvested = (u64)atomic64_read(&vmas->pages_harvested);
}

struct fb_defio_vmas *fb_defio_vmas_alloc(struct fb_info *info)
{
	struct fb_defio_vmas *vmas = (struct fb_defio_vmas *)kzalloc(sizeof(*vmas), GFP_KERNEL);

	if (!vmas)
		return nullptr;
	vmas->info = info;
	vmas->nr_pages = info->screen_size >> PAGE_SHIFT;
	vmas->defio_mapping.ops = &fb_defio_vma_mapping_ops;
	mutex_init(&vmas->map_lock);
	mutex_init(&vmas->lock);
	address_space_init(&vmas->mapping, vmas);
	vmas->dirty = bitmap_zalloc((unsigned int)vmas->nr_pages, GFP_KERNEL);
	if (!vmas->dirty) {
		kfree(vmas);
		return nullptr;
	}
	kshim_name(vmas->dirty, BITS_TO_LONGS(vmas->nr_pages) * sizeof(long), "dirty bits");
	return vmas;
}

void fb_defio_vmas_free(struct fb_defio_vmas *vmas)
{
	/*
	 * Every VMA held a file and every file a reference to the fb_info: none is left, and no
	 * view.
	 */
	bitmap_free(vmas->dirty);
	kfree(vmas);
}
