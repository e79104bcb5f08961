/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_machine.h - a fresh machine for a test, bound to the thread that makes it
 *
 * The log is kept, so that a test can ask for the one line an error must give. When the machine
 * goes, warnings (WARN_ON, leaks) fail the test, unless it said how many it expects. A room's
 * fixture derives from it and checks in its destructor what its room must have left behind.
 */
#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include <kshim/machine.h>

class test_machine
{
public:
	/*
	 * Throws when there is no machine, with what it said. @config's log is replaced, its
	 * parameters are copied.
	 */
	explicit test_machine(std::vector<const machine_initcall *> calls,
			      pv_machine_config config = {})
	{
		calls.push_back(nullptr);
		config.log = keep;
		config.log_ctx = this;
		if (config.params) {
			params_ = config.params;
			config.params = params_.c_str();
		}
		machine_ = pv_machine_create(&config, calls.data());
		if (IS_ERR(machine_))
			throw std::runtime_error("no machine: " + log());
		scope_ = std::make_unique<machine_scope>(machine_);
	}
	~test_machine() { destroy(); }
	test_machine(const test_machine &) = delete;
	test_machine &operator=(const test_machine &) = delete;

	pv_machine *machine() const { return machine_; }

	/* A thread of this machine. */
	std::thread thread(std::function<void()> body)
	{
		return std::thread([this, body = std::move(body)] {
			machine_scope scope(machine_);

			body();
		});
	}

	/* Before its time; idempotent. */
	void destroy()
	{
		if (!machine_)
			return;
		scope_.reset();
		EXPECT_EQ(pv_machine_destroy(machine_), expected_warnings) << log();
		machine_ = nullptr;
	}

	std::string log()
	{
		std::lock_guard hold(lock_);
		std::string all;

		for (const std::string &line : lines_)
			all += line + "\n";
		return all;
	}
	size_t log_lines()
	{
		std::lock_guard hold(lock_);

		return lines_.size();
	}
	/* Of the lines logged, those with @text in them. */
	size_t log_lines_with(const std::string &text)
	{
		std::lock_guard hold(lock_);
		size_t n = 0;

		for (const std::string &line : lines_)
			n += line.find(text) != std::string::npos;
		return n;
	}

	unsigned int expected_warnings = 0;

private:
	static void keep(void *ctx, int, const char *line)
	{
		auto *self = static_cast<test_machine *>(ctx);
		std::lock_guard hold(self->lock_);

		self->lines_.push_back(line);
	}

	std::string params_; /* of the machine, for as long as it lives */
	pv_machine *machine_ = nullptr;
	std::unique_ptr<machine_scope> scope_;
	std::mutex lock_;
	std::vector<std::string> lines_; /* protected by lock_ */
};
