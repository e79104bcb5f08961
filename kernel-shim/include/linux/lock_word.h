/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * KSHIM: the lock that spinlock_t and struct mutex are made of. Linux has no such header.
 *
 * One 32-bit word: 0 free, 1 held, 2 held and somebody may sleep on it. The owner is recorded so
 * that locking twice and unlocking what another thread holds are violations, not hangs.
 */
#ifndef KSHIM_LINUX_LOCK_WORD_H
#define KSHIM_LINUX_LOCK_WORD_H

#include <linux/types.h>

struct task_struct;

struct lock_word {
	u32 word;
	struct task_struct *owner; /* of the current holder; written by the holder only */
};

void lock_word_lock(struct lock_word *lock, const char *kind);
bool lock_word_trylock(struct lock_word *lock);
void lock_word_unlock(struct lock_word *lock, const char *kind);
bool lock_word_is_locked(const struct lock_word *lock);
bool lock_word_is_mine(const struct lock_word *lock);
/* Asserts that nobody holds it: its memory goes away. */
void lock_word_destroy(struct lock_word *lock, const char *kind);

#endif
