/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * xen_test.h - a fresh machine for a test of the xen and xenfb rooms
 *
 * The machine's log is kept, so that a test can ask for the one line an error must give. When the
 * machine goes, warnings (WARN_ON, leaks) fail the test, unless it said how many it expects.
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

#include <kshim/machine.h>
#include <kshim/xen.h>
#include <linux/slab.h>
#include <xen/events.h>
#include <xen/xenbus.h>

namespace xen_test
{

/* For things that must happen; a machine that is busy takes its time. */
constexpr std::chrono::seconds DEADLINE{60};

class machine
{
public:
	explicit machine(std::vector<const machine_initcall *> calls, size_t memory = 64ul << 20,
			 const char *params = nullptr)
	{
		pv_machine_config config;

		calls.push_back(nullptr);
		config.memory_bytes = memory;
		config.params = params;
		config.log = log;
		config.log_ctx = this;
		m_ = pv_machine_create(&config, calls.data());
		if (IS_ERR(m_))
			throw std::runtime_error("no machine: " + log_text());
		scope_ = new machine_scope(m_);
	}

	~machine() { destroy(); }

	machine(const machine &) = delete;
	machine &operator=(const machine &) = delete;

	void destroy()
	{
		if (!m_)
			return;
		delete scope_;
		EXPECT_EQ(pv_machine_destroy(m_), 0u) << log_text();
		m_ = nullptr;
	}

	pv_machine *get() const { return m_; }

	std::string log_text()
	{
		std::lock_guard<std::mutex> lock(mutex_);
		std::string all;

		for (const std::string &line : lines_)
			all += line + "\n";
		return all;
	}

	size_t log_lines()
	{
		std::lock_guard<std::mutex> lock(mutex_);
		return lines_.size();
	}

	/* Of the lines logged, those with @text in them. */
	size_t log_lines_with(const std::string &text)
	{
		std::lock_guard<std::mutex> lock(mutex_);
		size_t n = 0;

		for (const std::string &line : lines_)
			n += line.find(text) != std::string::npos;
		return n;
	}

private:
	static void log(void *ctx, int, const char *line)
	{
		auto *self = static_cast<machine *>(ctx);
		std::lock_guard<std::mutex> lock(self->mutex_);

		self->lines_.push_back(line);
	}

	pv_machine *m_ = nullptr;
	machine_scope *scope_ = nullptr;
	std::mutex mutex_;
	std::vector<std::string> lines_;
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
