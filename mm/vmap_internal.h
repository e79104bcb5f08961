/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * vmap_internal.h - what the files of the lazy-flush manager share (<linux/vmalloc.h>)
 *
 *      vmap.cc         the API: vmap, vm_map_ram; parameters, counters, the check of them
 *      vmalloc.cc      the API: pages and addresses together
 *      kmap.cc         the API: one page
 *      vmap_area.cc    areas: made, found, revived, taken apart
 *      vmap_lazy.cc    from live to lazy, and what is purged when
 *      vmap_purge.cc   claims, flushes, frees: purge, vm_unmap_aliases, vmap_shootdown
 *      vmap_space.cc   who has which addresses: a tree of free ranges
 *      vmap_block.cc   who has which addresses: blocks that are cut up for small maps
 *      vmap_debug.cc   use after vunmap
 *
 * An area is found in three ways:
 *
 *      by address      window.slots[page]     every page points to it   vunmap, vmalloc_to_page
 *      by its pages    buckets[hash of them]  all areas                        revival, vmap_check
 *      from a page     page->vmap_aliases     one link per page of an area     shootdown
 *
 * Readers of all three hold rcu_read_lock() and no lock; an area is freed after a grace period.
 * KSHIM: Linux looks up addresses in a tree per node. Ours is a table, as a page table is; the
 * trees of the nodes (augmented by the largest hole) keep free addresses only.
 *
 * area->use is the state, one word:
 *
 *      users > 0                live; above 1 only for kmap
 *      users == 0               lazy: mapped, owned by nobody; whoever makes it 1 has revived it
 *      VMAP_DEAD                claimed by a purge: stays dead, users == 0
 *      VMAP_LISTED              on node->lazy; stays there while it is revived
 *
 * V1. An area's links from its pages exist before the host mapping does and until it is gone.
 * V2. Only who holds purge_lock makes areas dead, and by the time it drops the lock they are
 *     flushed, unlinked, and their references dropped. So with purge_lock held no area is dead.
 * V3. VMAP_LISTED changes under node->lazy_lock, together with the list: whoever sees the bit and
 *     then makes the area lazy knows that a purge which comes later finds it.
 *
 * Locks, outermost first; what follows the mutexes are spin locks:
 *
 *      debug_lock (mutex)     only with vmap.debug: makes refusing and a change of state one step
 *      purge_lock (mutex)     claims and flushes, one at a time; retired areas
 *      bucket->lock           the chain
 *      node->lazy_lock        the list of listed areas
 *      node->space.lock       free addresses
 *      alias_locks[]          page->vmap_aliases of the pages that hash there
 */
#pragma once

#include "mm_internal.h"

#include <linux/mutex.h>
#include <linux/notifier.h>
#include <linux/rculist.h>
#include <linux/shrinker.h>
#include <linux/vmalloc.h>
#include <linux/workqueue.h>

/* Small maps are cut from blocks of this many pages, one after the other. */
constexpr unsigned long VMAP_MAX_SMALL = 64;
constexpr unsigned long VMAP_BLOCK = 1024;
constexpr unsigned int VMAP_NODES_MAX = 16;
constexpr unsigned int VMAP_BUCKETS = KSHIM_EXPLORE ? 16 : 8192;
constexpr unsigned int VMAP_ALIAS_LOCKS = KSHIM_EXPLORE ? 4 : 64;
/* Areas that wait for one grace period together. */
constexpr unsigned int VMAP_RETIRE_BATCH = KSHIM_EXPLORE ? 2 : 64;

enum vmap_policy {
	VMAP_EAGER,  /* unmapped at once */
	VMAP_BATCH,  /* all of them when there are params.batch */
	VMAP_LAZY,   /* up to the limits */
	VMAP_REVIVE, /* up to the limits, and given back */
};

struct vmap_params {
	enum vmap_policy policy;
	unsigned long batch;
	unsigned long lazy_pages, lazy_mappings, lazy_age_ms;
	unsigned long window_pages;
	bool debug;
};

constexpr u32 VMAP_USERS = (1u << 24) - 1;
constexpr u32 VMAP_LISTED = 1u << 24;
constexpr u32 VMAP_TOUCHED = 1u << 25; /* revived since a purge last looked */
constexpr u32 VMAP_DEAD = 1u << 26;

struct vmap_area;

/* One page of an area. Protected by the page's alias lock; read under RCU. */
struct vmap_alias {
	struct hlist_node node; /* page->vmap_aliases */
	struct vmap_area *area;
};

struct vmap_area {
	/* What looking for pages reads, in one line of the cache. */
	struct hlist_node bucket; /* protected by the bucket's lock */
	unsigned long key;
	u32 use; /* atomic */
	u32 nr;
	unsigned long flags; /* VM_* */
	unsigned long first; /* page of the window */

	/* Written by the last user before it makes the area lazy. */
	const void *unmapped_by;
	unsigned long unmapped_at; /* jiffies */

	/* Constant. */
	struct vmap_node *node;
	u32 span; /* nr and the guard page */
	enum mmu_prot prot;
	long mappings; /* of the host, that it counts for */
	struct vm_struct vm;

	struct list_head lazy; /* node->lazy by node->lazy_lock; the purge's own once it is dead */
	struct vmap_area *next_retired;
	struct rcu_head rcu;

	struct vmap_alias *aliases; /* behind the pages */
	struct page *pages[];
};

struct vmap_range;
struct vmap_block;

/* The free addresses of one node. */
struct vmap_space {
	spinlock_t lock;
	struct vmap_range *root __guarded_by(lock);
	/*
	 * Descriptors that are in no tree. There is always one for each piece handed out and one
	 * more, so giving back needs no memory.
	 */
	struct vmap_range *spare __guarded_by(lock);
	unsigned long descriptors __guarded_by(lock);
	unsigned long pieces __guarded_by(lock);
	struct vmap_block *block __guarded_by(lock);     /* the one that is being cut; null: none */
	struct list_head blocks __guarded_by(lock);      /* all of them */
	struct vmap_block **block_at __guarded_by(lock); /* by their place in the space */
	struct vmap_block *spare_block __guarded_by(lock);
	unsigned long block_size;  /* constant */
	unsigned long base, first; /* constant: page 0 of the window, in addresses; ours in pages */
};

/* A slice of the window; a processor takes from its own while there is something. */
struct vmap_node {
	alignas(64) struct vmap_space space;
	alignas(64) spinlock_t lazy_lock;
	struct list_head lazy __guarded_by(lazy_lock);
	/*
	 * Atomic, and no schedule points. Each processor counts in its own node, whosever area it
	 * is: only the sums mean anything.
	 */
	alignas(64) s64 lazy_areas, lazy_pages, hits;
};

struct vmap_bucket {
	spinlock_t lock;
	struct hlist_head areas;
};

struct vmap_state {
	struct kernel_window window; /* constant but for the slots */
	struct vmap_params params;
	unsigned int nr_nodes;
	struct vmap_node *nodes;
	struct vmap_bucket *buckets;
	spinlock_t alias_locks[VMAP_ALIAS_LOCKS];

	struct mutex purge_lock;
	struct vmap_area *retired __guarded_by(purge_lock);
	unsigned int nr_retired __guarded_by(purge_lock);
	struct mutex debug_lock;
	struct vmap_debug *debug; /* null without vmap.debug */

	struct blocking_notifier_head notifiers;
	struct shrinker shrinker;
	struct delayed_work age_work;
	u32 age_armed; /* atomic */

	/* Atomic, changed where areas come, go, and are listed: not on revival. */
	s64 areas, pages, mappings;
	s64 listed_areas, listed_pages, listed_mappings;
	s64 maps, purges, purged_areas, flushes, shootdowns;
};

static inline struct vmap_state *current_vmap(void)
{
	return current_machine()->mm->vmap;
}

static inline void vmap_count(s64 *counter, s64 n)
{
	__atomic_fetch_add(counter, n, __ATOMIC_RELAXED);
}

static inline s64 vmap_counted(const s64 *counter)
{
	return __atomic_load_n(counter, __ATOMIC_RELAXED);
}

static inline struct vmap_node *vmap_this_node(struct vmap_state *vmap)
{
	return &vmap->nodes[kshim_cpu() % vmap->nr_nodes];
}

static inline bool vmap_is_lazy(u32 use)
{
	return !(use & (VMAP_USERS | VMAP_DEAD));
}

static inline unsigned long vmap_page_index(const struct vmap_state *vmap, const void *addr)
{
	return ((unsigned long)addr - vmap->window.start) >> PAGE_SHIFT;
}

/* vmap_space.cc */
/* @base: what page 0 is, in addresses. */
[[nodiscard]] int vmap_space_init(struct vmap_space *space, unsigned long base, unsigned long first,
				  unsigned long nr);
void vmap_space_exit(struct vmap_space *space);
/*
 * @align: pages. @small: cut from the block, so that small ones lie side by side.
 * 0; -EBUSY: no such hole; -ENOMEM.
 */
[[nodiscard]] int vmap_space_alloc(struct vmap_space *space, unsigned long nr, unsigned long align,
				   bool small, unsigned long *first);
/* Takes back what was handed out as one piece. */
void vmap_space_free(struct vmap_space *space, unsigned long first, unsigned long nr);
/* For blocks: out of the tree and back, a piece each; and a range that is not a piece any more. */
[[nodiscard]] int vmap_space_take(struct vmap_space *space, unsigned long nr, unsigned long align,
				  unsigned long *first) __must_hold(&space->lock);
void vmap_space_give(struct vmap_space *space, unsigned long first, unsigned long nr)
	__must_hold(&space->lock);
void vmap_space_insert(struct vmap_space *space, unsigned long first, unsigned long nr)
	__must_hold(&space->lock);

/* vmap_block.cc */
/* Chooses the size of blocks for a space of @nr pages. Return: its block_at, or null: no memory. */
struct vmap_block **vmap_block_table(struct vmap_space *space, unsigned long nr);
void vmap_block_exit(struct vmap_space *space) __must_hold(&space->lock);
/* For space->spare_block, which must be there to cut. May sleep. */
struct vmap_block *vmap_block_alloc(void);
/* 0; -EBUSY: the tree has no hole for another block. */
[[nodiscard]] int vmap_block_cut(struct vmap_space *space, unsigned long nr, unsigned long *first)
	__must_hold(&space->lock);
/* False: no block has the piece. */
bool vmap_block_return(struct vmap_space *space, unsigned long first, unsigned long nr)
	__must_hold(&space->lock);
/* Gives the tree all that is not in use. False: there are no blocks. */
bool vmap_block_break_up_all(struct vmap_space *space) __must_hold(&space->lock);
bool vmap_block_is_full(struct vmap_space *space, unsigned long first);

/* vmap_area.cc */
struct vmap_request {
	struct page *const *pages;
	unsigned long nr;
	unsigned long align; /* pages */
	unsigned long flags; /* one of VM_ALLOC, VM_MAP, VM_MAP_RAM, VM_KMAP */
	enum mmu_prot prot;
	bool may_purge;
	bool take_refs; /* the area gets references of its own; else it gets the caller's */
	const void *caller;
};
/* A live area with one user, new or revived; null: no memory, addresses or mappings. */
struct vmap_area *vmap_area_get(const struct vmap_request *request);
/* The live area that begins at @addr and was mapped with one of @flags; else null, after a WARN. */
struct vmap_area *vmap_area_at(const void *addr, unsigned long flags);
/* The live area of kmap(@page); null when it is not mapped. */
struct vmap_area *vmap_area_of_kmap(struct page *page);
/* Its first @nr pages' mappings are gone, or never came: a hypervisor is told. */
void vmap_put_writable(const struct vmap_area *area, u32 nr);
/* Takes away all that points to a flushed area; readers that were there before still see it. */
void vmap_area_unlink(struct vmap_state *vmap, struct vmap_area *area);
static inline spinlock_t *vmap_alias_lock(struct vmap_state *vmap, const struct page *page)
{
	/* Frames that are likely to be neighbours in an area share a lock. */
	return &vmap->alias_locks[(page_to_pfn(page) >> 6) % VMAP_ALIAS_LOCKS];
}

/* vmap_lazy.cc */
/* One user less; with the last one it becomes lazy, or is gone, as the policy says. */
void vmap_area_put(struct vmap_area *area, const void *caller);
void vmap_lazy_init(struct vmap_state *vmap);
void vmap_lazy_exit(struct vmap_state *vmap);
/*
 * Makes room when addresses or mappings ran out; each time by a stronger means. False: none left.
 */
bool vmap_make_room(struct vmap_state *vmap, unsigned int *attempt);

/* vmap_purge.cc */
/* Takes @area, live with one user, away at once. */
void vmap_purge_one(struct vmap_state *vmap, struct vmap_area *area);
/* Everything that is lazy. Return: the pages. */
unsigned long vmap_purge_all(struct vmap_state *vmap);
/* The longest unused, until @nr_pages are gone or all. Return: the pages. */
unsigned long vmap_purge_some(struct vmap_state *vmap, unsigned long nr_pages);
/* What was unmapped at @when or earlier. */
void vmap_purge_old(struct vmap_state *vmap, unsigned long when);
/* Frees what waits for a grace period; nobody looks any more. */
void vmap_free_retired(struct vmap_state *vmap);

/* vmap_debug.cc */
[[nodiscard]] int vmap_debug_init(struct vmap_state *vmap);
void vmap_debug_exit(struct vmap_state *vmap);
/* The addresses of a lazy area fault, or do not any more. Under debug_lock. */
void vmap_debug_refuse(struct vmap_state *vmap, struct vmap_area *area, bool refuse);
/* Remembers a purged area. Under purge_lock. */
void vmap_debug_purged(struct vmap_state *vmap, const struct vmap_area *area);
