/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Small memory.
 *
 * Every object belongs to the machine the allocating thread was bound to, which counts it. An
 * object that is still there when the machine is destroyed is a leak, reported with size and
 * place. A thread without a machine may allocate too; that is not accounted.
 *
 * Objects are aligned to 16 bytes (caches: as asked). kfree() takes null, and objects of any
 * machine, in any thread. Under pv_machine_fail_alloc() any of these may return null.
 */
#ifndef KSHIM_LINUX_SLAB_H
#define KSHIM_LINUX_SLAB_H

#include <linux/cleanup.h>
#include <linux/err.h>
#include <linux/gfp_types.h>

[[nodiscard]] void *kmalloc(size_t size, gfp_t flags) __attribute__((alloc_size(1)));
[[nodiscard]] void *kzalloc(size_t size, gfp_t flags) __attribute__((alloc_size(1)));
/* Null when n * size overflows. */
[[nodiscard]] void *kmalloc_array(size_t n, size_t size, gfp_t flags);
[[nodiscard]] void *kcalloc(size_t n, size_t size, gfp_t flags);
/* @p stays valid when null is returned. New bytes are zero with __GFP_ZERO. */
[[nodiscard]] void *krealloc(const void *p, size_t size, gfp_t flags);
[[nodiscard]] void *kmemdup(const void *src, size_t size, gfp_t flags);
[[nodiscard]] char *kstrdup(const char *s, gfp_t flags);
[[nodiscard]] char *kasprintf(gfp_t flags, const char *fmt, ...) __printf(2, 3);
void kfree(const void *p);
/* The size that was asked for. */
size_t ksize(const void *p);

#define kvmalloc(size, flags) kmalloc(size, flags)
#define kvzalloc(size, flags) kzalloc(size, flags)
#define kvcalloc(n, size, flags) kcalloc(n, size, flags)
#define kvfree(p) kfree(p)

/* KSHIM: kzalloc with the type: C++ has no conversion from void *. */
#define kzalloc_obj(type, flags) ((type *)kzalloc(sizeof(type), flags))

struct kmem_cache;

#define SLAB_HWCACHE_ALIGN 0x2000u

struct kmem_cache *kmem_cache_create(const char *name, unsigned int size, unsigned int align,
				     unsigned int flags, void (*ctor)(void *));
#define KMEM_CACHE(type, flags)                                                                    \
	kmem_cache_create(#type, sizeof(struct type), alignof(struct type), flags, nullptr)
/* Warns when objects are left. */
void kmem_cache_destroy(struct kmem_cache *cache);
/* KSHIM: the constructor runs at each allocation, not when a slab is made. */
[[nodiscard]] void *kmem_cache_alloc(struct kmem_cache *cache, gfp_t flags);
[[nodiscard]] void *kmem_cache_zalloc(struct kmem_cache *cache, gfp_t flags);
void kmem_cache_free(struct kmem_cache *cache, void *p);

DEFINE_FREE(kfree, void *, if (!IS_ERR_OR_NULL(_T)) kfree(_T))

#endif
