// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * vmap.cc - mapping pages that somebody has (<linux/vmalloc.h>); parameters, counters
 */
#include "vmap_internal.h"

#include <linux/jiffies.h>
#include <linux/kernel.h>
#include <linux/moduleparam.h>
#include <linux/slab.h>
#include <linux/string.h>

static void *map_pages(struct page **pages, unsigned int count, unsigned long flags,
		       enum mmu_prot prot, const void *caller)
{
	const struct vmap_request request = {.pages = pages,
					     .nr = count,
					     .align = 1,
					     .flags = flags,
					     .prot = prot,
					     .may_purge = true,
					     .take_refs = true,
					     .caller = caller};
	struct vmap_area *area;

	if (!count)
		return nullptr;
	area = vmap_area_get(&request);
	return area ? area->vm.addr : nullptr;
}

void *vmap(struct page **pages, unsigned int count, unsigned long flags, pgprot_t prot)
{
	if (WARN(flags & ~VM_MAP, "vmap: flags %#lx\n", flags))
		return nullptr;
	return map_pages(pages, count, VM_MAP, prot.writable ? MMU_RW : MMU_RO,
			 __builtin_return_address(0));
}

void vunmap(const void *addr)
{
	struct vmap_area *area = addr ? vmap_area_at(addr, VM_MAP) : nullptr;

	if (area)
		vmap_area_put(area, __builtin_return_address(0));
}

void *vm_map_ram(struct page **pages, unsigned int count, int node)
{
	return map_pages(pages, count, VM_MAP_RAM, MMU_RW, __builtin_return_address(0));
}

void vm_unmap_ram(const void *mem, unsigned int count)
{
	struct vmap_area *area = vmap_area_at(mem, VM_MAP_RAM);

	if (!area ||
	    WARN(area->nr != count, "vm_unmap_ram: %p is %u pages, not %u\n", mem, area->nr, count))
		return;
	vmap_area_put(area, __builtin_return_address(0));
}

/* The live area @addr is in. Under RCU; what the caller knows to be live stays. */
static struct vmap_area *live_area_of(const struct vmap_state *vmap, const void *addr)
{
	unsigned long index = vmap_page_index(vmap, addr);
	struct vmap_area *area;

	if (index >= vmap->window.nr_pages)
		return nullptr;
	area = (struct vmap_area *)rcu_dereference(vmap->window.slots[index]);
	return area && READ_ONCE(area->use) & VMAP_USERS ? area : nullptr;
}

struct vm_struct *find_vm_area(const void *addr)
{
	guard(rcu)();
	struct vmap_area *area = live_area_of(current_vmap(), addr);

	return area ? &area->vm : nullptr;
}

struct page *vmalloc_to_page(const void *addr)
{
	const struct vmap_state *vmap = current_vmap();
	guard(rcu)();
	struct vmap_area *area = live_area_of(vmap, addr);

	return area ? area->pages[vmap_page_index(vmap, addr) - area->first] : nullptr;
}

bool is_vmalloc_addr(const void *addr)
{
	const struct vmap_state *vmap = current_vmap();

	return vmap_page_index(vmap, addr) < vmap->window.nr_pages;
}

int register_vmap_purge_notifier(struct notifier_block *nb)
{
	return blocking_notifier_chain_register(&current_vmap()->notifiers, nb);
}

int unregister_vmap_purge_notifier(struct notifier_block *nb)
{
	return blocking_notifier_chain_unregister(&current_vmap()->notifiers, nb);
}

void vmap_stats(struct vmap_stats *stats)
{
	const struct vmap_state *vmap = current_vmap();
	s64 lazy_areas = 0, lazy_pages = 0, hits = 0;

	for (unsigned int i = 0; i < vmap->nr_nodes; i++) {
		lazy_areas += vmap_counted(&vmap->nodes[i].lazy_areas);
		lazy_pages += vmap_counted(&vmap->nodes[i].lazy_pages);
		hits += vmap_counted(&vmap->nodes[i].hits);
	}
	*stats = {
		.live_areas = (u64)(vmap_counted(&vmap->areas) - lazy_areas),
		.live_pages = (u64)(vmap_counted(&vmap->pages) - lazy_pages),
		.lazy_areas = (u64)lazy_areas,
		.lazy_pages = (u64)lazy_pages,
		.mappings = (u64)vmap_counted(&vmap->mappings),
		.maps = (u64)vmap_counted(&vmap->maps),
		.hits = (u64)hits,
		.purges = (u64)vmap_counted(&vmap->purges),
		.purged_areas = (u64)vmap_counted(&vmap->purged_areas),
		.flushes = (u64)vmap_counted(&vmap->flushes),
		.shootdowns = (u64)vmap_counted(&vmap->shootdowns),
	};
}

/* What the counters should be. */
struct vmap_census {
	s64 areas, pages, mappings;
	s64 lazy_areas, lazy_pages;
	s64 listed_areas, listed_pages, listed_mappings;
};

static void count_area(struct vmap_census *census, const struct vmap_area *area)
{
	u32 use = READ_ONCE(area->use);

	census->areas++;
	census->pages += area->nr;
	census->mappings += area->mappings;
	if (vmap_is_lazy(use)) {
		census->lazy_areas++;
		census->lazy_pages += area->nr;
	}
	if (use & VMAP_LISTED) {
		census->listed_areas++;
		census->listed_pages += area->nr;
		census->listed_mappings += area->mappings;
	}
	WARN(use & VMAP_DEAD, "vmap: a dead area at %p was left behind\n", area->vm.addr);
	WARN(vmap_is_lazy(use) && !(use & VMAP_LISTED), "vmap: the lazy area at %p is on no list\n",
	     area->vm.addr);
	for (u32 i = 0; i < area->nr; i++)
		WARN(page_ref_count(area->pages[i]) <= 0,
		     "vmap: page %lu is free and mapped at %p\n", page_to_pfn(area->pages[i]),
		     area->vm.addr);
}

static bool same(const char *name, s64 counter, s64 counted)
{
	return !WARN(counter != counted, "vmap: %s says %lld, the areas say %lld\n", name,
		     (long long)counter, (long long)counted);
}

bool vmap_check(void)
{
	struct vmap_state *vmap = current_vmap();
	struct vmap_census census = {};
	struct vmap_stats stats;
	bool ok;

	guard(mutex)(&vmap->purge_lock);
	for (unsigned int i = 0; i < VMAP_BUCKETS; i++) {
		struct vmap_area *area;

		guard(spinlock)(&vmap->buckets[i].lock);
		hlist_for_each_entry(area, &vmap->buckets[i].areas, bucket)
			count_area(&census, area);
	}
	vmap_stats(&stats);
	ok = same("lazy areas", (s64)stats.lazy_areas, census.lazy_areas);
	ok &= same("lazy pages", (s64)stats.lazy_pages, census.lazy_pages);
	ok &= same("areas", vmap_counted(&vmap->areas), census.areas);
	ok &= same("pages", vmap_counted(&vmap->pages), census.pages);
	ok &= same("mappings", vmap_counted(&vmap->mappings), census.mappings);
	ok &= same("listed areas", vmap_counted(&vmap->listed_areas), census.listed_areas);
	ok &= same("listed pages", vmap_counted(&vmap->listed_pages), census.listed_pages);
	ok &= same("listed mappings", vmap_counted(&vmap->listed_mappings), census.listed_mappings);
	return ok;
}

static int set_policy(const char *value, void *field)
{
	struct vmap_params *params =
		container_of((enum vmap_policy *)field, struct vmap_params, policy);
	unsigned long long batch = 64;

	if (!strcmp(value, "eager"))
		params->policy = VMAP_EAGER;
	else if (!strcmp(value, "lazy"))
		params->policy = VMAP_LAZY;
	else if (!strcmp(value, "lazy+revive"))
		params->policy = VMAP_REVIVE;
	else if (!strncmp(value, "batch", 5) && (!value[5] || value[5] == ':'))
		params->policy = VMAP_BATCH;
	else
		return -EINVAL;
	if (params->policy == VMAP_BATCH && value[5] &&
	    (kstrtoull(value + 6, 10, &batch) || !batch))
		return -EINVAL;
	params->batch = batch;
	return 0;
}

static const struct kernel_param vmap_params[] = {
	{"policy", set_policy, offsetof(struct vmap_params, policy),
	 "eager, batch, batch:N, lazy, lazy+revive (default)"},
	{"lazy_pages", param_set_ulong, offsetof(struct vmap_params, lazy_pages),
	 "lazily unmapped pages at most (half of the memory, 256 MiB at most)"},
	{"lazy_mappings", param_set_ulong, offsetof(struct vmap_params, lazy_mappings),
	 "their host mappings at most (three quarters of what the host allows; lazy: 2048)"},
	{"lazy_age_ms", param_set_ulong, offsetof(struct vmap_params, lazy_age_ms),
	 "so long they are kept at most; 0: no limit (15000)"},
	{"window_pages", param_set_ulong, offsetof(struct vmap_params, window_pages),
	 "pages of addresses"},
	{"debug", param_set_bool, offsetof(struct vmap_params, debug),
	 "report accesses to what is lazily unmapped"},
};

static int read_params(struct vmap_state *vmap)
{
	/*
	 * Several times the memory, so that what is lazy does not run out of addresses first.
	 * Explored worlds are made by the thousand, and a short life is all they have.
	 */
	vmap->params = {
		.policy = VMAP_REVIVE,
		.batch = 64,
		.lazy_pages = min(totalram_pages() / 2, (256ul << 20) >> PAGE_SHIFT),
		.lazy_mappings = 0,
		.lazy_age_ms = KSHIM_EXPLORE ? 0 : 15000,
		.window_pages = KSHIM_EXPLORE ? 2 * totalram_pages() + 64 : 1ul << 24,
		.debug = false,
	};
	int err = parse_params("vmap", vmap_params, ARRAY_SIZE(vmap_params), &vmap->params);

	/*
	 * What is not given back is kept for nothing, once there is enough for one flush: the host
	 * takes mappings away that it has in its caches, or pays for each again.
	 */
	if (!vmap->params.lazy_mappings) {
		const auto most = (unsigned long)kernel_window_room() / 4 * 3;

		vmap->params.lazy_mappings =
			vmap->params.policy == VMAP_LAZY ? min(most, 2048ul) : most;
	}
	return err;
}

static int init_nodes(struct vmap_state *vmap)
{
	unsigned long each;

	vmap->nr_nodes = clamp(current_machine()->config.nr_cpus, 1u, VMAP_NODES_MAX);
	each = vmap->window.nr_pages / vmap->nr_nodes;
	vmap->nodes = (struct vmap_node *)kcalloc(vmap->nr_nodes, sizeof(*vmap->nodes), GFP_KERNEL);
	if (!vmap->nodes)
		return -ENOMEM;
	for (unsigned int i = 0; i < vmap->nr_nodes; i++) {
		struct vmap_node *node = &vmap->nodes[i];
		int err = vmap_space_init(&node->space, vmap->window.start >> PAGE_SHIFT, i * each,
					  each);

		spin_lock_init(&node->lazy_lock);
		scoped_guard (spinlock, &node->lazy_lock)
			INIT_LIST_HEAD(&node->lazy);
		if (err)
			return err;
	}
	return 0;
}

static void free_state(struct vmap_state *vmap)
{
	for (unsigned int i = 0; vmap->nodes && i < vmap->nr_nodes; i++)
		vmap_space_exit(&vmap->nodes[i].space);
	kfree(vmap->nodes);
	kfree(vmap->buckets);
	if (vmap->window.nr_pages)
		kernel_window_release(&vmap->window);
	kfree(vmap);
}

int vmap_state_init(struct mm_state *mm)
{
	struct vmap_state *vmap = kzalloc_obj(struct vmap_state, GFP_KERNEL);
	int err = -ENOMEM;

	if (!vmap)
		return -ENOMEM;
	mutex_init(&vmap->purge_lock);
	mutex_init(&vmap->debug_lock);
	for (spinlock_t &lock : vmap->alias_locks)
		spin_lock_init(&lock);
	vmap->buckets =
		(struct vmap_bucket *)kcalloc(VMAP_BUCKETS, sizeof(*vmap->buckets), GFP_KERNEL);
	if (!vmap->buckets)
		goto fail;
	err = read_params(vmap);
	if (err)
		goto fail;
	err = kernel_window_reserve(&vmap->window, vmap->params.window_pages);
	if (err) {
		vmap->window.nr_pages = 0;
		pr_err("vmap: cannot reserve %lu pages of addresses (error %d); is there a limit "
		       "(ulimit -v)? vmap.window_pages makes it less\n",
		       vmap->params.window_pages, err);
		goto fail;
	}
	err = init_nodes(vmap);
	if (err)
		goto fail;
	err = vmap_debug_init(vmap);
	if (err)
		goto fail;
	vmap_lazy_init(vmap);
	mm->vmap = vmap;
	return 0;

fail:
	free_state(vmap);
	return err;
}

/* Reports what was never unmapped, and unmaps it. */
static void unmap_leaked(struct vmap_state *vmap)
{
	for (unsigned int i = 0; i < VMAP_BUCKETS; i++) {
		while (!hlist_empty(&vmap->buckets[i].areas)) {
			struct vmap_area *area =
				hlist_entry(vmap->buckets[i].areas.first, struct vmap_area, bucket);

			WARN(true,
			     "a vmalloc range of %u pages at %p was never freed (mapped by %p)\n",
			     area->nr, area->vm.addr, area->vm.caller);
			WRITE_ONCE(area->use, 1u);
			vmap_purge_one(vmap, area);
		}
	}
}

void vmap_state_exit(struct mm_state *mm)
{
	struct vmap_state *vmap = mm->vmap;

	vmap_lazy_exit(vmap);
	vmap_purge_all(vmap);
	unmap_leaked(vmap);
	vmap_free_retired(vmap);
	vmap_debug_exit(vmap);
	free_state(vmap);
	mm->vmap = nullptr;
}
