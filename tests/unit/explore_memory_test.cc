// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Memory models: small programs whose possible outcomes are known, in every schedule.
 *
 *	shape	threads				r under sc	tso adds
 *	SB	x=1 r0=y | y=1 r1=x		not 0,0		0,0
 *	R	x=1 y=1 | y=2 r0=x		not y=2,r0=0	y=2,r0=0
 *	MP	x=1 y=1 | r0=y r1=x		not 1,0		nothing
 *	LB	r0=x y=1 | r1=y x=1		not 1,1		nothing
 *	IRIW	x=1 | y=1 | r0=x r1=y | r2=y r3=x	not 1,0,1,0	nothing
 *	2+2W	x=1 y=2 | y=1 x=2		not x=1,y=1	nothing
 */
#include "explore_test.h"

#include <linux/atomic.h>
#include <linux/sched.h>
#include <linux/slab.h>

#include <set>

using namespace explore_test;

namespace
{

struct litmus_world {
	u32 x, y, r[4];
};

using outcomes = std::set<std::string>;

outcomes *seen()
{
	static outcomes set;

	return &set;
}

/* "r0 r1 r2 r3 x y" in the end, of all schedules. */
outcomes run(std::vector<explore_task> tasks, explore_memory memory)
{
	explore_scenario s = {
		.name = "litmus",
		.setup = []() -> void * { return explore_new<litmus_world>(); },
		.tasks = std::move(tasks),
		.check =
			[](void *p) {
				auto *w = static_cast<litmus_world *>(p);
				std::string text;

				for (u32 value : {w->r[0], w->r[1], w->r[2], w->r[3], w->x, w->y})
					text += std::to_string(value);
				seen()->insert(text);
			}};
	explore_options options = bound(-1);

	options.memory = memory;
	seen()->clear();
	expect_holds(explore_run(s, options));
	return *seen();
}

outcomes with(outcomes set, const outcomes &more)
{
	set.insert(more.begin(), more.end());
	return set;
}

template <u32 litmus_world::*word, u32 value>
void store(void *p)
{
	WRITE_ONCE(static_cast<litmus_world *>(p)->*word, value);
}

template <u32 litmus_world::*word, int r>
void load(void *p)
{
	auto *w = static_cast<litmus_world *>(p);

	/* The result is nobody else's: no step. */
	w->r[r] = READ_ONCE(w->*word);
}

void full_barrier(void *)
{
	smp_mb();
}

void write_barrier(void *)
{
	smp_wmb();
}

/* A thread of up to three steps. */
template <void (*...step)(void *)>
void steps(void *p)
{
	(step(p), ...);
}

constexpr auto X = &litmus_world::x, Y = &litmus_world::y;

TEST(explore_memory, store_buffering)
{
	const outcomes sc = {"010011", "100011", "110011"};
	const std::vector<explore_task> sb = {{"A", steps<store<X, 1>, load<Y, 0>>},
					      {"B", steps<store<Y, 1>, load<X, 1>>}};

	EXPECT_EQ(run(sb, explore_memory::sc), sc);
	EXPECT_EQ(run(sb, explore_memory::tso), with(sc, {"000011"}));
	/* Full barriers on both sides forbid it; on one side, or weak ones, do not. */
	EXPECT_EQ(run({{"A", steps<store<X, 1>, full_barrier, load<Y, 0>>},
		       {"B", steps<store<Y, 1>, full_barrier, load<X, 1>>}},
		      explore_memory::tso),
		  sc);
	EXPECT_EQ(run({{"A", steps<store<X, 1>, full_barrier, load<Y, 0>>},
		       {"B", steps<store<Y, 1>, load<X, 1>>}},
		      explore_memory::tso),
		  with(sc, {"000011"}));
	EXPECT_EQ(run({{"A", steps<store<X, 1>, write_barrier, load<Y, 0>>},
		       {"B", steps<store<Y, 1>, write_barrier, load<X, 1>>}},
		      explore_memory::tso),
		  with(sc, {"000011"}));
}

TEST(explore_memory, store_then_store_and_load)
{
	/* y is 1 or 2 in the end; when it is 2, B's store came last and its load must see x. */
	const outcomes sc = {"000011", "100011", "100012"};
	const std::vector<explore_task> r = {{"A", steps<store<X, 1>, store<Y, 1>>},
					     {"B", steps<store<Y, 2>, load<X, 0>>}};

	EXPECT_EQ(run(r, explore_memory::sc), sc);
	EXPECT_EQ(run(r, explore_memory::tso), with(sc, {"000012"}));
	EXPECT_EQ(run({{"A", steps<store<X, 1>, store<Y, 1>>},
		       {"B", steps<store<Y, 2>, full_barrier, load<X, 0>>}},
		      explore_memory::tso),
		  sc);
}

TEST(explore_memory, message_passing)
{
	const outcomes sc = {"000011", "010011", "110011"};
	const std::vector<explore_task> mp = {{"A", steps<store<X, 1>, store<Y, 1>>},
					      {"B", steps<load<Y, 0>, load<X, 1>>}};

	EXPECT_EQ(run(mp, explore_memory::sc), sc);
	EXPECT_EQ(run(mp, explore_memory::tso), sc);
}

TEST(explore_memory, load_buffering)
{
	const outcomes sc = {"000011", "010011", "100011"};
	const std::vector<explore_task> lb = {{"A", steps<load<X, 0>, store<Y, 1>>},
					      {"B", steps<load<Y, 1>, store<X, 1>>}};

	EXPECT_EQ(run(lb, explore_memory::sc), sc);
	EXPECT_EQ(run(lb, explore_memory::tso), sc);
}

TEST(explore_memory, independent_reads_of_independent_writes)
{
	const std::vector<explore_task> iriw = {{"A", store<X, 1>},
						{"B", store<Y, 1>},
						{"C", steps<load<X, 0>, load<Y, 1>>},
						{"D", steps<load<Y, 2>, load<X, 3>>}};
	outcomes all;

	for (int bits = 0; bits < 16; bits++) {
		std::string text;

		for (int i = 3; i >= 0; i--)
			text += bits >> i & 1 ? '1' : '0';
		if (text != "1010")
			all.insert(text + "11");
	}
	EXPECT_EQ(run(iriw, explore_memory::sc), all);
	EXPECT_EQ(run(iriw, explore_memory::tso), all);
}

TEST(explore_memory, two_plus_two_writes)
{
	const outcomes sc = {"000012", "000021", "000022"};
	const std::vector<explore_task> w = {{"A", steps<store<X, 1>, store<Y, 2>>},
					     {"B", steps<store<Y, 1>, store<X, 2>>}};

	EXPECT_EQ(run(w, explore_memory::sc), sc);
	EXPECT_EQ(run(w, explore_memory::tso), sc);
}

TEST(explore_memory, a_thread_sees_its_own_stores_first)
{
	/* x=1 r0=x r1=y | y=1 r2=y r3=x: both see their own, and neither the other's. */
	const std::vector<explore_task> own = {{"A", steps<store<X, 1>, load<X, 0>, load<Y, 1>>},
					       {"B", steps<store<Y, 1>, load<Y, 2>, load<X, 3>>}};
	const outcomes sc = {"101111", "111011", "111111"};

	EXPECT_EQ(run(own, explore_memory::sc), sc);
	EXPECT_EQ(run(own, explore_memory::tso), with(sc, {"101011"}));
}

/* More stores than the buffer holds: the oldest leaves, in order. */
TEST(explore_memory, full_buffer_gives_its_oldest_store_away)
{
	explore_scenario s = {
		.name = "full",
		.setup = []() -> void * { return explore_new<litmus_world>(); },
		.tasks = {{"A",
			   [](void *p) {
				   auto *w = static_cast<litmus_world *>(p);

				   for (u32 n = 1; n <= 12; n++) {
					   WRITE_ONCE(w->x, n);
					   explore_expect(w->x == n, "own store");
				   }
				   WRITE_ONCE(w->y, 1u);
			   }},
			  {"B",
			   [](void *p) {
				   auto *w = static_cast<litmus_world *>(p);
				   u32 first = READ_ONCE(w->x);

				   explore_expect(READ_ONCE(w->x) >= first, "backwards");
				   if (READ_ONCE(w->y))
					   explore_expect(READ_ONCE(w->x) == 12, "y before x");
			   }}},
		.check =
			[](void *p) {
				auto *w = static_cast<litmus_world *>(p);

				explore_expect(w->x == 12 && w->y == 1, "a store is gone");
			}};
	explore_options options = bound(2);

	options.memory = explore_memory::tso;
	expect_holds(explore_run(s, options));
}

/* Dekker: who has announced itself and sees nobody else enters. */

struct dekker_world {
	u32 wants[2], inside;
};

template <int me, bool barrier>
void enter(void *p)
{
	auto *w = static_cast<dekker_world *>(p);

	WRITE_ONCE(w->wants[me], 1u);
	if (barrier)
		smp_mb();
	if (!READ_ONCE(w->wants[!me])) {
		explore_expect(!w->inside, "two are inside");
		w->inside++;
		cond_resched();
		w->inside--;
	}
	smp_store_release(&w->wants[me], 0u);
}

template <bool barrier>
explore_scenario dekker()
{
	return {.name = "dekker",
		.setup = []() -> void * { return explore_new<dekker_world>(); },
		.tasks = {{"A", enter<0, barrier>}, {"B", enter<1, barrier>}}};
}

TEST(explore_memory, dekker_without_a_barrier_is_found_in_tso_only)
{
	explore_options tso = bound(2);

	tso.memory = explore_memory::tso;
	expect_holds(explore_run(dekker<false>(), bound(-1)));
	expect_holds(explore_run(dekker<true>(), tso));
	explore_result r = explore_run(dekker<false>(), tso);

	expect_violated(r, "two are inside");
	EXPECT_NE(r.trace.find("into its buffer"), std::string::npos) << r.trace;
	EXPECT_NE(r.token.find("memory=tso"), std::string::npos) << r.token;
	expect_replays(dekker<false>(), r);
}

/* The sleeper says that it sleeps and looks again; the waker gives and looks for sleepers. */

struct sleeper_world {
	u32 ready, sleeping;
};

template <bool barrier>
void sleeper(void *p)
{
	auto *w = static_cast<sleeper_world *>(p);

	WRITE_ONCE(w->sleeping, 1u);
	if (barrier)
		smp_mb();
	while (!READ_ONCE(w->ready))
		(void)kshim_wait(&w->sleeping, 1, KSHIM_FOREVER, "ready");
}

template <bool barrier>
void waker(void *p)
{
	auto *w = static_cast<sleeper_world *>(p);

	WRITE_ONCE(w->ready, 1u);
	if (barrier)
		smp_mb();
	if (READ_ONCE(w->sleeping)) {
		WRITE_ONCE(w->sleeping, 0u);
		kshim_wake(&w->sleeping, 1);
	}
}

template <bool barrier>
explore_scenario sleeper_scenario()
{
	return {.name = "sleeper",
		.setup = []() -> void * { return explore_new<sleeper_world>(); },
		.tasks = {{"sleeper", sleeper<barrier>}, {"waker", waker<barrier>}}};
}

TEST(explore_memory, wake_up_lost_for_want_of_a_barrier_is_found_in_tso_only)
{
	explore_options tso = bound(2);

	tso.memory = explore_memory::tso;
	expect_holds(explore_run(sleeper_scenario<false>(), bound(-1)));
	expect_holds(explore_run(sleeper_scenario<true>(), tso));
	expect_violated(explore_run(sleeper_scenario<false>(), tso), "sleeper waits for ready");
}

/* Whoever waits for a store in a loop gets it: it does not stay in the buffer for ever. */
TEST(explore_memory, spinning_on_a_buffered_store_ends)
{
	explore_scenario s = {.name = "spin",
			      .setup = []() -> void * { return explore_new<litmus_world>(); },
			      .tasks = {{"A",
					 [](void *p) {
						 auto *w = static_cast<litmus_world *>(p);

						 WRITE_ONCE(w->x, 1u);
						 while (!READ_ONCE(w->y))
							 cpu_relax();
					 }},
					{"B", [](void *p) {
						 auto *w = static_cast<litmus_world *>(p);

						 WRITE_ONCE(w->y, 1u);
						 while (!READ_ONCE(w->x))
							 cpu_relax();
					 }}}};
	explore_options options = bound(-1);

	options.memory = explore_memory::tso;
	expect_holds(explore_run(s, options));
}

/* The owner looks for users before it frees, but a user's word that it is one is on its way. */

struct free_world {
	u32 *object, in_use, going;
};

void use_object(void *p)
{
	auto *w = static_cast<free_world *>(p);

	WRITE_ONCE(w->in_use, 1u);
	if (!READ_ONCE(w->going))
		WRITE_ONCE(*w->object, 1u);
}

void free_object(void *p)
{
	auto *w = static_cast<free_world *>(p);

	(void)xchg(&w->going, 1u);
	if (!READ_ONCE(w->in_use))
		kfree(w->object);
}

TEST(explore_memory, store_that_arrives_after_the_free_is_found)
{
	explore_scenario s = {.name = "late",
			      .setup = []() -> void * {
				      auto *w = explore_new<free_world>();

				      w->object =
					      static_cast<u32 *>(kzalloc(sizeof(u32), GFP_KERNEL));
				      return w;
			      },
			      .tasks = {{"user", use_object}, {"owner", free_object}}};
	explore_options options = bound(1);

	expect_holds(explore_run(s, bound(-1)));
	options.memory = explore_memory::tso;
	expect_violated(explore_run(s, options), "a store of user arrives at block");
}

} // namespace
