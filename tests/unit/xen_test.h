/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * xen_test.h - a fresh machine for a test of the xen and xenfb rooms, and values to wait for
 */
#pragma once

#include <gtest/gtest.h>

#include <chrono>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include <kshim/xen.h>
#include <linux/slab.h>
#include <xen/events.h>
#include <xen/xenbus.h>

#include "unit/test_machine.h"

namespace xen_test
{

/* For things that must happen; a machine that is busy takes its time. */
constexpr std::chrono::seconds DEADLINE{60};

class machine : public test_machine
{
public:
	explicit machine(std::vector<const machine_initcall *> calls, size_t memory = 64ul << 20,
			 const char *params = nullptr)
		: test_machine(std::move(calls), {.memory_bytes = memory, .params = params})
	{
	}

	pv_machine *get() const { return test_machine::machine(); }
};

/* A value that threads change and wait for. */
template <typename T>
class watched
{
public:
	explicit watched(T value = T()) : value_(value) {}

	void update(const std::function<void(T &)> &change)
	{
		std::lock_guard<std::mutex> lock(mutex_);

		change(value_);
		changed_.notify_all();
	}

	/* False when @condition did not become true in a minute. */
	bool wait(const std::function<bool(const T &)> &condition)
	{
		std::unique_lock<std::mutex> lock(mutex_);

		return changed_.wait_for(lock, DEADLINE, [&] { return condition(value_); });
	}

	T get()
	{
		std::lock_guard<std::mutex> lock(mutex_);
		return value_;
	}

private:
	std::mutex mutex_;
	std::condition_variable changed_;
	T value_;
};

/* Polls @condition for things that have no event to wait for. */
inline bool eventually(const std::function<bool()> &condition)
{
	auto deadline = std::chrono::steady_clock::now() + DEADLINE;

	while (!condition()) {
		if (std::chrono::steady_clock::now() > deadline)
			return false;
		std::this_thread::yield();
		std::this_thread::sleep_for(std::chrono::milliseconds(1));
	}
	return true;
}

inline std::string read_node(const char *path)
{
	char *value = xenbus_read(XBT_NIL, path, nullptr, nullptr);

	if (IS_ERR(value))
		return "<error " + std::to_string(PTR_ERR(value)) + ">";
	std::string result = value;
	kfree(value);
	return result;
}

} // namespace xen_test
