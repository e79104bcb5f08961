// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Data races: plain accesses that nothing orders are found whatever the schedule shows; those that
 * a lock, a release, a barrier, a thread's end or a grace period orders are not accused.
 */
#include "explore_rcu.h"
#include "explore_test.h"

#include <kshim/machine.h>
#include <linux/completion.h>
#include <linux/kcsan-checks.h>
#include <linux/mutex.h>
#include <linux/rcupdate.h>
#include <linux/slab.h>
#include <linux/spinlock.h>

using namespace explore_test;

namespace
{

struct race_world {
	u32 data, flag;
	unsigned char bytes[8];
	spinlock_t lock;
	struct mutex mutex;
	struct completion done;
	u32 *object;
};

race_world *world_of(void *p)
{
	return static_cast<race_world *>(p);
}

explore_scenario two(void (*a)(void *), void (*b)(void *))
{
	return {.name = "two",
		.setup = []() -> void * { return explore_new<race_world>(); },
		.tasks = {{"A", a}, {"B", b}}};
}

void write_data(race_world *w)
{
	kcsan_check_write(&w->data, sizeof(w->data));
	w->data++;
}

void read_data(race_world *w)
{
	kcsan_check_read(&w->data, sizeof(w->data));
	(void)w->data;
}

template <void (*access)(race_world *)>
void bare(void *p)
{
	access(world_of(p));
}

template <void (*access)(race_world *)>
void spin_locked(void *p)
{
	guard(spinlock)(&world_of(p)->lock);

	access(world_of(p));
}

template <void (*access)(race_world *)>
void mutex_locked(void *p)
{
	guard(mutex)(&world_of(p)->mutex);

	access(world_of(p));
}

TEST(explore_happens, race_names_threads_places_and_object)
{
	const explore_scenario s = two(bare<write_data>, bare<read_data>);
	explore_result r = explore_run(s, bound(0));

	/* No preemption at all: in this schedule nothing goes wrong, and it is a race. */
	expect_violated(r, "data race on block 0+0: B reads it in ");
	EXPECT_NE(r.reason.find("read_data"), std::string::npos) << r.reason;
	EXPECT_NE(r.reason.find("A wrote it in "), std::string::npos) << r.reason;
	EXPECT_NE(r.reason.find("write_data"), std::string::npos) << r.reason;
	expect_replays(s, r);
	expect_violated(explore_run(two(bare<write_data>, bare<write_data>), bound(0)),
			"B writes it in ");
}

TEST(explore_happens, reads_do_not_race)
{
	expect_holds(explore_run(two(bare<read_data>, bare<read_data>), bound(-1)));
}

TEST(explore_happens, a_lock_orders_and_two_locks_do_not)
{
	expect_holds(explore_run(two(spin_locked<write_data>, spin_locked<write_data>), bound(-1)));
	expect_holds(
		explore_run(two(mutex_locked<write_data>, mutex_locked<read_data>), bound(-1)));
	expect_violated(
		explore_run(two(spin_locked<write_data>, mutex_locked<write_data>), bound(0)),
		"data race");
}

TEST(explore_happens, off_when_not_wanted)
{
	explore_options options = bound(2);

	options.races = false;
	expect_holds(explore_run(two(bare<write_data>, bare<write_data>), options));
}

/* Bytes are told apart, and a wide access meets all of its bytes. */
template <unsigned int at, unsigned int size, bool write>
void touch_bytes(void *p)
{
	if (write)
		kcsan_check_write(world_of(p)->bytes + at, size);
	else
		kcsan_check_read(world_of(p)->bytes + at, size);
}

TEST(explore_happens, bytes_are_told_apart)
{
	expect_holds(explore_run(two(touch_bytes<0, 3, true>, touch_bytes<3, 5, true>), bound(2)));
	expect_violated(
		explore_run(two(touch_bytes<0, 4, true>, touch_bytes<3, 5, true>), bound(0)),
		"data race");
	expect_violated(
		explore_run(two(touch_bytes<7, 1, true>, touch_bytes<0, 8, false>), bound(0)),
		"data race");
}

/* Publishing: data, then a flag. */

template <int order>
void publish(void *p)
{
	race_world *w = world_of(p);

	write_data(w);
	kshim_store(&w->flag, 1u, order);
}

template <int order>
void consume(void *p)
{
	race_world *w = world_of(p);

	if (kshim_load(&w->flag, order))
		read_data(w);
}

void publish_with_barrier(void *p)
{
	race_world *w = world_of(p);

	write_data(w);
	smp_wmb(); /* pairs with consume_with_barrier() */
	WRITE_ONCE(w->flag, 1u);
}

void consume_with_barrier(void *p)
{
	race_world *w = world_of(p);
	u32 flag = READ_ONCE(w->flag);

	smp_rmb(); /* pairs with publish_with_barrier() */
	if (flag)
		read_data(w);
}

TEST(explore_happens, release_and_acquire_order_and_relaxed_does_not)
{
	constexpr int R = __ATOMIC_RELAXED, A = __ATOMIC_ACQUIRE, L = __ATOMIC_RELEASE;

	expect_holds(explore_run(two(publish<L>, consume<A>), bound(-1)));
	expect_violated(explore_run(two(publish<R>, consume<A>), bound(1)), "data race");
	expect_violated(explore_run(two(publish<L>, consume<R>), bound(1)), "data race");
	expect_violated(explore_run(two(publish<R>, consume<R>), bound(1)), "data race");
}

TEST(explore_happens, barriers_order_in_pairs)
{
	expect_holds(explore_run(two(publish_with_barrier, consume_with_barrier), bound(-1)));
	expect_violated(explore_run(two(publish_with_barrier, consume<__ATOMIC_RELAXED>), bound(1)),
			"data race");
	expect_violated(explore_run(two(publish<__ATOMIC_RELAXED>, consume_with_barrier), bound(1)),
			"data race");
}

/* A compare-and-exchange that fails orders nothing; one that succeeds does. */

void publish_by_cmpxchg(void *p)
{
	race_world *w = world_of(p);

	write_data(w);
	(void)cmpxchg(&w->flag, 0u, 1u);
}

template <u32 expected>
void consume_by_cmpxchg(void *p)
{
	race_world *w = world_of(p);
	u32 found = cmpxchg(&w->flag, expected, 2u);

	if (found == 1)
		read_data(w);
}

TEST(explore_happens, failed_cmpxchg_orders_nothing)
{
	expect_holds(explore_run(two(publish_by_cmpxchg, consume_by_cmpxchg<1>), bound(-1)));
	expect_violated(explore_run(two(publish_by_cmpxchg, consume_by_cmpxchg<7>), bound(1)),
			"data race");
}

/* A read-modify-write by a third thread keeps what the release left; a store takes it away. */

void pass_on_by_cas(void *p)
{
	u32 one = 1;

	(void)kshim_cas(&world_of(p)->flag, &one, 2u, __ATOMIC_RELAXED);
}

void pass_on_by_store(void *p)
{
	if (READ_ONCE(world_of(p)->flag) == 1)
		WRITE_ONCE(world_of(p)->flag, 2u);
}

void consume_passed_on(void *p)
{
	if (smp_load_acquire(&world_of(p)->flag) == 2)
		read_data(world_of(p));
}

TEST(explore_happens, release_sequences_are_those_of_cxx)
{
	explore_scenario s = two(publish<__ATOMIC_RELEASE>, pass_on_by_cas);

	s.tasks.push_back({"C", consume_passed_on});
	expect_holds(explore_run(s, bound(2)));
	s.tasks[1].run = pass_on_by_store;
	expect_violated(explore_run(s, bound(2)), "data race");
}

/* Threads. */

void child(void *p)
{
	write_data(world_of(p));
}

template <bool join_first>
void parent(void *p)
{
	race_world *w = world_of(p);

	write_data(w);
	struct kshim_thread *t = kshim_thread_start("child", child, w);

	if (!join_first)
		read_data(w);
	(void)kshim_thread_join(t);
	if (join_first)
		write_data(w);
}

TEST(explore_happens, start_and_end_of_a_thread_order)
{
	explore_scenario s = two(parent<true>, [](void *) {});

	expect_holds(explore_run(s, bound(2)));
	expect_violated(explore_run(two(parent<false>, [](void *) {}), bound(1)), "data race");
}

/* Completions, and freeing. */

void complete_data(void *p)
{
	race_world *w = world_of(p);

	write_data(w);
	complete(&w->done);
}

void await_data(void *p)
{
	wait_for_completion(&world_of(p)->done);
	read_data(world_of(p));
}

TEST(explore_happens, completion_orders)
{
	explore_scenario s = two(complete_data, await_data);

	s.setup = []() -> void * {
		auto *w = explore_new<race_world>();

		init_completion(&w->done);
		return w;
	};
	expect_holds(explore_run(s, bound(2)));
}

template <int order>
void use_and_put(void *p)
{
	race_world *w = world_of(p);

	kcsan_check_read(w->object, sizeof(u32));
	kshim_point(KSHIM_RMW, &w->flag, sizeof(w->flag), order);
	if (__atomic_sub_fetch(&w->flag, 1, order) == 0)
		kfree(w->object);
}

template <int order>
explore_scenario counted()
{
	return {.name = "counted",
		.setup = []() -> void * {
			auto *w = explore_new<race_world>();

			w->object = static_cast<u32 *>(kzalloc(sizeof(u32), GFP_KERNEL));
			w->flag = 2;
			return w;
		},
		.tasks = {{"A", use_and_put<order>}, {"B", use_and_put<order>}}};
}

TEST(explore_happens, last_put_frees_after_everybodys_uses)
{
	expect_holds(explore_run(counted<__ATOMIC_SEQ_CST>(), bound(-1)));
	expect_violated(explore_run(counted<__ATOMIC_RELAXED>(), bound(0)), "data race");
}

/* RCU: the update before the grace period, readers before its end. */

using rcu_world = rcu_world_of<u32>;

void rcu_reader(void *p)
{
	auto *w = static_cast<rcu_world *>(p);
	machine_scope bound(w->m);
	guard(rcu)();
	u32 *object = rcu_dereference(w->object);

	if (object)
		kcsan_check_read(object, sizeof(*object));
}

template <bool wait>
void rcu_writer(void *p)
{
	auto *w = static_cast<rcu_world *>(p);
	machine_scope bound(w->m);
	u32 *old = w->object;

	rcu_assign_pointer(w->object, nullptr);
	if (wait)
		synchronize_rcu();
	kcsan_check_write(old, sizeof(*old));
	kfree(old);
}

explore_scenario reader_beside(void (*writer)(void *))
{
	return rcu_scenario<u32>({"reader", rcu_reader}, {"writer", writer});
}

TEST(explore_happens, grace_period_orders)
{
	expect_holds(explore_run(reader_beside(rcu_writer<true>), bound(2)));
	expect_violated(explore_run(reader_beside(rcu_writer<false>), bound(0)), "data race");
}

/* The mutants that only this check sees. */

void publish_object(void *p)
{
	auto *w = static_cast<rcu_world *>(p);
	u32 *fresh = explore_new<u32>();

	kcsan_check_write(fresh, sizeof(*fresh));
	*fresh = 1;
	rcu_assign_pointer(w->object, fresh);
}

TEST(explore_happens, mutants_without_release_are_killed)
{
	explore_options options = bound(1);

	options.mutants = {"lock_release_relaxed"};
	expect_violated(explore_run(two(spin_locked<write_data>, spin_locked<write_data>), options),
			"data race");
	options.races = false;
	expect_holds(explore_run(two(spin_locked<write_data>, spin_locked<write_data>), options));

	explore_scenario s = reader_beside(publish_object);

	s.setup = []() -> void * {
		auto *w = static_cast<rcu_world *>(rcu_setup<u32>());
		machine_scope bound(w->m);

		kfree(w->object);
		w->object = nullptr;
		return w;
	};
	options.races = true;
	options.mutants = {};
	expect_holds(explore_run(s, options));
	options.mutants = {"rcu_publish_relaxed"};
	expect_violated(explore_run(s, options), "data race");
	options.races = false;
	expect_holds(explore_run(s, options));
}

} // namespace
