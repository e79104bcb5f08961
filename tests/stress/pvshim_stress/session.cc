// SPDX-License-Identifier: GPL-2.0-or-later
#include "session.h"

#include "terminal_line.h"

#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <system_error>
#include <thread>
#include <unistd.h>

#include <gtest/gtest-spi.h>

namespace stress
{

namespace
{

typedef std::chrono::steady_clock steady;

constexpr int LOOK_MS = 250;
/* A scenario that its time does not end within this hangs. */
constexpr double PATIENCE_SECONDS = 120;
constexpr std::size_t COUNTERS_SHOWN = 4;

/* What assertions of fixtures find, in any thread. */
class assertions : public testing::ScopedFakeTestPartResultReporter
{
public:
	explicit assertions(context &ctx)
		: ScopedFakeTestPartResultReporter(INTERCEPT_ALL_THREADS, nullptr), ctx_(ctx)
	{
	}
	void ReportTestPartResult(const testing::TestPartResult &r) override
	{
		if (r.failed())
			ctx_.violation("%s:%d: %s", r.file_name() ? r.file_name() : "?",
				       r.line_number(), r.message());
	}

private:
	context &ctx_;
};

class descriptor
{
public:
	descriptor(int fd, const char *what) : fd_(fd)
	{
		if (fd < 0)
			throw std::system_error(errno, std::generic_category(), what);
	}
	~descriptor() { close(fd_); }
	descriptor(const descriptor &) = delete;
	descriptor &operator=(const descriptor &) = delete;

	int get() const { return fd_; }

private:
	const int fd_;
};

sigset_t interrupts()
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	return set;
}

double seconds_since(steady::time_point start)
{
	return std::chrono::duration<double>(steady::now() - start).count();
}

std::string rounded(double n)
{
	char text[32];

	if (n >= 1e6)
		std::snprintf(text, sizeof(text), "%.1fM", n / 1e6);
	else if (n >= 1e4)
		std::snprintf(text, sizeof(text), "%.0fk", n / 1e3);
	else
		std::snprintf(text, sizeof(text), "%.0f", n);
	return text;
}

std::string progress_of(const char *name, const context &ctx, double seconds, double of)
{
	char text[100];
	std::size_t shown = 0;

	std::snprintf(text, sizeof(text), "%s: %.0f of %.0f s, %llu violations", name, seconds, of,
		      (unsigned long long)ctx.violations());
	std::string line = text;

	for (const auto &[counter, value] : ctx.counters()) {
		if (++shown > COUNTERS_SHOWN)
			break;
		line += ", " + rounded((double)value) + " " + counter + " (" +
			rounded((double)value / seconds) + "/s)";
	}
	return line;
}

/* As a shell reads it. */
std::string quoted(const std::string &word)
{
	if (word.find_first_of(" *?'\"\\$") == std::string::npos)
		return word;
	std::string out = "'";

	for (char c : word)
		out += c == '\'' ? std::string("'\\''") : std::string(1, c);
	return out + "'";
}

std::string command_of(const char *name, const terms &how)
{
	char text[160];

	std::snprintf(text, sizeof(text), "pvshim-stress %s --threads %u --seconds %g --seed %llu",
		      name, how.threads, how.seconds, (unsigned long long)how.seed);
	std::string command = text;

	for (const auto &[setting, value] : how.settings)
		command += " --set " + quoted(setting + "=" + value);
	if (!how.fault.empty())
		command += " --inject " + how.fault;
	return command;
}

} // namespace

result run_session(const scenario &what, const terms &how)
{
	const sigset_t signals = interrupts();
	descriptor signal(signalfd(-1, &signals, SFD_CLOEXEC), "signalfd");
	descriptor done(eventfd(0, EFD_CLOEXEC), "eventfd");
	context ctx(what, how);
	assertions found(ctx);
	tests::terminal_line line;
	result r = {.name = what.name, .again = command_of(what.name, how)};
	const steady::time_point start = steady::now();

	std::thread runner([&] {
		what.run(ctx);
		eventfd_write(done.get(), 1);
	});
	for (;;) {
		struct pollfd wanted[] = {{done.get(), POLLIN, 0}, {signal.get(), POLLIN, 0}};
		const double left = how.seconds - seconds_since(start);
		const int wait_ms =
			left > 0 && left < LOOK_MS / 1e3 ? (int)(left * 1e3) + 1 : LOOK_MS;
		struct signalfd_siginfo info;

		poll(wanted, 2, wait_ms);
		r.seconds = seconds_since(start);
		if (wanted[0].revents)
			break;
		if (wanted[1].revents && read(signal.get(), &info, sizeof(info)) > 0)
			r.interrupted = true;
		if (r.interrupted || r.seconds >= how.seconds)
			ctx.stop();
		if (r.seconds >= how.seconds + PATIENCE_SECONDS) {
			r.hung = true;
			break;
		}
		line.show(progress_of(what.name, ctx, r.seconds, how.seconds), r.seconds);
	}
	if (r.hung)
		runner.detach();
	else
		runner.join();
	r.counters = ctx.counters();
	r.violations = ctx.violations();
	r.texts = ctx.violation_texts();
	return r;
}

} // namespace stress
