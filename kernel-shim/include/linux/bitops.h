/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Bits of long words in memory. Bit n is bit n % 64 of word n / 64.
 *
 * set_bit, clear_bit: atomic, no order. test_and_*: atomic, fully ordered. clear_bit_unlock:
 * release. Names with __: not atomic, the caller excludes others.
 */
#ifndef KSHIM_LINUX_BITOPS_H
#define KSHIM_LINUX_BITOPS_H

#include <linux/atomic.h>
#include <linux/bits.h>

static inline unsigned long kshim_bit_or(unsigned long nr, unsigned long *addr, int order)
{
	unsigned long *word = addr + BIT_WORD(nr);

	kshim_point(KSHIM_RMW, word, sizeof(*word), order);
	return __atomic_fetch_or(word, BIT_MASK(nr), order) & BIT_MASK(nr);
}

static inline unsigned long kshim_bit_clear(unsigned long nr, unsigned long *addr, int order)
{
	unsigned long *word = addr + BIT_WORD(nr);

	kshim_point(KSHIM_RMW, word, sizeof(*word), order);
	return __atomic_fetch_and(word, ~BIT_MASK(nr), order) & BIT_MASK(nr);
}

static inline void set_bit(unsigned long nr, unsigned long *addr)
{
	kshim_bit_or(nr, addr, __ATOMIC_RELAXED);
}

static inline void clear_bit(unsigned long nr, unsigned long *addr)
{
	kshim_bit_clear(nr, addr, __ATOMIC_RELAXED);
}

static inline void clear_bit_unlock(unsigned long nr, unsigned long *addr)
{
	kshim_bit_clear(nr, addr, __ATOMIC_RELEASE);
}

static inline bool test_and_set_bit(unsigned long nr, unsigned long *addr)
{
	return kshim_bit_or(nr, addr, __ATOMIC_SEQ_CST) != 0;
}

static inline bool test_and_set_bit_lock(unsigned long nr, unsigned long *addr)
{
	return kshim_bit_or(nr, addr, __ATOMIC_ACQUIRE) != 0;
}

static inline bool test_and_clear_bit(unsigned long nr, unsigned long *addr)
{
	return kshim_bit_clear(nr, addr, __ATOMIC_SEQ_CST) != 0;
}

static inline bool test_bit(unsigned long nr, const unsigned long *addr)
{
	return (kshim_load(addr + BIT_WORD(nr)) & BIT_MASK(nr)) != 0;
}

static inline bool test_bit_acquire(unsigned long nr, const unsigned long *addr)
{
	return (kshim_load(addr + BIT_WORD(nr), __ATOMIC_ACQUIRE) & BIT_MASK(nr)) != 0;
}

static inline void __set_bit(unsigned long nr, unsigned long *addr)
{
	addr[BIT_WORD(nr)] |= BIT_MASK(nr);
}

static inline void __clear_bit(unsigned long nr, unsigned long *addr)
{
	addr[BIT_WORD(nr)] &= ~BIT_MASK(nr);
}

/* The lowest and highest set bit of a word that is not 0, counted from 0. */
static inline unsigned long __ffs(unsigned long word)
{
	return (unsigned long)__builtin_ctzl(word);
}

static inline unsigned long __fls(unsigned long word)
{
	return BITS_PER_LONG - 1 - (unsigned long)__builtin_clzl(word);
}

/* The highest set bit counted from 1; 0 for 0. */
static inline int fls(unsigned int x)
{
	return x ? 32 - __builtin_clz(x) : 0;
}

static inline int fls64(u64 x)
{
	return x ? 64 - __builtin_clzll(x) : 0;
}

static inline int ilog2(u64 x)
{
	return fls64(x) - 1;
}

static inline bool is_power_of_2(unsigned long n)
{
	return n != 0 && (n & (n - 1)) == 0;
}

static inline unsigned int hweight_long(unsigned long w)
{
	return (unsigned int)__builtin_popcountl(w);
}

/* The first bit >= @start that is set (or clear); @size when there is none. */
unsigned long find_next_bit(const unsigned long *addr, unsigned long size, unsigned long start);
unsigned long find_next_zero_bit(const unsigned long *addr, unsigned long size,
				 unsigned long start);

static inline unsigned long find_first_bit(const unsigned long *addr, unsigned long size)
{
	return find_next_bit(addr, size, 0);
}

static inline unsigned long find_first_zero_bit(const unsigned long *addr, unsigned long size)
{
	return find_next_zero_bit(addr, size, 0);
}

#define for_each_set_bit(bit, addr, size)                                                          \
	for ((bit) = find_first_bit((addr), (size)); (bit) < (size);                               \
	     (bit) = find_next_bit((addr), (size), (bit) + 1))

#endif
