/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Spin locks: for short sections.
 *
 * KSHIM: Linux's holder cannot be preempted, so waiting is burning. Ours can be, so after a short
 * spin a waiter sleeps. There are no interrupts: the _irq and _bh forms are the plain ones, and
 * `flags` is only written. An "interrupt handler" is a thread, so a section may be interrupted only
 * by another thread, which the lock excludes. Sleeping with a spin lock held works here and is a
 * bug in Linux: don't.
 */
#ifndef KSHIM_LINUX_SPINLOCK_H
#define KSHIM_LINUX_SPINLOCK_H

#include <kshim/host.h>
#include <linux/cleanup.h>
#include <linux/compiler.h>
#include <linux/lock_word.h>

struct __capability("spinlock") spinlock
{
	struct lock_word lock;
};
typedef struct spinlock spinlock_t;

#define __SPIN_LOCK_UNLOCKED(name)                                                                 \
	{                                                                                          \
	}
#define DEFINE_SPINLOCK(name) spinlock_t name = __SPIN_LOCK_UNLOCKED(name)

void spin_lock_init(spinlock_t *lock);
#define spin_lock_init(lock) (spin_lock_init)(kshim_named((lock), #lock))
void spin_lock(spinlock_t *lock) __acquires(lock);
void spin_unlock(spinlock_t *lock) __releases(lock);
bool spin_trylock(spinlock_t *lock) __try_acquires(true, lock);
bool spin_is_locked(const spinlock_t *lock);
/* A violation unless the calling thread holds @lock. */
void assert_spin_locked(const spinlock_t *lock) __asserts_held(lock);

#define spin_lock_irq(lock) spin_lock(lock)
#define spin_unlock_irq(lock) spin_unlock(lock)
#define spin_lock_bh(lock) spin_lock(lock)
#define spin_unlock_bh(lock) spin_unlock(lock)
#define spin_lock_nested(lock, subclass) spin_lock(lock)

/* flags: an unsigned long. */
#define spin_lock_irqsave(lock, flags)                                                             \
	do {                                                                                       \
		flags = 0UL;                                                                       \
		spin_lock(lock);                                                                   \
	} while (0)
#define spin_unlock_irqrestore(lock, flags)                                                        \
	do {                                                                                       \
		(void)(flags);                                                                     \
		spin_unlock(lock);                                                                 \
	} while (0)
#define spin_trylock_irqsave(lock, flags) ((void)(flags = 0UL), spin_trylock(lock))

DEFINE_LOCK_GUARD_1(spinlock, spinlock_t, spin_lock, spin_unlock)
DEFINE_LOCK_GUARD_1(spinlock_irqsave, spinlock_t, spin_lock, spin_unlock)

#endif
