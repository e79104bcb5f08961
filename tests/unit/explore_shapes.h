/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * explore_shapes.h - small programs whose verdict is known, a wrong one and the right one of the
 * same shape
 *
 *	counting	lost update:	two threads add one, without and with a lock
 *	locking		ABBA deadlock:	two locks in two orders, or in one
 *	handshake	lost wake-up:	sleeping on another word than the one looked at, or on it
 */
#ifndef TESTS_UNIT_EXPLORE_SHAPES_H
#define TESTS_UNIT_EXPLORE_SHAPES_H

#include <kshim/explore.h>
#include <linux/mutex.h>

#include <limits.h>

namespace explore_test
{

struct counting {
	u32 counter;
	struct mutex lock;
};

inline void count_bare(void *p)
{
	auto *w = static_cast<counting *>(p);
	u32 seen = READ_ONCE(w->counter);

	WRITE_ONCE(w->counter, seen + 1);
}

inline void count_locked(void *p)
{
	auto *w = static_cast<counting *>(p);
	guard(mutex)(&w->lock);

	count_bare(w);
}

inline explore_scenario counting_scenario(void (*count)(void *))
{
	return {.name = "counting",
		.setup = []() -> void * { return explore_new<counting>(); },
		.tasks = {{"A", count}, {"B", count}},
		.check =
			[](void *p) {
				u32 counter = static_cast<counting *>(p)->counter;

				explore_expect(counter == 2, "counter is %u, not 2", counter);
			}};
}

struct two_locks {
	struct mutex a, b;
};

inline void a_then_b(void *p)
{
	auto *w = static_cast<two_locks *>(p);
	guard(mutex)(&w->a);
	guard(mutex)(&w->b);
}

inline void b_then_a(void *p)
{
	auto *w = static_cast<two_locks *>(p);
	guard(mutex)(&w->b);
	guard(mutex)(&w->a);
}

inline explore_scenario locking_scenario(void (*other)(void *))
{
	return {.name = "locking",
		.setup = []() -> void * { return explore_new<two_locks>(); },
		.tasks = {{"left", a_then_b}, {"right", other}}};
}

struct handshake {
	u32 ready;
	u32 sleepers;
};

inline void announce(void *p)
{
	auto *w = static_cast<handshake *>(p);

	WRITE_ONCE(w->ready, 1u);
	kshim_wake(&w->sleepers, INT_MAX);
}

inline void sleep_carelessly(void *p)
{
	auto *w = static_cast<handshake *>(p);

	if (!READ_ONCE(w->ready))
		(void)kshim_wait(&w->sleepers, 0, KSHIM_FOREVER, "ready");
}

inline void announce_on_the_word(void *p)
{
	auto *w = static_cast<handshake *>(p);

	WRITE_ONCE(w->ready, 1u);
	kshim_wake(&w->ready, INT_MAX);
}

inline void sleep_on_the_word(void *p)
{
	auto *w = static_cast<handshake *>(p);

	while (!READ_ONCE(w->ready))
		(void)kshim_wait(&w->ready, 0, KSHIM_FOREVER, "ready");
}

inline explore_scenario handshake_scenario(void (*sleep)(void *), void (*wake)(void *))
{
	return {.name = "handshake",
		.setup = []() -> void * { return explore_new<handshake>(); },
		.tasks = {{"sleeper", sleep}, {"waker", wake}}};
}

} // namespace explore_test

#endif
