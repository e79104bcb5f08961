// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The kernel side's own locks, waits, works, timers and RCU in every order within the bound.
 */
#include "catalogue.h"

#include <kshim/machine.h>
#include <linux/completion.h>
#include <linux/delay.h>
#include <linux/kcsan-checks.h>
#include <linux/mutex.h>
#include <linux/rcupdate.h>
#include <linux/rwsem.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include <linux/timer.h>
#include <linux/wait.h>
#include <linux/workqueue.h>

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
	struct task_struct *sleeper;
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
	explore_name(&w->counter, "counter");
	explore_name(&w->runs, "runs");
	explore_name(&w->ready, "ready");
	explore_name(&w->in_function, "in_function");
	explore_name(&w->cancelled, "cancelled");
	explore_name(&w->object, "object");
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
constexpr void (*in_machine)(void *) = [](void *p) {
	machine_scope bound(world_of(p)->machine);

	body(world_of(p));
};

explore_scenario scenario(const char *name, std::vector<explore_task> tasks,
			  void (*check)(void *) = nullptr)
{
	return {.name = name,
		.setup = setup,
		.tasks = std::move(tasks),
		.check = check,
		.teardown = teardown};
}

/* A scenario of the catalogue that comes from no seed. */
races::race_scenario entry(explore_scenario s, const char *checks, int bound)
{
	return {.scenario = std::move(s), .checks = checks, .seed = nullptr, .bound = bound};
}

void count(core_world *w)
{
	guard(mutex)(&w->lock);
	kcsan_check_write(&w->counter, sizeof(w->counter));
	u32 seen = READ_ONCE(w->counter);

	WRITE_ONCE(w->counter, seen + 1);
}

template <u32 n>
void check_counter(void *p)
{
	explore_expect(world_of(p)->counter == n, "counter is %u, not %u", world_of(p)->counter, n);
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

void wait_ready(core_world *w)
{
	wait_event(w->wq, READ_ONCE(w->ready));
}

void make_ready(core_world *w)
{
	WRITE_ONCE(w->ready, 1u);
	wake_up_all(&w->wq);
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

void wait_briefly(core_world *w)
{
	long left = wait_event_timeout(w->wq, READ_ONCE(w->ready), 100);

	explore_expect(left >= 0, "the time left is %ld", left);
	/* 0 means: the condition was false when the time had run out. */
	if (left > 0)
		explore_expect(READ_ONCE(w->ready), "time left and not ready");
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

/* Timers. */

void arm_and_delete(core_world *w)
{
	mod_timer(&w->timer, jiffies + 50);
	usleep_range(50, 50);
	del_timer_sync(&w->timer);
	WRITE_ONCE(w->cancelled, true);
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

void read_published(core_world *w)
{
	guard(rcu)();
	rcu_object *object = rcu_dereference(w->object);

	kcsan_check_read(&object->value, sizeof(object->value));
	explore_expect(object->value == 0 || object->value == 7, "it holds %u", object->value);
}

void publish_object(core_world *w)
{
	auto *fresh = static_cast<rcu_object *>(kzalloc(sizeof(rcu_object), GFP_KERNEL));
	rcu_object *old = w->object;

	kcsan_check_write(&fresh->value, sizeof(fresh->value));
	fresh->value = 7;
	rcu_assign_pointer(w->object, fresh);
	kfree_rcu(old, rcu);
}

/* The bare form of waiting, as kthreads have it: nothing but set_current_state() orders. */
void sleep_until_ready(core_world *w)
{
	(void)xchg(&w->sleeper, current);
	for (;;) {
		set_current_state(TASK_UNINTERRUPTIBLE);
		if (READ_ONCE(w->ready))
			break;
		schedule();
	}
	__set_current_state(TASK_RUNNING);
}

void wake_the_sleeper(core_world *w)
{
	(void)xchg(&w->ready, 1u);
	if (struct task_struct *sleeper = READ_ONCE(w->sleeper))
		(void)wake_up_process(sleeper);
}

std::vector<races::race_scenario> locks_and_waits()
{
	const explore_task taker = {"taker", in_machine<take_one>};
	const explore_task waiter = {"waiter", in_machine<wait_ready>};

	return {
		entry(scenario("mutex",
			       {{"A", in_machine<count>},
				{"B", in_machine<count>},
				{"C", in_machine<count>}},
			       check_counter<3>),
		      "a mutex excludes, and wakes each that sleeps on it", 2),
		entry(scenario("rwsem",
			       {{"reader", in_machine<read_twice>},
				{"writer", in_machine<write_twice>},
				{"writer 2", in_machine<write_twice>}},
			       check_counter<4>),
		      "an rwsem keeps writers from readers and from each other", 2),
		entry(scenario("wait_event", {waiter,
					      {"waiter 2", waiter.run},
					      {"waker", in_machine<make_ready>}}),
		      "wait_event() loses no wake-up", 2),
		entry(scenario("wait_exclusive", {taker,
						  {"taker 2", taker.run},
						  {"giver", in_machine<give_one>},
						  {"giver 2", in_machine<give_one>}}),
		      "exclusive waiters get one wake-up each, and pass on what they do not need",
		      1),
		entry(scenario("wait_event_timeout", {{"waiter", in_machine<wait_briefly>},
						      {"waker", in_machine<make_ready>}}),
		      "wait_event_timeout() returns by either way, and says by which", 2),
		entry(scenario("completion", {{"waiter", in_machine<wait_done>},
					      {"waiter 2", in_machine<wait_done>},
					      {"completer", in_machine<complete_one>},
					      {"completer 2", in_machine<complete_one>}}),
		      "a completion wakes as many as it was completed for", 1),
		entry(scenario("set_current_state", {{"sleeper", in_machine<sleep_until_ready>},
						     {"waker", in_machine<wake_the_sleeper>}}),
		      "a wake-up between the look and the sleep is not lost", 2),
		entry(scenario("completion_one", {{"waiter", in_machine<wait_done>},
						  {"completer", in_machine<complete_one>}}),
		      "who waits for a completion sees what was done before it", 2),
	};
}

std::vector<races::race_scenario> works_timers_rcu()
{
	return {
		entry(scenario("work_flush", {{"flusher", in_machine<queue_and_flush>}}, check_ran),
		      "a delayed work that was flushed has run", 2),
		entry(scenario("work_flush_beside",
			       {{"flusher", in_machine<queue_and_flush>},
				{"queuer", in_machine<queue_soon>}},
			       check_ran),
		      "a delayed work that was flushed has run, whoever else queues it", 1),
		entry(scenario("work_cancel", {{"canceller", in_machine<queue_and_cancel>}}),
		      "a cancelled work does not run any more", 2),
		entry(scenario("work_requeue", {{"queuer", in_machine<queue_twice>}}, check_runs),
		      "a work that is queued again runs again", 2),
		entry(scenario("timer_delete", {{"deleter", in_machine<arm_and_delete>}}),
		      "a deleted timer does not run any more", 2),
		entry(scenario("kfree_rcu", {{"reader", in_machine<read_object>},
					     {"writer", in_machine<replace_object>}}),
		      "kfree_rcu() waits for the readers", 2),
		entry(scenario("rcu_publish", {{"reader", in_machine<read_published>},
					       {"writer", in_machine<publish_object>}}),
		      "who finds an object finds what was written to it before", 2),
	};
}

} // namespace

races::race_subsystem races::core_subsystem()
{
	race_subsystem core = {.name = "core", .scenarios = locks_and_waits(), .mutants = {}};

	for (race_scenario &s : works_timers_rcu())
		core.scenarios.push_back(std::move(s));
	core.mutants = {
		{.name = "lock_forgets_sleepers",
		 .variant = nullptr,
		 .origin = "a woken thread takes the lock as if nobody else slept on it",
		 .killer = "mutex",
		 .bound = 2,
		 .reason = "deadlock"},
		{.name = "wait_keeps_wake_up",
		 .variant = nullptr,
		 .origin = "an exclusive waiter that leaves keeps a wake-up meant for the next",
		 .killer = "wait_exclusive",
		 .bound = 1,
		 .reason = "never ends"},
		{.name = "work_timer_blind",
		 .variant = nullptr,
		 .origin = "a delayed work's late timer does not look whether it was cancelled",
		 .killer = "work_cancel",
		 .bound = 2,
		 .reason = "ran and was cancelled"},
		{.name = "cancel_does_not_wait",
		 .variant = nullptr,
		 .origin = "cancel_work_sync() returns while the function still runs",
		 .killer = "work_cancel",
		 .bound = 2,
		 .reason = "after the cancel returned"},
		{.name = "rcu_no_grace_period",
		 .variant = nullptr,
		 .origin = "RCU callbacks run at once",
		 .killer = "kfree_rcu",
		 .bound = 2,
		 .reason = "use after free"},
		{.name = "lock_release_relaxed",
		 .variant = nullptr,
		 .origin = "unlocking does not release: what was written may be seen later",
		 .killer = "mutex",
		 .bound = 1,
		 .reason = "data race"},
		{.name = "rcu_publish_relaxed",
		 .variant = nullptr,
		 .origin = "rcu_assign_pointer() does not release: an object seen before its "
			   "contents",
		 .killer = "rcu_publish",
		 .bound = 1,
		 .reason = "data race"},
		{.name = "state_without_barrier",
		 .variant = nullptr,
		 .origin = "set_current_state() without its barrier: the wake-up comes in between",
		 .killer = "set_current_state",
		 .bound = 2,
		 .reason = "never ends",
		 .memory = explore_memory::tso},
	};
	return core;
}
