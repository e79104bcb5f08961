/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Memory barriers between processors. Each one in the code names its partner in a comment.
 *
 * KSHIM: the barriers are C++ fences. The explorer finds a missing smp_mb() (a store that waits
 * in its processor's buffer while a later load is made) when it is asked for explore_memory::tso;
 * what orders plain data, smp_rmb() and smp_wmb() with it, its data race check sees.
 */
#ifndef KSHIM_ASM_BARRIER_H
#define KSHIM_ASM_BARRIER_H

#include <linux/compiler.h>

static inline void smp_mb(void)
{
	kshim_point(KSHIM_FENCE, nullptr, 0, __ATOMIC_SEQ_CST);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
}

static inline void smp_rmb(void)
{
	kshim_point(KSHIM_FENCE, nullptr, 0, __ATOMIC_ACQUIRE);
	__atomic_thread_fence(__ATOMIC_ACQUIRE);
}

static inline void smp_wmb(void)
{
	kshim_point(KSHIM_FENCE, nullptr, 0, __ATOMIC_RELEASE);
	__atomic_thread_fence(__ATOMIC_RELEASE);
}

/* Shared rings with the other side of a Xen interface: the other side is another thread here. */
#define mb() smp_mb()
#define rmb() smp_rmb()
#define wmb() smp_wmb()
#define virt_mb() smp_mb()
#define virt_rmb() smp_rmb()
#define virt_wmb() smp_wmb()
#define smp_mb__before_atomic() smp_mb()
#define smp_mb__after_atomic() smp_mb()

#define smp_load_acquire(p) kshim_load((p), __ATOMIC_ACQUIRE)
#define smp_store_release(p, value) kshim_store((p), (value), __ATOMIC_RELEASE)

#define smp_store_mb(x, value)                                                                     \
	do {                                                                                       \
		WRITE_ONCE(x, value);                                                              \
		smp_mb();                                                                          \
	} while (0)

/* In a loop that waits for another processor: lets it run. */
static inline void cpu_relax(void)
{
	kshim_point(KSHIM_YIELD, nullptr, 0);
	__builtin_ia32_pause();
}

#endif
