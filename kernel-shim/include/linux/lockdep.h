/* SPDX-License-Identifier: GPL-2.0-or-later */
/* lockdep_assert_held(): a violation unless the calling thread holds the lock. */
#ifndef KSHIM_LINUX_LOCKDEP_H
#define KSHIM_LINUX_LOCKDEP_H

#include <linux/mutex.h>
#include <linux/spinlock.h>

static inline void lockdep_assert_held(const struct mutex *lock) __asserts_held(lock)
#if defined(__clang__)
	__no_thread_safety_analysis
#endif
{
	lockdep_assert_held_mutex(lock);
}

static inline void lockdep_assert_held(const spinlock_t *lock) __asserts_held(lock)
#if defined(__clang__)
	__no_thread_safety_analysis
#endif
{
	assert_spin_locked(lock);
}

#endif
