// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Small memory (<linux/slab.h>) on jemalloc; under a sanitizer on malloc, which the sanitizer
 * watches.
 *
 *	block            block + offset
 *	| padding | struct slab_header | object ... |
 *
 * I1. An object of a machine is on exactly one of its shards' lists, which the header names, from
 *     the allocation to kfree(). What is left at the machine's end is a leak.
 * I2. header->magic tells live objects from freed ones and from foreign pointers.
 * I3. A leaked object outlives its machine, unaccounted (owner null): whoever still uses it does
 *     not touch freed memory, and freeing it later is permitted.
 *
 * Locks: each shard's lock guards its list and counts. The explorer has one shard and no lock:
 * nothing here is a schedule point, so the allocator does not multiply schedules.
 */
#include "core.h"

#include <linux/atomic.h>
#include <linux/kcsan-checks.h>
#include <linux/kernel.h>
#include <linux/list.h>
#include <linux/slab.h>
#include <linux/spinlock.h>
#include <linux/string.h>

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#ifndef KSHIM_PLAIN_MALLOC
#include <jemalloc/jemalloc.h>
#endif

#define SLAB_MAGIC 0x6b73686du
#define SLAB_FREED 0x64656164u
#define SLAB_MIN_ALIGN 16u
#define SLAB_BIG_ALIGN 64u
#define SLAB_SHARDS (KSHIM_EXPLORE ? 1u : 16u)
#define SLAB_LEAKS_SHOWN 10

struct slab_shard {
	alignas(64) spinlock_t lock;
	struct list_head objects __guarded_by(lock);
	size_t nr __guarded_by(lock);
	size_t bytes __guarded_by(lock);
};

struct slab_state {
	struct slab_shard shards[SLAB_SHARDS];
	s64 fail_in; /* the allocation to fail, counted down; <= 0: none */
};

struct slab_header {
	struct list_head node;
	struct slab_state *owner;
	const void *caller;
	size_t size;
	u32 magic;
	u32 offset; /* of the object in its block */
};
static_assert(sizeof(struct slab_header) % SLAB_MIN_ALIGN == 0, "objects follow the header");
static_assert(sizeof(struct slab_header) < SLAB_BIG_ALIGN, "the offset tells the alignment");

struct kmem_cache {
	const char *name;
	unsigned int size, align;
	void (*ctor)(void *);
	atomic_long_t live;
};

/* The shard's lock, which the explorer does without. */
class shard_guard
{
public:
	explicit shard_guard(struct slab_shard *shard) __no_thread_safety_analysis : shard_(shard)
	{
		if (KSHIM_EXPLORE)
			kcsan_disable_current();
		else
			spin_lock(&shard_->lock);
	}
	~shard_guard() __no_thread_safety_analysis
	{
		if (KSHIM_EXPLORE)
			kcsan_enable_current();
		else
			spin_unlock(&shard_->lock);
	}
	shard_guard(const shard_guard &) = delete;
	shard_guard &operator=(const shard_guard &) = delete;

private:
	struct slab_shard *shard_;
};

static void *block_alloc(size_t bytes, size_t align)
{
	if (KSHIM_EXPLORE) {
		void *block = kshim_world_alloc(bytes, align);

		if (block)
			return block;
	}
#ifdef KSHIM_PLAIN_MALLOC
	void *block;

	return posix_memalign(&block, align, bytes) ? nullptr : block;
#else
	return mallocx(bytes, MALLOCX_ALIGN(align));
#endif
}

static void block_free(void *block, size_t bytes, size_t align)
{
	if (kshim_quarantine(block, bytes))
		return;
#ifdef KSHIM_PLAIN_MALLOC
	(void)align;
	free(block);
#else
	sdallocx(block, bytes, MALLOCX_ALIGN(align));
#endif
}

/* The alignment that the block was allocated with: the offset tells, see slab_alloc(). */
static size_t block_align(const struct slab_header *h)
{
	return h->offset == sizeof(*h) ? SLAB_MIN_ALIGN : h->offset;
}

static struct slab_shard *shard_of(struct slab_state *slab, const struct slab_header *h)
{
	return &slab->shards[((unsigned long)h >> 6) % SLAB_SHARDS];
}

/*
 * A list_add_tail() and a list_del() by plain stores: <linux/list.h> announces its stores, for
 * RCU's readers, and a schedule point between two of them would show the list half changed.
 */
static void objects_add(struct list_head *objects, struct list_head *entry)
{
	entry->next = objects;
	entry->prev = objects->prev;
	objects->prev->next = entry;
	objects->prev = entry;
}

static void objects_del(struct list_head *entry)
{
	if (unlikely(entry->prev->next != entry || entry->next->prev != entry))
		kshim_violation("kfree: the neighbours of %p do not know it: somebody wrote over "
				"their headers",
				(void *)entry);
	entry->prev->next = entry->next;
	entry->next->prev = entry->prev;
}

static void account(struct slab_state *slab, struct slab_header *h) __no_thread_safety_analysis
{
	struct slab_shard *shard = shard_of(slab, h);
	shard_guard g(shard);

	objects_add(&shard->objects, &h->node);
	shard->nr++;
	shard->bytes += h->size;
}

static void unaccount(struct slab_header *h) __no_thread_safety_analysis
{
	struct slab_shard *shard = shard_of(h->owner, h);
	shard_guard g(shard);

	objects_del(&h->node);
	shard->nr--;
	shard->bytes -= h->size;
}

/* Counts an allocation down to the one that has to fail. */
static bool may_alloc(struct slab_state *slab)
{
	s64 left;

	if (kshim_fault(KSHIM_FAULT_ALLOC, "no memory"))
		return false;
	if (likely(__atomic_load_n(&slab->fail_in, __ATOMIC_RELAXED) <= 0))
		return true;
	left = __atomic_sub_fetch(&slab->fail_in, 1, __ATOMIC_RELAXED);
	return left != 0;
}

static void *slab_alloc(size_t size, size_t align, gfp_t flags, const void *caller)
{
	struct pv_machine *m = current_machine();
	struct slab_state *slab = m ? m->slab : nullptr;
	struct slab_header *h;
	size_t offset, bytes;
	char *block;

	/* The smallest alignment, or one that leaves room for the header: block_align(). */
	align = align <= SLAB_MIN_ALIGN ? SLAB_MIN_ALIGN : max_t(size_t, align, SLAB_BIG_ALIGN);
	offset = align == SLAB_MIN_ALIGN ? sizeof(*h) : align;
	if (__builtin_add_overflow(size, offset, &bytes))
		return nullptr;
	if (slab && !(flags & __GFP_NOFAIL) && !may_alloc(slab))
		return nullptr;
	block = (char *)block_alloc(bytes, align);
	if (!block) {
		if (!(flags & __GFP_NOWARN))
			pr_err("out of memory: %zu bytes for %p\n", size, caller);
		return nullptr;
	}
	if (flags & __GFP_ZERO)
		memset(block + offset, 0, size);
	h = (struct slab_header *)(block + offset) - 1;
	h->owner = slab;
	h->caller = caller;
	h->size = size;
	h->magic = SLAB_MAGIC;
	h->offset = (u32)offset;
	if (slab)
		account(slab, h);
	return h + 1;
}

static struct slab_header *header_of(const void *p, const char *what)
{
	struct slab_header *h = (struct slab_header *)p - 1;

	if (unlikely(h->magic != SLAB_MAGIC))
		kshim_violation("%s: %p is not a live object (%s)", what, p,
				h->magic == SLAB_FREED ? "it was freed" : "never was one");
	return h;
}

static void slab_free(const void *p)
{
	struct slab_header *h = header_of(p, "kfree");

	if (h->owner)
		unaccount(h);
	h->magic = SLAB_FREED;
	block_free((char *)p - h->offset, h->offset + h->size, block_align(h));
}

void *kmalloc(size_t size, gfp_t flags)
{
	return slab_alloc(size, 0, flags, __builtin_return_address(0));
}

void *kzalloc(size_t size, gfp_t flags)
{
	return slab_alloc(size, 0, flags | __GFP_ZERO, __builtin_return_address(0));
}

static void *alloc_array(size_t n, size_t size, gfp_t flags, const void *caller)
{
	size_t bytes;

	if (__builtin_mul_overflow(n, size, &bytes))
		return nullptr;
	return slab_alloc(bytes, 0, flags, caller);
}

void *kmalloc_array(size_t n, size_t size, gfp_t flags)
{
	return alloc_array(n, size, flags, __builtin_return_address(0));
}

void *kcalloc(size_t n, size_t size, gfp_t flags)
{
	return alloc_array(n, size, flags | __GFP_ZERO, __builtin_return_address(0));
}

void *krealloc(const void *p, size_t size, gfp_t flags)
{
	void *fresh = slab_alloc(size, 0, flags, __builtin_return_address(0));

	if (!fresh || !p)
		return fresh;
	memcpy(fresh, p, min(ksize(p), size));
	slab_free(p);
	return fresh;
}

void *kmemdup(const void *src, size_t size, gfp_t flags)
{
	void *copy = slab_alloc(size, 0, flags, __builtin_return_address(0));

	if (copy)
		memcpy(copy, src, size);
	return copy;
}

char *kstrdup(const char *s, gfp_t flags)
{
	size_t size = s ? strlen(s) + 1 : 0;
	char *copy = s ? (char *)slab_alloc(size, 0, flags, __builtin_return_address(0)) : nullptr;

	if (copy)
		memcpy(copy, s, size);
	return copy;
}

char *kasprintf(gfp_t flags, const char *fmt, ...)
{
	va_list args;
	char *s;
	int n;

	va_start(args, fmt);
	n = vsnprintf(nullptr, 0, fmt, args);
	va_end(args);
	if (n < 0)
		return nullptr;
	s = (char *)slab_alloc((size_t)n + 1, 0, flags, __builtin_return_address(0));
	if (!s)
		return nullptr;
	va_start(args, fmt);
	vsnprintf(s, (size_t)n + 1, fmt, args);
	va_end(args);
	return s;
}

void kfree(const void *p)
{
	if (p)
		slab_free(p);
}

size_t ksize(const void *p)
{
	return header_of(p, "ksize")->size;
}

struct kmem_cache *kmem_cache_create(const char *name, unsigned int size, unsigned int align,
				     unsigned int flags, void (*ctor)(void *))
{
	struct kmem_cache *cache = kzalloc_obj(struct kmem_cache, GFP_KERNEL);

	if (!cache)
		return nullptr;
	cache->name = name;
	cache->size = size;
	cache->align = flags & SLAB_HWCACHE_ALIGN ? max(align, 64u) : align;
	cache->ctor = ctor;
	return cache;
}

void kmem_cache_destroy(struct kmem_cache *cache)
{
	if (!cache)
		return;
	WARN(atomic_long_read(&cache->live), "cache %s is destroyed with %lld objects in use",
	     cache->name, atomic_long_read(&cache->live));
	kfree(cache);
}

static void *cache_alloc(struct kmem_cache *cache, gfp_t flags, const void *caller)
{
	void *p = slab_alloc(cache->size, cache->align, flags, caller);

	if (!p)
		return nullptr;
	atomic_long_inc(&cache->live);
	if (cache->ctor)
		cache->ctor(p);
	return p;
}

void *kmem_cache_alloc(struct kmem_cache *cache, gfp_t flags)
{
	return cache_alloc(cache, flags, __builtin_return_address(0));
}

void *kmem_cache_zalloc(struct kmem_cache *cache, gfp_t flags)
{
	return cache_alloc(cache, flags | __GFP_ZERO, __builtin_return_address(0));
}

void kmem_cache_free(struct kmem_cache *cache, void *p)
{
	if (!p)
		return;
	BUG_ON(header_of(p, "kmem_cache_free")->size != cache->size);
	atomic_long_dec(&cache->live);
	slab_free(p);
}

int slab_init(struct pv_machine *m) __no_thread_safety_analysis
{
	struct slab_state *slab = nullptr;

	/* Of no machine: it is what the machine's objects are counted in. */
	m->slab = nullptr;
	slab = (struct slab_state *)slab_alloc(sizeof(*slab), alignof(struct slab_state),
					       GFP_KERNEL | __GFP_ZERO, (const void *)slab_init);
	if (!slab)
		return -ENOMEM;
	for (struct slab_shard &shard : slab->shards) {
		spin_lock_init(&shard.lock);
		INIT_LIST_HEAD(&shard.objects);
	}
	slab->fail_in = m->config.fail_alloc;
	m->slab = slab;
	return 0;
}

static void report_leak(const struct slab_header *h)
{
	Dl_info info = {};
#if KSHIM_EXPLORE
	char object[64], caller[128];

	kshim_describe(h + 1, object, sizeof(object));
	kshim_describe(h->caller, caller, sizeof(caller));
	pr_warn("  leaked: %zu bytes, %s, allocated by %s\n", h->size, object, caller);
	return;
#endif

	if (dladdr(h->caller, &info) && info.dli_fname)
		pr_warn("  leaked: %zu bytes at %p, allocated by %s+%#lx\n", h->size,
			(const void *)(h + 1), info.dli_fname,
			(unsigned long)h->caller - (unsigned long)info.dli_fbase);
	else
		pr_warn("  leaked: %zu bytes at %p, allocated by %p\n", h->size,
			(const void *)(h + 1), h->caller);
}

void slab_exit(struct pv_machine *m) __no_thread_safety_analysis
{
	struct slab_stats left = pv_machine_slab_stats(m);
	struct slab_state *slab = m->slab;
	int shown = 0;

	WARN(left.objects, "%zu kmalloc objects (%zu bytes) were never freed", left.objects,
	     left.bytes);
	for (struct slab_shard &shard : slab->shards) {
		while (!list_empty(&shard.objects)) {
			struct slab_header *h =
				list_first_entry(&shard.objects, struct slab_header, node);

			if (shown++ < SLAB_LEAKS_SHOWN)
				report_leak(h);
			unaccount(h);
			h->owner = nullptr;
		}
	}
	m->slab = nullptr;
	slab_free(slab);
}

struct slab_stats pv_machine_slab_stats(const struct pv_machine *m) __no_thread_safety_analysis
{
	struct slab_stats stats = {};

	for (struct slab_shard &shard : m->slab->shards) {
		shard_guard g(&shard);

		stats.objects += shard.nr;
		stats.bytes += shard.bytes;
	}
	return stats;
}

long pv_machine_fail_alloc(struct pv_machine *m, long nth)
{
	s64 left = __atomic_exchange_n(&m->slab->fail_in, (s64)nth, __ATOMIC_RELAXED);

	return left > 0 ? left : 0;
}

bool pv_machine_may_alloc(struct pv_machine *m)
{
	return may_alloc(m->slab);
}
