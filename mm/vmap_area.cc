// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * vmap_area.cc - areas: made, found, revived, taken apart
 *
 *      made:      references, links from the pages, addresses, host mapping, slots, bucket
 *      revived:   bucket -> same pages, lazy -> use: 0 to 1            no lock, no system call
 *      unlinked:  bucket, slots, links from the pages               by the purge, after its flush
 *
 * An area is in its bucket last, since it can be revived (or, for kmap, shared) from then on:
 * whoever finds it there finds it mapped. Invariants and locks: vmap_internal.h.
 */
#include "vmap_internal.h"

#include <kshim/mutant.h>
#include <kshim/xen_mmu.h>
#include <linux/err.h>
#include <linux/kernel.h>
#include <linux/slab.h>
#include <linux/string.h>

static unsigned long key_of(const struct vmap_request *request)
{
	unsigned long key = request->flags * 2 + request->prot;

	for (unsigned long i = 0; i < request->nr; i++) {
		key = (key ^ (unsigned long)request->pages[i]) * 0x9e3779b97f4a7c15ul;
		key ^= key >> 32;
	}
	return key;
}

static struct vmap_bucket *bucket_of(struct vmap_state *vmap, unsigned long key)
{
	return &vmap->buckets[key % VMAP_BUCKETS];
}

static bool same_map(const struct vmap_area *area, const struct vmap_request *request,
		     unsigned long key)
{
	return area->key == key && area->flags == request->flags && area->prot == request->prot &&
	       area->nr == request->nr &&
	       !memcmp(area->pages, request->pages, request->nr * sizeof(area->pages[0]));
}

/* What is gained by becoming a user of an area. */
enum gained {
	NOTHING,
	A_SHARE,
	A_LAZY_AREA,
};

static enum gained try_use(struct vmap_area *area, bool share, bool revive)
{
	u32 use = READ_ONCE(area->use);

	for (;;) {
		if (use & VMAP_DEAD || !(use & VMAP_USERS ? share : revive))
			return NOTHING;
		if (try_cmpxchg(&area->use, &use, (use + 1) | VMAP_TOUCHED))
			return use & VMAP_USERS ? A_SHARE : A_LAZY_AREA;
	}
}

/* Under RCU or the bucket's lock. */
static struct vmap_area *use_existing(struct vmap_state *vmap, const struct vmap_request *request,
				      unsigned long key)
{
	bool share = request->flags == VM_KMAP;
	bool revive = vmap->params.policy == VMAP_REVIVE;
	struct vmap_area *area;

	hlist_for_each_entry_rcu(area, &bucket_of(vmap, key)->areas, bucket)
	{
		enum gained gained;

		if (!same_map(area, request, key))
			continue;
		gained = try_use(area, share, revive);
		if (gained == NOTHING)
			continue;
		struct vmap_node *node = vmap_this_node(vmap);

		vmap_count(&node->hits, 1);
		if (gained == A_LAZY_AREA) {
			vmap_count(&node->lazy_areas, -1);
			vmap_count(&node->lazy_pages, -(s64)area->nr);
		}
		return area;
	}
	return nullptr;
}

static struct vmap_area *find_existing(struct vmap_state *vmap, const struct vmap_request *request,
				       unsigned long key)
{
	/* vmalloc's pages are new: no other area can have them. */
	if (request->flags == VM_ALLOC ||
	    (request->flags != VM_KMAP && vmap->params.policy != VMAP_REVIVE))
		return nullptr;
	if (unlikely(vmap->debug)) {
		guard(mutex)(&vmap->debug_lock);
		guard(rcu)();
		struct vmap_area *area = use_existing(vmap, request, key);

		if (area)
			vmap_debug_refuse(vmap, area, false);
		return area;
	}
	guard(rcu)();
	return use_existing(vmap, request, key);
}

static void link_pages(struct vmap_state *vmap, struct vmap_area *area)
{
	for (u32 i = 0; i < area->nr;) {
		spinlock_t *lock = vmap_alias_lock(vmap, area->pages[i]);

		guard(spinlock)(lock);
		for (; i < area->nr && vmap_alias_lock(vmap, area->pages[i]) == lock; i++)
			hlist_add_head_rcu(&area->aliases[i].node, &area->pages[i]->vmap_aliases);
	}
}

static void unlink_pages(struct vmap_state *vmap, struct vmap_area *area)
{
	for (u32 i = 0; i < area->nr;) {
		spinlock_t *lock = vmap_alias_lock(vmap, area->pages[i]);

		guard(spinlock)(lock);
		for (; i < area->nr && vmap_alias_lock(vmap, area->pages[i]) == lock; i++)
			hlist_del_rcu(&area->aliases[i].node);
	}
}

static void set_slots(struct vmap_state *vmap, const struct vmap_area *area,
		      struct vmap_area *value)
{
	/* Publishes the area to those who look up an address: the user's, who knows it later. */
	for (u32 i = 0; i < area->nr; i++)
		rcu_assign_pointer(vmap->window.slots[area->first + i], (void *)value);
}

void vmap_area_unlink(struct vmap_state *vmap, struct vmap_area *area)
{
	/* One that publish() found superfluous was never there. */
	scoped_guard (spinlock, &bucket_of(vmap, area->key)->lock) {
		if (!hlist_unhashed(&area->bucket))
			hlist_del_rcu(&area->bucket);
	}
	set_slots(vmap, area, nullptr);
	unlink_pages(vmap, area);
}

static struct vmap_area *alloc_area(struct vmap_state *vmap, const struct vmap_request *request,
				    unsigned long key)
{
	size_t slot = sizeof(struct page *) + sizeof(struct vmap_alias);
	struct vmap_area *area =
		(struct vmap_area *)kmalloc(sizeof(*area) + request->nr * slot, GFP_KERNEL);

	if (!area)
		return nullptr;
	memset(area, 0, sizeof(*area));
	area->aliases = (struct vmap_alias *)(area->pages + request->nr);
	area->key = key;
	area->use = 1;
	area->nr = (u32)request->nr;
	area->span = area->nr + (request->flags & (VM_ALLOC | VM_MAP) ? 1 : 0);
	area->flags = request->flags;
	area->prot = request->prot;
	for (u32 i = 0; i < area->nr; i++) {
		area->pages[i] = request->pages[i];
		area->aliases[i].area = area;
		if (request->take_refs && !KSHIM_MUTANT(vmap_no_references))
			get_page(area->pages[i]);
	}
	area->vm = {.addr = nullptr,
		    .size = request->nr << PAGE_SHIFT,
		    .flags = request->flags,
		    .pages = area->pages,
		    .nr_pages = area->nr,
		    .caller = request->caller};
	link_pages(vmap, area);
	return area;
}

/* The references, unless they were the caller's and go back. */
static void free_new_area(struct vmap_state *vmap, struct vmap_area *area, bool put_refs)
{
	unlink_pages(vmap, area);
	for (u32 i = 0; put_refs && i < area->nr; i++)
		put_page(area->pages[i]);
	/* Shootdowns may be looking at it, by its pages. */
	kfree_rcu(area, rcu);
}

static int take_addresses(struct vmap_state *vmap, struct vmap_area *area, unsigned long align)
{
	unsigned int start = kshim_cpu() % vmap->nr_nodes;
	int err = -EBUSY;

	for (unsigned int i = 0; i < vmap->nr_nodes && err == -EBUSY; i++) {
		area->node = &vmap->nodes[(start + i) % vmap->nr_nodes];
		err = vmap_space_alloc(&area->node->space, area->span, align,
				       area->span <= VMAP_MAX_SMALL && area->span == area->nr,
				       &area->first);
	}
	return err;
}

void vmap_put_writable(const struct vmap_area *area, u32 nr)
{
	while (area->prot == MMU_RW && nr > 0)
		xen_writable_put(area->pages[--nr]);
}

/* A hypervisor is told who can store to a page. 0; -EPERM: one of them is a page table. */
static int get_writable(const struct vmap_area *area)
{
	for (u32 i = 0; area->prot == MMU_RW && i < area->nr; i++) {
		if (xen_writable_get(area->pages[i])) {
			vmap_put_writable(area, i);
			return -EPERM;
		}
	}
	return 0;
}

/* 0: all is there. -ENOMEM, -EBUSY: what room could help with; -EPERM: nothing does. */
static int map_area(struct vmap_state *vmap, struct vmap_area *area, unsigned long align)
{
	int err = get_writable(area);

	if (err)
		return err;
	err = take_addresses(vmap, area, align);
	if (err)
		goto put_writable;
	area->mappings =
		kernel_window_map(&vmap->window, area->first, area->pages, area->nr, area->prot);
	if (area->mappings < 0) {
		vmap_space_free(&area->node->space, area->first, area->span);
		err = (int)area->mappings;
		goto put_writable;
	}
	area->vm.addr = (char *)vmap->window.start + (area->first << PAGE_SHIFT);
	set_slots(vmap, area, area);
	vmap_count(&vmap->areas, 1);
	vmap_count(&vmap->pages, area->nr);
	vmap_count(&vmap->mappings, area->mappings);
	return 0;

put_writable:
	vmap_put_writable(area, area->nr);
	return err;
}

/*
 * From here on others find it. Two who kmap() a page at once must get one area, since kunmap() says
 * the page and not the address: the second to come gets the first's, which is returned, and nobody
 * ever finds its own.
 */
static struct vmap_area *publish(struct vmap_state *vmap, const struct vmap_request *request,
				 struct vmap_area *area)
{
	struct vmap_bucket *bucket = bucket_of(vmap, area->key);
	guard(spinlock)(&bucket->lock);
	struct vmap_area *first =
		area->flags == VM_KMAP ? use_existing(vmap, request, area->key) : nullptr;

	if (!first)
		hlist_add_head_rcu(&area->bucket, &bucket->areas);
	return first;
}

static struct vmap_area *publish_debug(struct vmap_state *vmap, const struct vmap_request *request,
				       struct vmap_area *area)
{
	guard(mutex)(&vmap->debug_lock);
	struct vmap_area *first = publish(vmap, request, area);

	if (first)
		vmap_debug_refuse(vmap, first, false);
	return first;
}

struct vmap_area *vmap_area_get(const struct vmap_request *request)
{
	struct vmap_state *vmap = current_vmap();
	unsigned long key = key_of(request);
	struct vmap_area *area = find_existing(vmap, request, key), *first;
	unsigned int attempt = 0;
	int err;

	if (area)
		return area;
	area = alloc_area(vmap, request, key);
	if (!area)
		return nullptr;
	/* Mutant: found before it is there. */
	if (KSHIM_MUTANT(vmap_published_unmapped))
		hlist_add_head_rcu(&area->bucket, &bucket_of(vmap, key)->areas);
	do {
		err = map_area(vmap, area, request->align);
	} while ((err == -ENOMEM || err == -EBUSY) && request->may_purge &&
		 vmap_make_room(vmap, &attempt));
	if (err) {
		free_new_area(vmap, area, request->take_refs);
		return nullptr;
	}
	vmap_count(&vmap->maps, 1);
	if (KSHIM_MUTANT(vmap_published_unmapped))
		return area;
	first = unlikely(vmap->debug) ? publish_debug(vmap, request, area)
				      : publish(vmap, request, area);
	if (first) {
		vmap_purge_one(vmap, area);
		return first;
	}
	return area;
}

struct vmap_area *vmap_area_at(const void *addr, unsigned long flags)
{
	struct vmap_state *vmap = current_vmap();
	unsigned long index = vmap_page_index(vmap, addr);
	struct vmap_area *area = nullptr;

	/* Live by the caller's promise, so it is not freed; the section is for wrong callers. */
	scoped_guard (rcu) {
		if (index < vmap->window.nr_pages)
			area = (struct vmap_area *)rcu_dereference(vmap->window.slots[index]);
		if (area && (area->vm.addr != addr || !(area->flags & flags) ||
			     !(READ_ONCE(area->use) & VMAP_USERS)))
			area = nullptr;
	}
	WARN(!area, "no vmalloc range starts at %p\n", addr);
	return area;
}

struct vmap_area *vmap_area_of_kmap(struct page *page)
{
	const struct vmap_request request = {.pages = &page,
					     .nr = 1,
					     .align = 1,
					     .flags = VM_KMAP,
					     .prot = MMU_RW,
					     .may_purge = false,
					     .take_refs = false,
					     .caller = nullptr};
	unsigned long key = key_of(&request);
	struct vmap_area *area;

	guard(rcu)();
	hlist_for_each_entry_rcu(area, &bucket_of(current_vmap(), key)->areas, bucket)
	{
		if (same_map(area, &request, key) && READ_ONCE(area->use) & VMAP_USERS)
			return area;
	}
	return nullptr;
}
