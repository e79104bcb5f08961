// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Timers fire once, in order, never early; kthreads start and stop; an idle machine is still.
 */
#include "core_test.h"

#include <linux/delay.h>
#include <linux/mutex.h>
#include <linux/timer.h>
#include <linux/workqueue.h>

#include <algorithm>
#include <cstdio>
#include <dirent.h>
#include <fstream>
#include <random>
#include <string>
#include <unistd.h>

namespace
{

class Timer : public machine_test
{
protected:
	struct shot {
		int id;
		unsigned long expires;
	};

	struct test_timer {
		struct timer_list timer;
		Timer *test;
		int id;
	};

	std::vector<shot> shots; /* written in the timer thread only, read when it is through */
	struct completion fired;
	bool early = false;

	void SetUp() override
	{
		machine_test::SetUp();
		init_completion(&fired);
	}

	static void fire(struct timer_list *timer)
	{
		test_timer *t = container_of(timer, test_timer, timer);

		if (time_before(jiffies, timer->expires))
			t->test->early = true;
		t->test->shots.push_back({t->id, timer->expires});
		complete(&t->test->fired);
	}

	void setup(test_timer &t, int id)
	{
		t.test = this;
		t.id = id;
		timer_setup(&t.timer, fire, 0);
	}

	void wait_for(int n)
	{
		for (int i = 0; i < n; i++)
			ASSERT_NE(wait_for_completion_timeout(&fired, deadline), 0u);
	}
};

TEST_F(Timer, FiresInOrderOfDeadlinesAndThenOfArming)
{
	constexpr int nr = 500;
	std::vector<test_timer> timers(nr);
	std::mt19937 random(1);
	unsigned long begin = jiffies + 50000;

	for (int i = 0; i < nr; i++) {
		setup(timers[i], i);
		/* Few different deadlines, so that many are equal. */
		EXPECT_EQ(mod_timer(&timers[i].timer, begin + random() % 50), 0);
		EXPECT_TRUE(timer_pending(&timers[i].timer));
	}
	/* A third is armed again, a third deleted: takes the heap apart in the middle. */
	for (int i = 0; i < nr; i += 3)
		EXPECT_EQ(mod_timer(&timers[i].timer, begin + random() % 50), 1);
	int deleted = 0;
	for (int i = 1; i < nr; i += 3, deleted++)
		EXPECT_EQ(del_timer(&timers[i].timer), 1);
	wait_for(nr - deleted);
	EXPECT_FALSE(early);
	ASSERT_EQ(shots.size(), static_cast<size_t>(nr - deleted));
	/* Armed in one go or again later: a stable order among the equal of each kind. */
	for (size_t i = 1; i < shots.size(); i++) {
		ASSERT_LE(shots[i - 1].expires, shots[i].expires);
		if (shots[i - 1].expires == shots[i].expires) {
			bool again_a = shots[i - 1].id % 3 == 0, again_b = shots[i].id % 3 == 0;

			if (again_a == again_b)
				ASSERT_LT(shots[i - 1].id, shots[i].id);
			else
				ASSERT_TRUE(again_b);
		}
	}
	for (auto &t : timers)
		EXPECT_FALSE(timer_pending(&t.timer));
}

TEST_F(Timer, AnEarlierDeadlineWakesTheThreadAndALaterOneHolds)
{
	test_timer far, near;

	setup(far, 1);
	setup(near, 2);
	mod_timer(&far.timer, jiffies + 3600 * HZ);
	mod_timer(&near.timer, jiffies + 1000);
	wait_for(1);
	EXPECT_EQ(shots.at(0).id, 2);
	mod_timer(&near.timer, jiffies + 1000);
	mod_timer(&near.timer, jiffies + 7200 * HZ);
	mod_timer(&far.timer, jiffies);
	wait_for(1);
	EXPECT_EQ(shots.at(1).id, 1);
	EXPECT_EQ(del_timer_sync(&near.timer), 1);
	EXPECT_EQ(del_timer_sync(&near.timer), 0);
	EXPECT_EQ(shots.size(), 2u);
	EXPECT_FALSE(early);
}

TEST_F(Timer, NoneOfManyCloseDeadlinesFiresEarly)
{
	constexpr int nr = 200;
	std::vector<test_timer> timers(nr);
	unsigned long begin = jiffies + 1000;

	for (int i = 0; i < nr; i++) {
		setup(timers[i], i);
		mod_timer(&timers[i].timer, begin + 200 * i);
	}
	wait_for(nr);
	EXPECT_FALSE(early);
}

TEST_F(Timer, AVeryFarDeadlineIsForEver)
{
	test_timer t;

	setup(t, 1);
	mod_timer(&t.timer, jiffies + (~0UL >> 2));
	EXPECT_EQ(del_timer_sync(&t.timer), 1);
	EXPECT_TRUE(shots.empty());
}

/* A timer whose function takes as long as the test wants. */
struct slow_timer {
	struct timer_list timer;
	struct completion entered, leave;
	bool left;

	static void fire(struct timer_list *timer)
	{
		slow_timer *t = container_of(timer, slow_timer, timer);

		complete(&t->entered);
		wait_for_completion(&t->leave);
		t->left = true;
	}
};

TEST_F(Timer, DelTimerSyncWaitsForTheFunction)
{
	slow_timer t = {};

	init_completion(&t.entered);
	init_completion(&t.leave);
	timer_setup(&t.timer, slow_timer::fire, 0);
	mod_timer(&t.timer, jiffies);
	wait_for_completion(&t.entered);
	EXPECT_EQ(del_timer(&t.timer), 0); /* does not wait */
	EXPECT_FALSE(t.left);
	test_thread deleter([&] {
		EXPECT_EQ(del_timer_sync(&t.timer), 0);
		EXPECT_TRUE(t.left);
	});
	deleter.wait_until_it_sleeps();
	EXPECT_FALSE(deleter.done());
	complete(&t.leave);
}

TEST_F(Timer, ArmedTimersAtTheEndOfAMachineAreReported)
{
	static struct timer_list timer;
	pv_machine_config config;
	pv_machine *m;

	config.loglevel = 0;
	m = pv_machine_create(&config, nullptr);
	{
		machine_scope inner(m);
		timer_setup(
			&timer, [](struct timer_list *) {}, 0);
		mod_timer(&timer, jiffies + 3600 * HZ);
	}
	EXPECT_EQ(pv_machine_destroy(m), 1u);
}

class Kthread : public machine_test
{
};

TEST_F(Kthread, StopBeforeTheFirstWakeUpNeverRunsIt)
{
	bool ran = false;
	task_struct *task = kthread_create(
		[](void *p) {
			*static_cast<bool *>(p) = true;
			return 5;
		},
		&ran, "never");

	ASSERT_FALSE(IS_ERR(task));
	EXPECT_STREQ(task->comm, "never");
	EXPECT_EQ(kthread_stop(task), -EINTR);
	EXPECT_FALSE(ran);
}

TEST_F(Kthread, StopWakesASleeperAndReturnsItsResult)
{
	struct state {
		wait_queue_head_t queue;
		struct completion started;
		pv_machine *seen;
	} s = {};

	init_waitqueue_head(&s.queue);
	init_completion(&s.started);
	task_struct *task = kthread_run(
		[](void *p) {
			auto *s = static_cast<state *>(p);

			s->seen = current_machine();
			complete(&s->started);
			wait_event(s->queue, kthread_should_stop());
			return 42;
		},
		&s, "sleeper/%d", 7);
	ASSERT_FALSE(IS_ERR(task));
	EXPECT_STREQ(task->comm, "sleeper/7");
	EXPECT_GT(task->pid, 0);
	wait_for_completion(&s.started);
	EXPECT_EQ(kthread_stop(task), 42);
	EXPECT_EQ(s.seen, machine);
}

TEST_F(Kthread, StopOfAThreadThatHasReturnedGivesItsResult)
{
	struct completion done;

	init_completion(&done);
	task_struct *task = kthread_run(
		[](void *p) {
			complete(static_cast<struct completion *>(p));
			return 3;
		},
		&done, "done");
	ASSERT_FALSE(IS_ERR(task));
	wait_for_completion(&done);
	EXPECT_EQ(kthread_stop(task), 3);
}

TEST_F(Kthread, ManyStopsRaceWithTheThreadsStart)
{
	for (int i = 0; i < 500; i++) {
		task_struct *task = kthread_run(
			[](void *) {
				set_current_state(TASK_INTERRUPTIBLE);
				while (!kthread_should_stop()) {
					schedule();
					set_current_state(TASK_INTERRUPTIBLE);
				}
				__set_current_state(TASK_RUNNING);
				return 0;
			},
			nullptr, "racer");

		ASSERT_FALSE(IS_ERR(task));
		int result = kthread_stop(task);
		EXPECT_TRUE(result == 0 || result == -EINTR);
	}
}

TEST_F(Kthread, OtherThreadsHaveATaskToo)
{
	EXPECT_EQ(current->kthread, nullptr);
	EXPECT_FALSE(kthread_should_stop());
	EXPECT_EQ(current->machine, machine);
}

/* All the context switches of this process's other threads so far. */
long context_switches_of_others()
{
	DIR *dir = opendir("/proc/self/task");
	long sum = 0;

	while (struct dirent *entry = readdir(dir)) {
		std::string tid = entry->d_name, word;

		if (tid[0] == '.' || tid == std::to_string(getpid()))
			continue;
		std::ifstream status("/proc/self/task/" + tid + "/status");
		while (status >> word) {
			long n;

			if (word.find("ctxt_switches:") != std::string::npos && status >> n)
				sum += n;
		}
	}
	closedir(dir);
	return sum;
}

/*
 * After some use, a second passes in which no thread of the machine ran. The threads need time to
 * come to rest, so several seconds are tried; one that wakes up periodically never passes.
 */
TEST_F(Kthread, AnIdleMachineIsStill)
{
#ifdef __SANITIZE_THREAD__
	GTEST_SKIP() << "the sanitizer has a thread of its own";
#endif
	struct delayed_work dwork;
	bool still = false;

	INIT_DELAYED_WORK(&dwork, [](struct work_struct *) {});
	for (int i = 0; i < 10; i++) {
		schedule_delayed_work(&dwork, 100);
		flush_delayed_work(&dwork);
	}
	for (int i = 0; i < 40 && !still; i++) {
		long before = context_switches_of_others();

		msleep(1000);
		still = context_switches_of_others() == before;
	}
	EXPECT_TRUE(still);
}

} // namespace
