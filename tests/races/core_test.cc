// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The kernel side's own locks, waits, works, timers and RCU in every order within the bound.
 *
 *	mutant			what goes wrong
 *	lock_forgets_sleepers	a woken thread takes the lock as if nobody else slept on it
 *	wait_keeps_wake_up	an exclusive waiter that leaves keeps a wake-up meant for the next
 *	work_timer_blind	a delayed work's late timer function does not look whether the work
 *				was cancelled meanwhile
 *	cancel_does_not_wait	cancel_work_sync() returns while the function still runs
 *	rcu_no_grace_period	callbacks run at once
 */
#include "races.h"

#include <kshim/machine.h>
#include <linux/completion.h>
#include <linux/delay.h>
#include <linux/mutex.h>
#include <linux/rcupdate.h>
#include <linux/rwsem.h>
#include <linux/slab.h>
#include <linux/timer.h>
#include <linux/wait.h>
#include <linux/workqueue.h>

using namespace races;

namespace
{

struct core_world {
	struct pv_machine *machine;
	struct mutex lock;
	struct rw_semaphore sem;
	struct wait_queue_head wq;
	struct completion done;
	struct delayed_work dwork;
	struct timer_list timer;
	u32 counter, runs, ready, in_function;
	bool cancelled;
	struct rcu_object *object;
};

struct rcu_object {
	u32 value;
	struct rcu_head rcu;
};

core_world *world_of(void *p)
{
	return static_cast<core_world *>(p);
}

/* What a function that takes a while looks like from outside. */
void run_function(core_world *w)
{
	WRITE_ONCE(w->in_function, w->in_function + 1);
	explore_expect(w->in_function == 1, "the function runs beside itself");
	explore_expect(!READ_ONCE(w->cancelled), "the function runs after the cancel returned");
	WRITE_ONCE(w->runs, w->runs + 1);
	WRITE_ONCE(w->in_function, w->in_function - 1);
}

void work_function(struct work_struct *work)
{
	run_function(container_of(to_delayed_work(work), core_world, dwork));
}

void timer_function(struct timer_list *timer)
{
	run_function(container_of(timer, core_world, timer));
}

void *setup()
{
	auto *w = explore_new<core_world>();
	pv_machine_config config;

	config.memory_bytes = 4096;
	config.nr_cpus = 2;
	w->machine = pv_machine_create(&config, nullptr);
	explore_expect(!IS_ERR(w->machine), "no machine");
	machine_scope bound(w->machine);

	mutex_init(&w->lock);
	init_rwsem(&w->sem);
	init_waitqueue_head(&w->wq);
	init_completion(&w->done);
	INIT_DELAYED_WORK(&w->dwork, work_function);
	timer_setup(&w->timer, timer_function, 0);
	w->object = static_cast<rcu_object *>(kzalloc(sizeof(rcu_object), GFP_KERNEL));
	return w;
}

void teardown(void *p)
{
	core_world *w = world_of(p);

	{
		machine_scope bound(w->machine);

		kfree(w->object);
	}
	explore_machine_destroy(w->machine);
}

/* A task's function, with the machine bound. */
template <void (*body)(core_world *)>
void in_machine(void *p)
{
	machine_scope bound(world_of(p)->machine);

	body(world_of(p));
}

explore_scenario scenario(const char *name, std::vector<explore_task> tasks,
			  void (*check)(void *) = nullptr)
{
	return {.name = name,
		.setup = setup,
		.tasks = std::move(tasks),
		.check = check,
		.teardown = teardown};
}

void count(core_world *w)
{
	guard(mutex)(&w->lock);
	u32 seen = READ_ONCE(w->counter);

	WRITE_ONCE(w->counter, seen + 1);
}

template <u32 n>
void check_counter(void *p)
{
	explore_expect(world_of(p)->counter == n, "counter is %u, not %u", world_of(p)->counter, n);
}

TEST(core, mutex_excludes_and_wakes_each_sleeper)
{
	const explore_scenario s = scenario(
		"mutex",
		{{"A", in_machine<count>}, {"B", in_machine<count>}, {"C", in_machine<count>}},
		check_counter<3>);

	expect_holds(s, 2);
	expect_killed(s, "lock_forgets_sleepers", 2, "deadlock");
}

void read_twice(core_world *w)
{
	guard(rwsem_read)(&w->sem);
	u32 seen = READ_ONCE(w->counter);

	explore_expect(READ_ONCE(w->counter) == seen, "a writer was beside a reader");
}

void write_twice(core_world *w)
{
	guard(rwsem_write)(&w->sem);
	u32 seen = READ_ONCE(w->counter);

	WRITE_ONCE(w->counter, seen + 1);
	WRITE_ONCE(w->counter, seen + 2);
}

TEST(core, rwsem_keeps_writers_from_readers_and_from_each_other)
{
	expect_holds(scenario("rwsem",
			      {{"reader", in_machine<read_twice>},
			       {"writer", in_machine<write_twice>},
			       {"writer 2", in_machine<write_twice>}},
			      check_counter<4>),
		     2);
}

void wait_ready(core_world *w)
{
	wait_event(w->wq, READ_ONCE(w->ready));
}

void make_ready(core_world *w)
{
	WRITE_ONCE(w->ready, 1u);
	wake_up_all(&w->wq);
}

TEST(core, wait_event_loses_no_wake_up)
{
	expect_holds(scenario("wait_event", {{"waiter", in_machine<wait_ready>},
					     {"waiter 2", in_machine<wait_ready>},
					     {"waker", in_machine<make_ready>}}),
		     2);
}

void take_one(core_world *w)
{
	wait_event_exclusive(w->wq, ({
				     guard(mutex)(&w->lock);
				     u32 left = READ_ONCE(w->ready);

				     if (left)
					     WRITE_ONCE(w->ready, left - 1);
				     left != 0;
			     }));
}

void give_one(core_world *w)
{
	scoped_guard (mutex, &w->lock)
		WRITE_ONCE(w->ready, w->ready + 1);
	wake_up(&w->wq);
}

TEST(core, exclusive_waiters_get_one_wake_up_each)
{
	const explore_scenario s = scenario("wait_exclusive", {{"taker", in_machine<take_one>},
							       {"taker 2", in_machine<take_one>},
							       {"giver", in_machine<give_one>},
							       {"giver 2", in_machine<give_one>}});

	expect_holds(s, 1);
	expect_killed(s, "wait_keeps_wake_up", 1, "never ends");
}

void wait_briefly(core_world *w)
{
	long left = wait_event_timeout(w->wq, READ_ONCE(w->ready), 100);

	explore_expect(left >= 0, "the time left is %ld", left);
	/* 0 means: the condition was false when the time had run out. */
	if (left > 0)
		explore_expect(READ_ONCE(w->ready), "time left and not ready");
}

TEST(core, wait_event_timeout_returns_by_either_way)
{
	expect_holds(scenario("wait_event_timeout", {{"waiter", in_machine<wait_briefly>},
						     {"waker", in_machine<make_ready>}}),
		     2);
}

void wait_done(core_world *w)
{
	wait_for_completion(&w->done);
	explore_expect(READ_ONCE(w->ready), "completed before it was done");
}

void complete_one(core_world *w)
{
	WRITE_ONCE(w->ready, 1u);
	complete(&w->done);
}

TEST(core, completion_wakes_as_many_as_it_was_completed_for)
{
	const explore_scenario s =
		scenario("completion", {{"waiter", in_machine<wait_done>},
					{"waiter 2", in_machine<wait_done>},
					{"completer", in_machine<complete_one>},
					{"completer 2", in_machine<complete_one>}});

	expect_holds(s, 1);
	expect_killed(s, "wait_keeps_wake_up", 1, "never ends");
	expect_holds(scenario("completion_one", {{"waiter", in_machine<wait_done>},
						 {"completer", in_machine<complete_one>}}),
		     2);
}

/* Delayed works. */

void queue_soon(core_world *w)
{
	WRITE_ONCE(w->ready, 1u);
	(void)schedule_delayed_work(&w->dwork, 100);
}

void queue_and_flush(core_world *w)
{
	u32 before = READ_ONCE(w->runs);
	bool queued = schedule_delayed_work(&w->dwork, 100);

	(void)flush_delayed_work(&w->dwork);
	if (queued)
		explore_expect(READ_ONCE(w->runs) != before,
			       "flushed, and the work that was queued before has not run");
}

void queue_and_cancel(core_world *w)
{
	(void)schedule_delayed_work(&w->dwork, 100);
	usleep_range(100, 100);
	if (cancel_delayed_work_sync(&w->dwork))
		explore_expect(!READ_ONCE(w->runs), "the work ran and was cancelled, too");
	WRITE_ONCE(w->cancelled, true);
}

void check_ran(void *p)
{
	core_world *w = world_of(p);

	explore_expect(w->runs >= 1, "a queued work never ran");
	explore_expect(!delayed_work_pending(&w->dwork), "the work is still pending");
}

TEST(core, flushed_work_has_run)
{
	expect_holds(scenario("work_flush", {{"flusher", in_machine<queue_and_flush>}}, check_ran),
		     2);
	expect_holds(scenario("work_flush_beside",
			      {{"flusher", in_machine<queue_and_flush>},
			       {"queuer", in_machine<queue_soon>}},
			      check_ran),
		     1);
}

TEST(core, cancelled_work_does_not_run_any_more)
{
	const explore_scenario s =
		scenario("work_cancel", {{"canceller", in_machine<queue_and_cancel>}});

	expect_holds(s, 2);
	expect_killed(s, "work_timer_blind", 2, "ran and was cancelled");
	expect_killed(s, "cancel_does_not_wait", 2, "after the cancel returned");
}

/* Queueing while the work is pending, executing or idle: it runs once more, or that was it. */
void queue_twice(core_world *w)
{
	for (int i = 0; i < 2; i++) {
		u32 before = READ_ONCE(w->runs);

		if (schedule_delayed_work(&w->dwork, 0))
			continue;
		/* It was pending already, so a run begins after this look. */
		explore_expect(before < 2, "pending without a reason");
	}
}

void check_runs(void *p)
{
	core_world *w = world_of(p);

	explore_expect(w->runs == 1 || w->runs == 2, "two queueings, %u runs", w->runs);
	check_ran(p);
}

TEST(core, work_that_is_queued_again_runs_again)
{
	expect_holds(scenario("work_requeue", {{"queuer", in_machine<queue_twice>}}, check_runs),
		     2);
}

/* Timers. */

void arm_and_delete(core_world *w)
{
	mod_timer(&w->timer, jiffies + 50);
	usleep_range(50, 50);
	del_timer_sync(&w->timer);
	WRITE_ONCE(w->cancelled, true);
}

TEST(core, deleted_timer_does_not_run_any_more)
{
	expect_holds(scenario("timer_delete", {{"deleter", in_machine<arm_and_delete>}}), 2);
}

/* RCU. */

void read_object(core_world *w)
{
	guard(rcu)();
	rcu_object *object = rcu_dereference(w->object);

	if (object)
		explore_expect(READ_ONCE(object->value) == 0, "the object was reused");
}

void replace_object(core_world *w)
{
	rcu_object *old = w->object;

	rcu_assign_pointer(w->object, nullptr);
	kfree_rcu(old, rcu);
}

TEST(core, kfree_rcu_waits_for_the_readers)
{
	const explore_scenario s = scenario("kfree_rcu", {{"reader", in_machine<read_object>},
							  {"writer", in_machine<replace_object>}});

	expect_holds(s, 2);
	expect_killed(s, "rcu_no_grace_period", 2, "use after free");
}

} // namespace
