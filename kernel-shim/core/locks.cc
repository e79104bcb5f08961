// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Spin locks and mutexes.
 *
 *	word 0 --lock--> 1 --unlock--> 0
 *	        1 --a waiter--> 2 --unlock, wakes one--> 0 --that one--> 2
 *
 * I1. word is 2 whenever a thread sleeps on it or is about to, so the unlock that leaves it wakes.
 *     A woken thread takes the lock as 2, since it cannot know whether others sleep.
 * I2. `owner` is written by the holder alone. Another thread may read it at any time, but only to
 *     compare it with itself, and that comparison is exact: nobody else stores this thread.
 *
 * The lock's memory may be freed as soon as the word is 0: the wake that follows uses the address
 * only.
 */
#include <kshim/mutant.h>
#include <linux/atomic.h>
#include <linux/bug.h>
#include <linux/lock_word.h>
#include <linux/lockdep.h>
#include <linux/mutex.h>
#include <linux/sched.h>
#include <linux/spinlock.h>

#include <limits.h>

static struct task_struct *lock_owner(const struct lock_word *lock)
{
	return __atomic_load_n(&lock->owner, __ATOMIC_RELAXED);
}

static void lock_set_owner(struct lock_word *lock, struct task_struct *task)
{
	__atomic_store_n(&lock->owner, task, __ATOMIC_RELAXED);
}

bool lock_word_trylock(struct lock_word *lock)
{
	u32 free_word = 0;

	if (!try_cmpxchg_acquire(&lock->word, &free_word, 1u))
		return false;
	lock_set_owner(lock, current);
	return true;
}

/* Sections are short: a holder on another processor is often done within these few rounds. */
static bool lock_word_spin(struct lock_word *lock)
{
	if (KSHIM_EXPLORE || kshim_nr_cpus() == 1)
		return false;
	for (int i = 0; i < 100; i++) {
		cpu_relax();
		if (READ_ONCE(lock->word) == 0 && lock_word_trylock(lock))
			return true;
	}
	return false;
}

void lock_word_lock(struct lock_word *lock, const char *kind)
{
	if (likely(lock_word_trylock(lock)))
		return;
	if (unlikely(lock_owner(lock) == current))
		kshim_violation("%s at %p is locked twice by one thread", kind, (void *)lock);
	if (lock_word_spin(lock))
		return;
	while (xchg_acquire(&lock->word, 2u) != 0)
		(void)kshim_wait(&lock->word, 2, KSHIM_FOREVER, kind);
	/* Mutant: take it as 1; the unlock then wakes nobody, though others may sleep (I1). */
	if (KSHIM_MUTANT(lock_forgets_sleepers))
		WRITE_ONCE(lock->word, 1u);
	lock_set_owner(lock, current);
}

void lock_word_unlock(struct lock_word *lock, const char *kind)
{
	if (unlikely(lock_owner(lock) != current))
		kshim_violation("%s at %p is unlocked by a thread that does not hold it", kind,
				(void *)lock);
	lock_set_owner(lock, nullptr);
	/* Mutant: the next holder need not see what this one wrote. Only the race check tells. */
	if (kshim_xchg(&lock->word, 0u,
		       KSHIM_MUTANT(lock_release_relaxed) ? __ATOMIC_RELAXED : __ATOMIC_RELEASE) ==
	    2)
		kshim_wake(&lock->word, 1);
}

bool lock_word_is_locked(const struct lock_word *lock)
{
	return READ_ONCE(lock->word) != 0;
}

bool lock_word_is_mine(const struct lock_word *lock)
{
	return lock_owner(lock) == current;
}

void lock_word_destroy(struct lock_word *lock, const char *kind)
{
	if (unlikely(lock_word_is_locked(lock)))
		kshim_violation("%s at %p is destroyed while it is held", kind, (void *)lock);
}

/* The bodies of the locks: where the annotations of the headers come true. */

void(spin_lock_init)(spinlock_t *lock)
{
	lock->lock = {};
}

void spin_lock(spinlock_t *lock) __no_thread_safety_analysis
{
	lock_word_lock(&lock->lock, "spin lock");
}

void spin_unlock(spinlock_t *lock) __no_thread_safety_analysis
{
	lock_word_unlock(&lock->lock, "spin lock");
}

bool spin_trylock(spinlock_t *lock) __no_thread_safety_analysis
{
	return !kshim_fault(KSHIM_FAULT_TRYLOCK, "spin_trylock") && lock_word_trylock(&lock->lock);
}

bool spin_is_locked(const spinlock_t *lock)
{
	return lock_word_is_locked(&lock->lock);
}

void assert_spin_locked(const spinlock_t *lock) __no_thread_safety_analysis
{
	if (unlikely(!lock_word_is_mine(&lock->lock)))
		kshim_violation("spin lock at %p should be held here", (const void *)lock);
}

void(mutex_init)(struct mutex *lock)
{
	lock->lock = {};
}

void mutex_destroy(struct mutex *lock)
{
	lock_word_destroy(&lock->lock, "mutex");
}

void mutex_lock(struct mutex *lock) __no_thread_safety_analysis
{
	lock_word_lock(&lock->lock, "mutex");
}

void mutex_unlock(struct mutex *lock) __no_thread_safety_analysis
{
	lock_word_unlock(&lock->lock, "mutex");
}

bool mutex_trylock(struct mutex *lock) __no_thread_safety_analysis
{
	return !kshim_fault(KSHIM_FAULT_TRYLOCK, "mutex_trylock") && lock_word_trylock(&lock->lock);
}

bool mutex_is_locked(const struct mutex *lock)
{
	return lock_word_is_locked(&lock->lock);
}

void lockdep_assert_held_mutex(const struct mutex *lock) __no_thread_safety_analysis
{
	if (unlikely(!lock_word_is_mine(&lock->lock)))
		kshim_violation("mutex at %p should be held here", (const void *)lock);
}
