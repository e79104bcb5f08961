// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Reader-writer semaphores; the word's picture is in <linux/rwsem.h>.
 *
 * I1. SLEEPERS implies a holder: it is set only by a compare-and-exchange of a word that shows one,
 *     and the release that leaves no holder clears it and wakes everybody. So nobody sleeps on a
 *     free semaphore.
 * I2. Every sleeper has seen or set SLEEPERS in the very value it sleeps on.
 *
 * Waking all is simple and right for semaphores with few sleepers, which ours are.
 */
#include <linux/atomic.h>
#include <linux/bug.h>
#include <linux/rwsem.h>
#include <linux/sched.h>

#include <limits.h>

#define RWSEM_WRITER (1u << 31)
#define RWSEM_SLEEPERS (1u << 30)
#define RWSEM_READERS (RWSEM_SLEEPERS - 1)

void(init_rwsem)(struct rw_semaphore *sem)
{
	*sem = {};
}

/* Sleeps until the word changes from @seen, which shows a holder. */
static void rwsem_sleep(struct rw_semaphore *sem, u32 seen, const char *why)
{
	if (!(seen & RWSEM_SLEEPERS)) {
		if (!try_cmpxchg(&sem->word, &seen, seen | RWSEM_SLEEPERS))
			return;
		seen |= RWSEM_SLEEPERS;
	}
	(void)kshim_wait(&sem->word, seen, KSHIM_FOREVER, why);
}

static void rwsem_set_owner(struct rw_semaphore *sem, struct task_struct *task)
{
	__atomic_store_n(&sem->owner, task, __ATOMIC_RELAXED);
}

static void rwsem_check_not_mine(const struct rw_semaphore *sem)
{
	if (unlikely(__atomic_load_n(&sem->owner, __ATOMIC_RELAXED) == current))
		kshim_violation("rwsem at %p is taken by the thread that holds it for writing",
				(const void *)sem);
}

static bool read_trylock(struct rw_semaphore *sem)
{
	u32 seen = READ_ONCE(sem->word);

	while (!(seen & (RWSEM_WRITER | RWSEM_SLEEPERS))) {
		if (try_cmpxchg_acquire(&sem->word, &seen, seen + 1))
			return true;
	}
	return false;
}

bool down_read_trylock(struct rw_semaphore *sem) __no_thread_safety_analysis
{
	return !kshim_fault(KSHIM_FAULT_TRYLOCK, "down_read_trylock") && read_trylock(sem);
}

void down_read(struct rw_semaphore *sem) __no_thread_safety_analysis
{
	while (!read_trylock(sem)) {
		u32 seen = READ_ONCE(sem->word);

		rwsem_check_not_mine(sem);
		if (seen & (RWSEM_WRITER | RWSEM_SLEEPERS))
			rwsem_sleep(sem, seen, "rwsem, to read");
	}
}

void up_read(struct rw_semaphore *sem) __no_thread_safety_analysis
{
	u32 seen = READ_ONCE(sem->word), next;

	do {
		if (unlikely(!(seen & RWSEM_READERS)))
			kshim_violation("up_read: no reader holds the rwsem at %p", (void *)sem);
		next = seen - 1;
		if (!(next & RWSEM_READERS))
			next = 0;
	} while (!try_cmpxchg_release(&sem->word, &seen, next));
	if (!next && (seen & RWSEM_SLEEPERS))
		kshim_wake(&sem->word, INT_MAX);
}

static bool write_trylock(struct rw_semaphore *sem)
{
	u32 seen = 0;

	if (!try_cmpxchg_acquire(&sem->word, &seen, RWSEM_WRITER))
		return false;
	rwsem_set_owner(sem, current);
	return true;
}

bool down_write_trylock(struct rw_semaphore *sem) __no_thread_safety_analysis
{
	return !kshim_fault(KSHIM_FAULT_TRYLOCK, "down_write_trylock") && write_trylock(sem);
}

void down_write(struct rw_semaphore *sem) __no_thread_safety_analysis
{
	while (!write_trylock(sem)) {
		u32 seen = READ_ONCE(sem->word);

		rwsem_check_not_mine(sem);
		if (seen)
			rwsem_sleep(sem, seen, "rwsem, to write");
	}
}

/* From writer to @next holders. */
static void rwsem_leave_write(struct rw_semaphore *sem, u32 next)
{
	if (unlikely(__atomic_load_n(&sem->owner, __ATOMIC_RELAXED) != current))
		kshim_violation("up_write: the calling thread does not hold the rwsem at %p",
				(void *)sem);
	rwsem_set_owner(sem, nullptr);
	if (xchg_release(&sem->word, next) & RWSEM_SLEEPERS)
		kshim_wake(&sem->word, INT_MAX);
}

void up_write(struct rw_semaphore *sem) __no_thread_safety_analysis
{
	rwsem_leave_write(sem, 0);
}

void downgrade_write(struct rw_semaphore *sem)
{
	rwsem_leave_write(sem, 1);
}

bool rwsem_is_locked(const struct rw_semaphore *sem)
{
	return READ_ONCE(sem->word) != 0;
}
