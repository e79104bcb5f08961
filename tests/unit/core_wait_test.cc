// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Waiting: no wake-up is lost, timeouts are neither early nor endless, completions count.
 */
#include "core_test.h"

#include <linux/atomic.h>
#include <linux/delay.h>
#include <linux/wait.h>

namespace
{

using Wait = machine_test;

/* Two threads hand a number to and fro; a single lost wake-up hangs it. */
TEST_F(Wait, PingPongLosesNoWakeUp)
{
	constexpr int rounds = 20000;
	wait_queue_head_t queue;
	u32 ball = 0;

	init_waitqueue_head(&queue);
	run_together(2, [&](int me) {
		for (int i = 0; i < rounds; i++) {
			wait_event(queue, smp_load_acquire(&ball) % 2 == static_cast<u32>(me));
			smp_store_release(&ball, ball + 1);
			wake_up(&queue);
		}
	});
	EXPECT_EQ(ball, 2u * rounds);
}

/* Tokens appear one at a time; each wake_up() is for one of three exclusive waiters. */
TEST_F(Wait, ExclusiveWaitersGetEveryToken)
{
	constexpr int tokens = 15000, takers = 3;
	wait_queue_head_t queue;
	atomic_t available = ATOMIC_INIT(0), taken = ATOMIC_INIT(0);
	auto take = [&] { return atomic_add_unless(&available, -1, 0); };

	init_waitqueue_head(&queue);
	run_together(takers + 1, [&](int n) {
		if (n == takers) {
			for (int i = 0; i < tokens; i++) {
				atomic_inc_return(&available);
				wake_up(&queue);
			}
			return;
		}
		for (int i = 0; i < tokens / takers; i++) {
			wait_event_exclusive(queue, take());
			atomic_inc(&taken);
		}
	});
	EXPECT_EQ(atomic_read(&taken), tokens);
	EXPECT_EQ(atomic_read(&available), 0);
}

TEST_F(Wait, WakeUpWakesOneExclusiveWaiterAndAllOthers)
{
	constexpr int nr = 3;
	wait_queue_head_t queue;
	atomic_t woken = ATOMIC_INIT(0);
	u32 go = 0;
	std::vector<std::unique_ptr<test_thread>> threads;

	init_waitqueue_head(&queue);
	/* Waiters that count their wake-ups, and go back to sleep until `go`. */
	for (int i = 0; i < 2 * nr; i++) {
		threads.push_back(std::make_unique<test_thread>([&, i] {
			struct wait_queue_entry entry;
			bool first = true;

			init_wait(&entry);
			for (;;) {
				if (i < nr)
					prepare_to_wait_exclusive(&queue, &entry,
								  TASK_UNINTERRUPTIBLE);
				else
					prepare_to_wait(&queue, &entry, TASK_UNINTERRUPTIBLE);
				if (READ_ONCE(go))
					break;
				if (!first)
					atomic_inc(&woken);
				first = false;
				schedule();
			}
			finish_wait(&queue, &entry);
		}));
		threads.back()->wait_until_it_sleeps();
	}
	EXPECT_EQ(__wake_up(&queue, TASK_NORMAL, 1, nullptr), nr + 1);
	while (atomic_read(&woken) < nr + 1)
		yield();
	/* All sleep again before the last call, so that it finds them. */
	for (auto &thread : threads)
		thread->wait_until_it_sleeps();
	EXPECT_EQ(atomic_read(&woken), nr + 1);
	WRITE_ONCE(go, 1);
	wake_up_all(&queue);
	threads.clear();
	EXPECT_FALSE(waitqueue_active(&queue));
}

TEST_F(Wait, TimeoutIsNotEarlyAndSaysSo)
{
	wait_queue_head_t queue;
	unsigned long begin = jiffies;

	init_waitqueue_head(&queue);
	EXPECT_EQ(wait_event_timeout(queue, false, 20000), 0);
	EXPECT_GE(jiffies - begin, 20000u);
	EXPECT_GT(wait_event_timeout(queue, true, deadline), 0);
	/* True only at the very last look: still not 0. */
	int looks = 0;
	EXPECT_EQ(wait_event_timeout(queue, ++looks == 2, 0), 0);
	looks = 0;
	EXPECT_GE(wait_event_timeout(queue, ++looks == 2, 1000), 1);
}

TEST_F(Wait, TimeoutEndsEarlyWhenWoken)
{
	wait_queue_head_t queue;
	u32 flag = 0;

	init_waitqueue_head(&queue);
	test_thread waker([&] {
		WRITE_ONCE(flag, 1);
		wake_up(&queue);
	});
	EXPECT_GT(wait_event_timeout(queue, READ_ONCE(flag) != 0, deadline), 0);
}

TEST_F(Wait, ScheduleReturnsAtOnceWhenWokenBefore)
{
	set_current_state(TASK_UNINTERRUPTIBLE);
	EXPECT_EQ(wake_up_process(current), 1);
	EXPECT_EQ(wake_up_process(current), 0);
	schedule();
	EXPECT_EQ(schedule_timeout_uninterruptible(1000), 0);
}

TEST_F(Wait, MsleepTakesItsTime)
{
	unsigned long begin = jiffies;

	msleep(5);
	EXPECT_GE(jiffies - begin, 5000u);
}

TEST_F(Wait, CompletionsCount)
{
	struct completion x;

	init_completion(&x);
	EXPECT_FALSE(try_wait_for_completion(&x));
	complete(&x);
	complete(&x);
	EXPECT_TRUE(completion_done(&x));
	wait_for_completion(&x);
	EXPECT_TRUE(try_wait_for_completion(&x));
	EXPECT_FALSE(try_wait_for_completion(&x));
	EXPECT_EQ(wait_for_completion_timeout(&x, 1000), 0u);
	complete_all(&x);
	for (int i = 0; i < 3; i++)
		wait_for_completion(&x);
	reinit_completion(&x);
	EXPECT_FALSE(completion_done(&x));
}

TEST_F(Wait, CompletionReleasesAsManyAsItWasToldTo)
{
	struct completion x, done;
	atomic_t released = ATOMIC_INIT(0);

	init_completion(&x);
	init_completion(&done);
	std::vector<std::unique_ptr<test_thread>> threads;
	for (int i = 0; i < 4; i++) {
		threads.push_back(std::make_unique<test_thread>([&] {
			wait_for_completion(&x);
			atomic_inc(&released);
			complete(&done);
		}));
		threads.back()->wait_until_it_sleeps();
	}
	for (int i = 1; i <= 3; i++) {
		complete(&x);
		wait_for_completion(&done);
		EXPECT_EQ(atomic_read(&released), i);
	}
	complete_all(&x);
	threads.clear();
	EXPECT_EQ(atomic_read(&released), 4);
}

/* The waiter's stack goes away as soon as it may: the completer must not touch it then. */
TEST_F(Wait, CompletionMayDieWithItsWaiter)
{
	constexpr int rounds = 3000;
	wait_queue_head_t queue;
	struct completion *posted = nullptr;

	init_waitqueue_head(&queue);
	run_together(2, [&](int n) {
		for (int i = 0; i < rounds; i++) {
			if (n) {
				auto x = std::make_unique<struct completion>();

				init_completion(x.get());
				smp_store_release(&posted, x.get());
				wake_up(&queue);
				wait_for_completion(x.get());
			} else {
				struct completion *x;

				wait_event(queue, READ_ONCE(posted) != nullptr);
				x = smp_load_acquire(&posted);
				WRITE_ONCE(posted, nullptr);
				complete(x);
			}
		}
	});
}

} // namespace
