/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Reference counts that notice their misuse.
 *
 * KSHIM: Linux saturates and warns; here a count that goes wrong is a violation: the memory behind
 * it is already somebody else's.
 */
#ifndef KSHIM_LINUX_REFCOUNT_H
#define KSHIM_LINUX_REFCOUNT_H

#include <linux/atomic.h>
#include <linux/bug.h>

typedef struct refcount_struct {
	atomic_t refs;
} refcount_t;

#define REFCOUNT_INIT(n)                                                                           \
	{                                                                                          \
		ATOMIC_INIT(n)                                                                     \
	}

static inline void refcount_set(refcount_t *r, int n)
{
	atomic_set(&r->refs, n);
}

static inline unsigned refcount_read(const refcount_t *r)
{
	return (unsigned)atomic_read(&r->refs);
}

/* The caller already has a reference. */
static inline void refcount_inc(refcount_t *r)
{
	if (unlikely(atomic_fetch_add_order(1, &r->refs, __ATOMIC_RELAXED) <= 0))
		kshim_violation("refcount_inc: the count at %p was not positive: use after free",
				(void *)r);
}

/* False when the object is on its way out: it must not be touched. */
[[nodiscard]] static inline bool refcount_inc_not_zero(refcount_t *r)
{
	return atomic_inc_not_zero(&r->refs);
}

/* True when this was the last reference: the caller frees. */
[[nodiscard]] static inline bool refcount_dec_and_test(refcount_t *r)
{
	int old_count = atomic_fetch_sub(1, &r->refs);

	if (unlikely(old_count <= 0))
		kshim_violation("refcount_dec: the count at %p was %d: one put too many", (void *)r,
				old_count);
	return old_count == 1;
}

#endif
