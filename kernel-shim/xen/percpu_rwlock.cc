/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * percpu_rwlock.cc - see percpu_rwlock.h
 *
 * KSHIM: Xen's readers queue on the lock that the writer holds, and so do ours; but a writer waits
 * for readers that are inside by letting them run and not by spinning with interrupts on.
 */
#include "percpu_rwlock.h"

#include <linux/sched.h>

/* The slow way: in by the writers' lock. */
constexpr unsigned int BY_LOCK = ~0u;

void percpu_rwlock_init(struct percpu_rwlock *lock)
{
	init_rwsem(&lock->writers);
}

unsigned int percpu_down_read(struct percpu_rwlock *lock)
{
	const unsigned int slot = kshim_cpu() % PERCPU_RWLOCK_SLOTS;

	/* Fully ordered before the load of writing: W1, with smp_mb() in drain(). */
	atomic_fetch_add(1, &lock->slots[slot].readers);
	if (likely(!READ_ONCE(lock->writing)))
		return slot;
	atomic_fetch_sub(1, &lock->slots[slot].readers);
	down_read(&lock->writers);
	return BY_LOCK;
}

void percpu_up_read(struct percpu_rwlock *lock, unsigned int slot)
{
	if (unlikely(slot == BY_LOCK))
		up_read(&lock->writers);
	else
		atomic_fetch_sub(1, &lock->slots[slot].readers);
}

/* Readers that came before we said that we write. They sleep for nothing, so it is short. */
static void drain(struct percpu_rwlock *lock)
{
	smp_store_mb(lock->writing, 1); /* W1, with percpu_down_read() */
	for (auto &slot : lock->slots) {
		while (atomic_read_acquire(&slot.readers))
			cond_resched();
	}
}

void percpu_down_write(struct percpu_rwlock *lock)
{
	down_write(&lock->writers);
	drain(lock);
}

bool percpu_down_write_trylock(struct percpu_rwlock *lock)
{
	if (!down_write_trylock(&lock->writers))
		return false;
	drain(lock);
	return true;
}

void percpu_up_write(struct percpu_rwlock *lock)
{
	smp_store_release(&lock->writing, 0u);
	up_write(&lock->writers);
}
