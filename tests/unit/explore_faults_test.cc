// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Things that go wrong for no reason: a refused trylock, a spurious wake-up, no memory. Programs
 * that forgot one are found, those that look are not accused, and nothing goes wrong unasked.
 */
#include "explore_test.h"

#include <kshim/machine.h>
#include <linux/mutex.h>
#include <linux/rwsem.h>
#include <linux/slab.h>
#include <linux/spinlock.h>

using namespace explore_test;

namespace
{

struct fault_world {
	struct pv_machine *m;
	struct mutex mutex;
	struct rw_semaphore sem;
	spinlock_t lock;
	u32 ready, count;
};

fault_world *world_of(void *p)
{
	return static_cast<fault_world *>(p);
}

explore_options faults(int n, int preemptions = 0)
{
	explore_options options = bound(preemptions);

	options.faults = n;
	return options;
}

explore_scenario alone(void (*task)(void *))
{
	return {.name = "faults",
		.setup = []() -> void * { return explore_new<fault_world>(); },
		.tasks = {{"A", task}}};
}

void trust_trylock(void *p)
{
	fault_world *w = world_of(p);

	explore_expect(mutex_trylock(&w->mutex), "a free mutex is refused");
	mutex_unlock(&w->mutex);
}

void try_every_lock(void *p)
{
	fault_world *w = world_of(p);

	if (mutex_trylock(&w->mutex))
		mutex_unlock(&w->mutex);
	else
		w->count++;
	if (spin_trylock(&w->lock))
		spin_unlock(&w->lock);
	else
		w->count++;
	if (down_read_trylock(&w->sem))
		up_read(&w->sem);
	else
		w->count++;
	if (down_write_trylock(&w->sem))
		up_write(&w->sem);
	else
		w->count++;
	/* Locks that wait are not concerned. */
	mutex_lock(&w->mutex);
	mutex_unlock(&w->mutex);
}

TEST(explore_faults, refused_trylock_is_a_choice)
{
	const explore_scenario s = alone(trust_trylock);

	expect_holds(explore_run(s, faults(0)));
	explore_result r = explore_run(s, faults(1));

	expect_violated(r, "a free mutex is refused");
	EXPECT_NE(r.token.find("faults=1"), std::string::npos) << r.token;
	expect_replays(s, r);
}

/* So many in one schedule: with n of 4 places, as many schedules as there are choices. */
TEST(explore_faults, at_most_so_many_go_wrong)
{
	explore_scenario s = alone(try_every_lock);

	s.check = [](void *p) { explore_expect(world_of(p)->count < 3, "three"); };
	EXPECT_EQ(explore_run(s, faults(0)).schedules, 1u);
	EXPECT_EQ(explore_run(s, faults(1)).schedules, 1u + 4);
	explore_result r = explore_run(s, faults(2));

	expect_holds(r);
	EXPECT_EQ(r.schedules, 1u + 4 + 6);
	expect_violated(explore_run(s, faults(3)), "three");
}

TEST(explore_faults, scenario_says_which_kinds)
{
	explore_scenario s = alone(trust_trylock);

	s.faults = KSHIM_FAULT_WAKEUP | KSHIM_FAULT_ALLOC;
	expect_holds(explore_run(s, faults(3)));
}

/* Wake-ups. */

template <bool looks_again>
void wait_ready(void *p)
{
	fault_world *w = world_of(p);

	do {
		(void)kshim_wait(&w->ready, 0, KSHIM_FOREVER, "ready");
	} while (looks_again && !READ_ONCE(w->ready));
	explore_expect(READ_ONCE(w->ready), "woken, and not ready");
}

void make_ready(void *p)
{
	WRITE_ONCE(world_of(p)->ready, 1u);
	kshim_wake(&world_of(p)->ready, 1);
}

TEST(explore_faults, spurious_wake_up_is_a_choice)
{
	explore_scenario s = alone(wait_ready<false>);

	s.tasks.push_back({"B", make_ready});
	expect_holds(explore_run(s, faults(0, 2)));
	expect_violated(explore_run(s, faults(1)), "woken, and not ready");
	s.tasks[0].run = wait_ready<true>;
	expect_holds(explore_run(s, faults(2, 1)));
}

/* Memory: of the tasks, not of setup. */

void *setup_machine()
{
	auto *w = explore_new<fault_world>();
	struct pv_machine_config config;

	config.memory_bytes = 1 << 20;
	w->m = pv_machine_create(&config, nullptr);
	explore_expect(!IS_ERR(w->m), "no machine");
	return w;
}

template <bool careful>
void allocate_two(void *p)
{
	machine_scope bound(world_of(p)->m);
	void *first = kmalloc(8, GFP_KERNEL), *second;

	if (!first)
		return;
	second = kmalloc(8, GFP_KERNEL);
	if (!second) {
		if (careful)
			kfree(first);
		return;
	}
	kfree(first);
	kfree(second);
}

explore_scenario allocating(void (*task)(void *))
{
	explore_scenario s = alone(task);

	s.setup = setup_machine;
	s.teardown = [](void *p) { explore_machine_destroy(world_of(p)->m); };
	return s;
}

TEST(explore_faults, failed_allocation_is_a_choice_and_its_leak_has_a_name)
{
	expect_holds(explore_run(allocating(allocate_two<true>), faults(2)));
	expect_holds(explore_run(allocating(allocate_two<false>), faults(0)));
	explore_result r = explore_run(allocating(allocate_two<false>), faults(1));

	expect_violated(r, "leaked: 8 bytes, block ");
	EXPECT_NE(r.reason.find("allocated by allocate_two"), std::string::npos) << r.reason;
	expect_replays(allocating(allocate_two<false>), r);
}

TEST(explore_faults, allocation_that_must_not_fail_does_not)
{
	expect_holds(explore_run(allocating([](void *p) {
					 machine_scope bound(world_of(p)->m);
					 void *object = kmalloc(8, GFP_KERNEL | __GFP_NOFAIL);

					 explore_expect(object, "no memory");
					 kfree(object);
				 }),
				 faults(2)));
}

} // namespace
