/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * stress.h - what a scenario of pvshim-stress is, and what it is given
 *
 *      main ---> session (a scenario, its time, its seed) ---> runner thread: scenario.run(context)
 *       |                                                        |  |  | context.in_threads()
 *       | every quarter of a second: counters -> progress       threads of the scenario
 *       v
 *      table, or JSON: counters, rates, violations, how to run it again
 *
 * A scenario does its work in rounds until context.over(): many threads, then a quiet point at
 * which an oracle looks. It ends soon after, whatever it found. To add one: write x_stress.cc with
 * `scenario x_scenario()`, declare it in catalogue.h, name it in catalogue.cc.
 *
 * Fixtures of the unit tests may be used: what EXPECT_ and ASSERT_ find is a violation here.
 *
 * A fault is what makes a scenario fail: it leaves out something that the oracle depends on. A
 * scenario without a fault that it was seen to find has proved nothing.
 */
#ifndef PVSHIM_STRESS_H
#define PVSHIM_STRESS_H

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <random>
#include <string>
#include <utility>
#include <vector>

struct pv_machine;

namespace stress
{

class context;

/* A knob: --set NAME=VALUE. */
struct setting {
	const char *name;
	const char *value; /* the default */
	const char *help;
};

struct fault {
	const char *name; /* --inject NAME */
	const char *help;
};

struct scenario {
	const char *name;
	const char *checks; /* what must hold, one line */
	std::vector<setting> settings;
	std::vector<fault> faults;
	void (*run)(context &ctx);
};

/* What happened so often. */
class counter
{
public:
	void add(std::uint64_t n = 1) { value_.fetch_add(n, std::memory_order_relaxed); }
	std::uint64_t value() const { return value_.load(std::memory_order_relaxed); }

private:
	alignas(64) std::atomic<std::uint64_t> value_{0};
};

/* What the command line says about a run. */
struct terms {
	unsigned int threads = 4;
	double seconds = 10;
	std::uint64_t seed = 1;
	std::string fault;                                         /* "": none */
	std::vector<std::pair<std::string, std::string>> settings; /* changed ones */
};

/* Every member may be called by any thread of the scenario, at any time. */
class context
{
public:
	context(const scenario &what, const terms &how);
	~context();
	context(const context &) = delete;
	context &operator=(const context &) = delete;

	unsigned int threads() const;
	/* The time is over, or something is wrong, or the user has enough of it: come to an end. */
	bool over() const;
	bool injected(const char *fault) const;
	const std::string &text(const char *setting) const;
	unsigned long number(const char *setting) const;

	/* Random numbers of its own for each @stream, from the seed: the same in every run. */
	std::mt19937 random(std::uint64_t stream) const;

	/* Made when it is first asked for, and shown in that order: the most telling ones first. */
	counter &count(const char *name);

	/* Something that must hold does not: one line, as for printf(). The run is over. */
	void violation(const char *format, ...) __attribute__((format(printf, 2, 3)));

	/* Runs @body(0), @body(1), ... in threads that are bound to @machine till all end. */
	void in_threads(pv_machine *machine, unsigned int nr,
			const std::function<void(unsigned int)> &body);

	/* For the session. */
	void stop();
	std::vector<std::pair<std::string, std::uint64_t>> counters() const;
	std::uint64_t violations() const;
	std::vector<std::string> violation_texts() const; /* the first few */

private:
	struct state;
	const std::unique_ptr<state> state_;
};

} // namespace stress

#endif
