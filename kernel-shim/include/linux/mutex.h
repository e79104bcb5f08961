/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Mutexes: one owner, who may sleep. Not recursive; the thread that locks unlocks.
 */
#ifndef KSHIM_LINUX_MUTEX_H
#define KSHIM_LINUX_MUTEX_H

#include <kshim/host.h>
#include <linux/cleanup.h>
#include <linux/compiler.h>
#include <linux/lock_word.h>

struct __capability("mutex") mutex
{
	struct lock_word lock;
};

#define __MUTEX_INITIALIZER(name)                                                                  \
	{                                                                                          \
	}
#define DEFINE_MUTEX(name) struct mutex name = __MUTEX_INITIALIZER(name)

void mutex_init(struct mutex *lock);
#define mutex_init(lock) (mutex_init)(kshim_named((lock), #lock))
void mutex_destroy(struct mutex *lock);
void mutex_lock(struct mutex *lock) __acquires(lock);
void mutex_unlock(struct mutex *lock) __releases(lock);
/* True when the lock was taken. */
bool mutex_trylock(struct mutex *lock) __try_acquires(true, lock);
bool mutex_is_locked(const struct mutex *lock);
/* A violation unless the calling thread holds @lock. */
void lockdep_assert_held_mutex(const struct mutex *lock) __asserts_held(lock);

#define mutex_lock_nested(lock, subclass) mutex_lock(lock)

DEFINE_LOCK_GUARD_1(mutex, struct mutex, mutex_lock, mutex_unlock)

#endif
