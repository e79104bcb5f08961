// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Machines: initcalls and their unwinding, leaks, failing allocations, two machines in a process.
 */
#include <kshim/machine.h>
#include <linux/kernel.h>
#include <linux/kthread.h>
#include <linux/rcupdate.h>
#include <linux/slab.h>
#include <linux/workqueue.h>

#include <gtest/gtest.h>
#include <mutex>
#include <string>
#include <vector>

namespace
{

/* The log of a machine, for looking at. */
struct log_lines {
	std::mutex lock;
	std::vector<std::string> lines;

	static void sink(void *ctx, int, const char *line)
	{
		auto *log = static_cast<log_lines *>(ctx);
		std::lock_guard<std::mutex> g(log->lock);

		log->lines.push_back(line);
	}

	bool contains(const std::string &text)
	{
		std::lock_guard<std::mutex> g(lock);

		for (const std::string &line : lines) {
			if (line.find(text) != std::string::npos)
				return true;
		}
		return false;
	}
};

pv_machine_config config_with(log_lines &log)
{
	pv_machine_config config;

	config.log = log_lines::sink;
	config.log_ctx = &log;
	return config;
}

/* Four initcalls that write down what was called; the nth may fail. */
thread_local std::string trace;
thread_local int fail_at;

template <int N>
int init_n(struct pv_machine *m)
{
	EXPECT_EQ(current_machine(), m);
	if (N == fail_at)
		return -EIO;
	trace += static_cast<char>('a' + N);
	return 0;
}

template <int N>
void exit_n(struct pv_machine *m)
{
	EXPECT_EQ(current_machine(), m);
	trace += static_cast<char>('A' + N);
}

const machine_initcall calls[] = {
	{"call0", init_n<0>, exit_n<0>},
	{"call1", init_n<1>, exit_n<1>},
	{"call2", init_n<2>, exit_n<2>},
	{"call3", init_n<3>, exit_n<3>},
};
const machine_initcall *const call_list[] = {&calls[0], &core_initcall, &calls[1],
					     &calls[2], &calls[3],      nullptr};

TEST(Machine, RunsInitcallsInOrderAndExitsInReverse)
{
	trace.clear();
	fail_at = -1;
	pv_machine *m = pv_machine_create(nullptr, call_list);
	ASSERT_FALSE(IS_ERR(m));
	EXPECT_EQ(trace, "abcd");
	EXPECT_EQ(current_machine(), nullptr);
	EXPECT_EQ(pv_machine_destroy(m), 0u);
	EXPECT_EQ(trace, "abcdDCBA");
}

TEST(Machine, FailingInitcallUnwindsThoseBeforeIt)
{
	const char *const expected[] = {"", "aA", "abBA", "abcCBA"};

	for (int n = 0; n < 4; n++) {
		log_lines log;
		pv_machine_config config = config_with(log);

		trace.clear();
		fail_at = n;
		pv_machine *m = pv_machine_create(&config, call_list);
		EXPECT_TRUE(IS_ERR(m));
		EXPECT_EQ(PTR_ERR(m), -EIO);
		EXPECT_EQ(trace, expected[n]);
		EXPECT_TRUE(log.contains("call" + std::to_string(n)));
		EXPECT_FALSE(log.contains("WARNING"));
	}
}

TEST(Machine, AnyFailingAllocationFailsTheCreationAndLeaksNothing)
{
	long n;

	fail_at = -1;
	for (n = 1; n < 100; n++) {
		log_lines log;
		pv_machine_config config = config_with(log);

		config.fail_alloc = n;
		pv_machine *m = pv_machine_create(&config, call_list);
		EXPECT_FALSE(log.contains("WARNING")) << "allocation " << n;
		if (!IS_ERR(m)) {
			EXPECT_EQ(pv_machine_destroy(m), 0u);
			break;
		}
		EXPECT_EQ(PTR_ERR(m), -ENOMEM);
	}
	/* A machine consists of several parts, so several allocations must have failed. */
	EXPECT_GT(n, 5);
	EXPECT_LT(n, 100);
}

TEST(Machine, LeaksAreReportedWithSizeAndOutliveTheMachine)
{
	log_lines log;
	pv_machine_config config = config_with(log);
	pv_machine *m = pv_machine_create(&config, nullptr);
	char *leak;

	ASSERT_FALSE(IS_ERR(m));
	{
		machine_scope scope(m);
		slab_stats before = pv_machine_slab_stats(m);

		leak = static_cast<char *>(kmalloc(1234, GFP_KERNEL));
		ASSERT_NE(leak, nullptr);
		kfree(kmalloc(77, GFP_KERNEL));
		EXPECT_EQ(pv_machine_slab_stats(m).objects, before.objects + 1);
		EXPECT_EQ(pv_machine_slab_stats(m).bytes, before.bytes + 1234);
	}
	EXPECT_EQ(pv_machine_destroy(m), 1u);
	EXPECT_TRUE(log.contains("1 kmalloc objects (1234 bytes)"));
	EXPECT_TRUE(log.contains("leaked: 1234 bytes"));
	EXPECT_FALSE(log.contains("77 bytes"));
	memset(leak, 1, 1234);
	kfree(leak);
}

TEST(Machine, WarnIsCountedAndOnceIsOncePerMachine)
{
	for (int i = 0; i < 2; i++) {
		log_lines log;
		pv_machine_config config = config_with(log);
		pv_machine *m = pv_machine_create(&config, nullptr);

		{
			machine_scope scope(m);

			for (int k = 0; k < 3; k++)
				EXPECT_TRUE(WARN_ON_ONCE(k >= 0));
			EXPECT_EQ(pv_machine_warnings(m), 1u);
			EXPECT_FALSE(WARN_ON(false));
			EXPECT_TRUE(WARN(true, "the answer is %d", 42));
		}
		EXPECT_TRUE(log.contains("the answer is 42"));
		EXPECT_EQ(pv_machine_destroy(m), 2u);
	}
}

TEST(Machine, ThreadsThatNobodyStoppedAndQueuesThatNobodyDestroyedAreReported)
{
	log_lines log;
	pv_machine_config config = config_with(log);
	pv_machine *m = pv_machine_create(&config, nullptr);

	{
		machine_scope scope(m);

		ASSERT_FALSE(IS_ERR(kthread_run([](void *) { return 0; }, nullptr, "forgotten")));
		ASSERT_NE(alloc_workqueue("lost", 0, 1), nullptr);
	}
	EXPECT_EQ(pv_machine_destroy(m), 2u);
	EXPECT_TRUE(log.contains("kthread forgotten was never stopped"));
	EXPECT_TRUE(log.contains("workqueue lost was never destroyed"));
}

struct bound_work {
	work_struct work;
	pv_machine *seen;
};

TEST(Machine, TwoMachinesInOneProcessDoNotMix)
{
	pv_machine *m[2];
	void *object;

	for (pv_machine *&machine : m) {
		machine = pv_machine_create(nullptr, nullptr);
		ASSERT_FALSE(IS_ERR(machine));
	}
	for (pv_machine *machine : m) {
		machine_scope scope(machine);
		bound_work w = {};

		INIT_WORK(&w.work, [](struct work_struct *work) {
			container_of(work, bound_work, work)->seen = current_machine();
		});
		schedule_work(&w.work);
		flush_work(&w.work);
		EXPECT_EQ(w.seen, machine);
		rcu_barrier();
	}
	{
		machine_scope scope(m[0]);
		object = kmalloc(100, GFP_KERNEL);
		{
			machine_scope inner(m[1]);
			EXPECT_EQ(current_machine(), m[1]);
		}
		EXPECT_EQ(current_machine(), m[0]);
	}
	EXPECT_EQ(pv_machine_destroy(m[1]), 0u);
	kfree(object); /* in a thread that is bound to no machine */
	EXPECT_EQ(pv_machine_destroy(m[0]), 0u);
}

TEST(MachineDeathTest, WrongFreesAreViolations)
{
	/* The child starts anew: a fork of a process with threads may deadlock. */
	GTEST_FLAG_SET(death_test_style, "threadsafe");
	pv_machine *m = pv_machine_create(nullptr, nullptr);
	machine_scope scope(m);
	char *p = static_cast<char *>(kmalloc(64, GFP_KERNEL));

	memset(p, 0, 64);
	EXPECT_DEATH(kfree(p + 48), "is not a live object");
	kfree(p);
	EXPECT_EQ(pv_machine_destroy(m), 0u);
}

} // namespace
