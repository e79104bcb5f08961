// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * vmap_debug.cc - use after vunmap (vmap.debug)
 *
 * Lazily unmapped addresses still work, so using one goes unnoticed until a purge, or for ever.
 * With vmap.debug they are refused from the moment they are given back, as if the page tables had
 * been cleared at once, and let through again on revival. An access then faults; before the fault
 * takes its course it is reported with the area's pages and who unmapped it. That holds for
 * purged areas too, the last few of which are remembered.
 *
 * Locks: debug_lock makes a change of state and of the protection one step to other users;
 * record_lock guards the record. The report runs in a signal handler of the thread that made the
 * access: code that was using memory, not code that holds a lock of this file.
 */
#include "vmap_internal.h"

#include <linux/jiffies.h>
#include <linux/kernel.h>
#include <linux/printk.h>
#include <linux/slab.h>
#include <linux/string.h>

constexpr unsigned int RECORDS = 256;
constexpr unsigned int PAGES_TOLD = 4;

struct vmap_record {
	unsigned long first;
	u32 nr; /* 0: none */
	unsigned long pfns[PAGES_TOLD];
	const void *mapped_by, *unmapped_by;
	unsigned long unmapped_at;
};

struct vmap_debug {
	spinlock_t record_lock;
	struct vmap_record purged[RECORDS] __guarded_by(record_lock);
	unsigned int next __guarded_by(record_lock);
};

static struct vmap_record record_of(const struct vmap_area *area)
{
	struct vmap_record record = {.first = area->first,
				     .nr = area->nr,
				     .pfns = {},
				     .mapped_by = area->vm.caller,
				     .unmapped_by = READ_ONCE(area->unmapped_by),
				     .unmapped_at = READ_ONCE(area->unmapped_at)};

	for (u32 i = 0; i < min(area->nr, PAGES_TOLD); i++)
		record.pfns[i] = page_to_pfn(area->pages[i]);
	return record;
}

/* The latest purged area that had the page; nr 0: none that is remembered. */
static struct vmap_record find_purged(struct vmap_debug *debug, unsigned long index)
{
	guard(spinlock)(&debug->record_lock);
	for (unsigned int i = 1; i <= RECORDS; i++) {
		const struct vmap_record *record = &debug->purged[(debug->next - i) % RECORDS];

		if (record->nr && index - record->first < record->nr)
			return *record;
	}
	return {};
}

static void report(const struct vmap_record *record, unsigned long addr, bool write,
		   const char *state)
{
	char pages[PAGES_TOLD * 24] = "";
	int length = 0;

	for (u32 i = 0; i < min(record->nr, PAGES_TOLD); i++)
		length += scnprintf(pages + length, sizeof(pages) - (size_t)length, " %lu",
				    record->pfns[i]);
	pr_err("vmap: use after vunmap: a %s of %#lx, which is %s: page %lu of an area of %u pages "
	       "(frames%s%s), mapped by %p, unmapped by %p %u us ago\n",
	       write ? "store" : "load", addr, state,
	       vmap_page_index(current_vmap(), (void *)addr) - record->first, record->nr, pages,
	       record->nr > PAGES_TOLD ? " ..." : "", record->mapped_by, record->unmapped_by,
	       jiffies_to_usecs(jiffies - record->unmapped_at));
}

static void on_refused(unsigned long addr, bool write)
{
	struct vmap_state *vmap = current_vmap();
	unsigned long index = vmap_page_index(vmap, (void *)addr);
	struct vmap_record record = {};
	const struct vmap_area *area;

	scoped_guard (rcu) {
		area = (const struct vmap_area *)rcu_dereference(vmap->window.slots[index]);
		if (area)
			record = record_of(area);
	}
	if (area) {
		report(&record, addr, write, "lazily unmapped");
		return;
	}
	record = find_purged(vmap->debug, index);
	if (record.nr)
		report(&record, addr, write, "unmapped and purged");
}

void vmap_debug_refuse(struct vmap_state *vmap, struct vmap_area *area, bool refuse)
{
	int err = kernel_window_refuse(&vmap->window, area->first, area->nr, refuse, area->prot);

	/*
	 * Refused is what it stays, if the host has no memory to undo it: that would kill its
	 * user.
	 */
	if (err && !refuse)
		pr_err("vmap: %p cannot be used again: error %d\n", area->vm.addr, err);
}

void vmap_debug_purged(struct vmap_state *vmap, const struct vmap_area *area)
{
	struct vmap_debug *debug = vmap->debug;
	struct vmap_record record = record_of(area);

	guard(spinlock)(&debug->record_lock);
	debug->purged[debug->next++ % RECORDS] = record;
}

int vmap_debug_init(struct vmap_state *vmap)
{
	if (!vmap->params.debug)
		return 0;
	vmap->debug = kzalloc_obj(struct vmap_debug, GFP_KERNEL);
	if (!vmap->debug)
		return -ENOMEM;
	spin_lock_init(&vmap->debug->record_lock);
	kernel_window_watch(on_refused);
	return 0;
}

void vmap_debug_exit(struct vmap_state *vmap)
{
	if (!vmap->debug)
		return;
	kernel_window_watch(nullptr);
	kfree(vmap->debug);
	vmap->debug = nullptr;
}
