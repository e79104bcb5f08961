/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the tests of core/ share: a fixture with a machine that must end without a warning, and
 * kthreads that run lambdas.
 */
#ifndef TESTS_UNIT_CORE_TEST_H
#define TESTS_UNIT_CORE_TEST_H

#include <kshim/machine.h>
#include <linux/completion.h>
#include <linux/jiffies.h>
#include <linux/kernel.h>
#include <linux/kthread.h>

#include <functional>
#include <gtest/gtest.h>
#include <memory>
#include <vector>

/* Longer than any noise of the host: only a thread that is stuck takes this long. */
inline constexpr long deadline = 60 * static_cast<long>(HZ);

class machine_test : public testing::Test
{
protected:
	machine_test()
		: machine(pv_machine_create(nullptr, nullptr)),
		  scope(IS_ERR(machine) ? nullptr : machine)
	{
	}

	~machine_test() override
	{
		if (!IS_ERR(machine)) {
			EXPECT_EQ(pv_machine_destroy(machine), 0u) << "warnings, see the log";
		}
	}

	void SetUp() override { ASSERT_FALSE(IS_ERR(machine)); }

	pv_machine *machine;
	machine_scope scope;
};

/* A kthread that runs a function once; joined by the destructor. */
class test_thread
{
public:
	explicit test_thread(std::function<void()> fn) : fn_(std::move(fn))
	{
		init_completion(&done_);
		task_ = kthread_run(run, this, "test");
		EXPECT_FALSE(IS_ERR(task_));
	}

	~test_thread() { join(); }

	void join()
	{
		if (!task_)
			return;
		/* A thread that is stopped before it began would not run at all. */
		wait_for_completion(&done_);
		kthread_stop(task_);
		task_ = nullptr;
	}

	bool done() { return completion_done(&done_); }
	task_struct *task() { return task_; }

	/* Waits until the thread sleeps, other than by chance: it is in a wait. */
	void wait_until_it_sleeps()
	{
		while (READ_ONCE(task_->__state) == TASK_RUNNING && !done())
			yield();
	}

	test_thread(const test_thread &) = delete;
	test_thread &operator=(const test_thread &) = delete;

private:
	static int run(void *data)
	{
		auto *self = static_cast<test_thread *>(data);

		self->fn_();
		complete_all(&self->done_);
		return 0;
	}

	std::function<void()> fn_;
	completion done_;
	task_struct *task_;
};

/* Runs fn(0) ... fn(n - 1) at the same time and waits for all. */
inline void run_together(int n, const std::function<void(int)> &fn)
{
	std::vector<std::unique_ptr<test_thread>> threads;

	for (int i = 0; i < n; i++)
		threads.push_back(std::make_unique<test_thread>([&fn, i] { fn(i); }));
}

#endif
