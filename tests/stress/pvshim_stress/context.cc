// SPDX-License-Identifier: GPL-2.0-or-later
#include "stress.h"

#include <kshim/machine.h>

#include <algorithm>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <mutex>
#include <thread>

namespace stress
{

constexpr std::size_t TEXTS_KEPT = 20;

struct named_counter {
	explicit named_counter(const char *n) : name(n) {}

	const std::string name;
	counter value;
};

struct context::state {
	state(const scenario &w, const terms &h) : what(w), how(h) {}

	const scenario &what;
	const terms how;
	std::vector<std::pair<std::string, std::string>> settings; /* all; constant */
	std::atomic<bool> over{false};
	std::atomic<std::uint64_t> violations{0};

	mutable std::mutex lock;
	std::deque<named_counter> counters; /* its own by lock; an element stays where it is */
	std::vector<std::string> texts;     /* protected by lock */
};

context::context(const scenario &what, const terms &how)
	: state_(std::make_unique<state>(what, how))
{
	for (const setting &s : what.settings)
		state_->settings.emplace_back(s.name, s.value);
	for (const auto &[name, value] : how.settings) {
		for (auto &[known, now] : state_->settings) {
			if (known == name)
				now = value;
		}
	}
}

context::~context() = default;

unsigned int context::threads() const
{
	return state_->how.threads;
}

bool context::over() const
{
	return state_->over.load(std::memory_order_relaxed);
}

void context::stop()
{
	state_->over = true;
}

bool context::injected(const char *fault) const
{
	return state_->how.fault == fault;
}

const std::string &context::text(const char *setting) const
{
	for (const auto &[name, value] : state_->settings) {
		if (name == setting)
			return value;
	}
	std::fprintf(stderr, "pvshim-stress: %s asks for a setting '%s' that it does not declare\n",
		     state_->what.name, setting);
	std::abort();
}

unsigned long context::number(const char *setting) const
{
	return std::strtoul(text(setting).c_str(), nullptr, 0);
}

std::mt19937 context::random(std::uint64_t stream) const
{
	std::seed_seq from{state_->how.seed, state_->how.seed >> 32, stream, stream >> 32};

	return std::mt19937(from);
}

counter &context::count(const char *name)
{
	std::lock_guard lock(state_->lock);

	for (named_counter &c : state_->counters) {
		if (c.name == name)
			return c.value;
	}
	return state_->counters.emplace_back(name).value;
}

void context::violation(const char *format, ...)
{
	char text[1000];
	va_list args;

	va_start(args, format);
	std::vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	/* Assertions of fixtures break their lines. */
	std::replace(text, text + std::strlen(text), '\n', ' ');
	state_->violations++;
	state_->over = true;
	std::lock_guard lock(state_->lock);

	if (state_->texts.size() < TEXTS_KEPT)
		state_->texts.emplace_back(text);
}

void context::in_threads(pv_machine *machine, unsigned int nr,
			 const std::function<void(unsigned int)> &body)
{
	std::vector<std::thread> threads;

	for (unsigned int t = 0; t < nr; t++) {
		threads.emplace_back([&body, machine, t] {
			machine_scope bound(machine);

			body(t);
		});
	}
	for (std::thread &t : threads)
		t.join();
}

std::vector<std::pair<std::string, std::uint64_t>> context::counters() const
{
	std::vector<std::pair<std::string, std::uint64_t>> all;
	std::lock_guard lock(state_->lock);

	for (const named_counter &c : state_->counters)
		all.emplace_back(c.name, c.value.value());
	return all;
}

std::uint64_t context::violations() const
{
	return state_->violations;
}

std::vector<std::string> context::violation_texts() const
{
	std::lock_guard lock(state_->lock);

	return state_->texts;
}

} // namespace stress
