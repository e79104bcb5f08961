/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * percpu_rwlock.h - a read-write lock whose readers share nothing while nobody writes
 *
 *      reader                             writer
 *        my CPU's count + 1                 writing = 1
 *        --- full barrier ---               --- full barrier ---
 *        writing? count - 1, queue          all counts 0? else wait
 *
 * W1. Of a reader and a writer at least one sees the other: the barriers pair.
 * Readers of one CPU's slot are several threads (the host moves them), so a slot is atomic.
 */
#ifndef KSHIM_XEN_PERCPU_RWLOCK_H
#define KSHIM_XEN_PERCPU_RWLOCK_H

#include <linux/atomic.h>
#include <linux/rwsem.h>

constexpr unsigned int PERCPU_RWLOCK_SLOTS = 16;

struct percpu_rwlock_slot {
	alignas(64) atomic_t readers;
};

struct percpu_rwlock {
	struct percpu_rwlock_slot slots[PERCPU_RWLOCK_SLOTS];
	u32 writing;
	struct rw_semaphore writers; /* a writer holds it; readers take it while one writes */
};

void percpu_rwlock_init(struct percpu_rwlock *lock);
/* Return: for percpu_up_read(). */
unsigned int percpu_down_read(struct percpu_rwlock *lock) __no_thread_safety_analysis;
void percpu_up_read(struct percpu_rwlock *lock, unsigned int slot) __no_thread_safety_analysis;
void percpu_down_write(struct percpu_rwlock *lock) __no_thread_safety_analysis;
bool percpu_down_write_trylock(struct percpu_rwlock *lock) __no_thread_safety_analysis;
void percpu_up_write(struct percpu_rwlock *lock) __no_thread_safety_analysis;

#endif
