/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Bits of 32-bit words that are shared with the other side of a Xen interface.
 *
 * KSHIM: Linux's take an unsigned long, and so touch the neighbouring event word as well; these
 * take the word that is meant. sync_test_and_* and the fetch forms are fully ordered, sync_set_bit
 * and sync_clear_bit too (x86's locked instructions are).
 */
#ifndef KSHIM_ASM_SYNC_BITOPS_H
#define KSHIM_ASM_SYNC_BITOPS_H

#include <linux/atomic.h>

/* The word as it was. */
static inline u32 sync_fetch_or(u32 bits, u32 *word)
{
	kshim_point(KSHIM_RMW, word, sizeof(*word), __ATOMIC_SEQ_CST);
	return __atomic_fetch_or(word, bits, __ATOMIC_SEQ_CST);
}

static inline u32 sync_fetch_and(u32 bits, u32 *word)
{
	kshim_point(KSHIM_RMW, word, sizeof(*word), __ATOMIC_SEQ_CST);
	return __atomic_fetch_and(word, bits, __ATOMIC_SEQ_CST);
}

static inline bool sync_test_and_set_bit(unsigned int nr, u32 *word)
{
	return (sync_fetch_or(1u << nr, word) >> nr) & 1;
}

static inline bool sync_test_and_clear_bit(unsigned int nr, u32 *word)
{
	return (sync_fetch_and(~(1u << nr), word) >> nr) & 1;
}

static inline void sync_set_bit(unsigned int nr, u32 *word)
{
	sync_fetch_or(1u << nr, word);
}

static inline void sync_clear_bit(unsigned int nr, u32 *word)
{
	sync_fetch_and(~(1u << nr), word);
}

static inline bool sync_test_bit(unsigned int nr, const u32 *word)
{
	return (READ_ONCE(*word) >> nr) & 1;
}

#endif
