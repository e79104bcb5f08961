/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Random numbers that only depend on the seed and the number of the schedule (splitmix64).
 */
#ifndef KSHIM_EXPLORE_RANDOM_H
#define KSHIM_EXPLORE_RANDOM_H

#include <linux/types.h>

class generator
{
public:
	explicit generator(u64 state = 0) : state_(state) {}

	u64 next()
	{
		u64 z = state_ += 0x9e3779b97f4a7c15ull;

		z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
		z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
		return z ^ (z >> 31);
	}

	/* 0..@n-1, evenly enough for an @n far below 2^64. */
	u64 below(u64 n) { return next() % n; }

private:
	u64 state_;
};

/* The same for the nth schedule, however long those before were. */
static inline generator random_of_schedule(u64 seed, u64 schedule)
{
	return generator(seed * 0x9e3779b97f4a7c15ull + schedule * 0xd1342543de82ef95ull);
}

#endif
