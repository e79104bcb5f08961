// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * pvshim-stress - the kernel side under load, as a command
 *
 *      list            scenarios, their settings and the faults they must find
 *      SCENARIO...     each for its time; a table of counters; violations
 *
 * Results go to standard output, how it goes to standard error.
 */
#include "options.h"
#include "session.h"

#include <csignal>
#include <cstdio>
#include <exception>
#include <unistd.h>

#include <nlohmann/json.hpp>

using namespace stress;

static nlohmann::ordered_json json_of(const scenario &s)
{
	nlohmann::ordered_json settings = nlohmann::ordered_json::array(),
			       faults = nlohmann::ordered_json::array();

	for (const setting &knob : s.settings)
		settings.push_back(
			{{"name", knob.name}, {"default", knob.value}, {"help", knob.help}});
	for (const fault &f : s.faults)
		faults.push_back({{"name", f.name}, {"help", f.help}});
	return {{"name", s.name}, {"checks", s.checks}, {"settings", settings}, {"faults", faults}};
}

static void list(const options &o)
{
	nlohmann::ordered_json all = nlohmann::ordered_json::array();

	for (const scenario &s : o.scenarios) {
		all.push_back(json_of(s));
		if (o.json)
			continue;
		std::printf("%s\n    %s\n", s.name, s.checks);
		for (const setting &knob : s.settings)
			std::printf("    --set %s=%s\n          %s\n", knob.name, knob.value,
				    knob.help);
		for (const fault &f : s.faults)
			std::printf("    --inject %s\n          %s\n", f.name, f.help);
	}
	if (o.json)
		std::printf("%s\n", all.dump(2).c_str());
}

static void print(const result &r)
{
	std::printf("%s: %s, %.1f s%s\n", r.name.c_str(),
		    r.hung         ? "does not come to an end"
		    : r.violations ? "VIOLATED"
				   : "held",
		    r.seconds, r.interrupted ? ", interrupted" : "");
	for (const auto &[name, value] : r.counters)
		std::printf("    %-28s %14llu %12.0f/s\n", name.c_str(), (unsigned long long)value,
			    (double)value / r.seconds);
	std::printf("    %-28s %14llu\n", "violations", (unsigned long long)r.violations);
	for (const std::string &text : r.texts)
		std::printf("  violation: %s\n", text.c_str());
	if (!r.held())
		std::printf("again: %s\n", r.again.c_str());
	std::fflush(stdout);
}

static nlohmann::ordered_json json_of(const result &r)
{
	nlohmann::ordered_json counters = nlohmann::ordered_json::object();

	for (const auto &[name, value] : r.counters)
		counters[name] = value;
	return {{"name", r.name},
		{"held", r.held()},
		{"hung", r.hung},
		{"interrupted", r.interrupted},
		{"seconds", r.seconds},
		{"counters", counters},
		{"violations", r.violations},
		{"texts", r.texts},
		{"again", r.again}};
}

static int run(const options &o)
{
	nlohmann::ordered_json results = nlohmann::ordered_json::array();
	bool held = true, hung = false;

	if (!o.json)
		std::printf("seed %llu, %u threads, %g s for each scenario\n",
			    (unsigned long long)o.how.seed, o.how.threads, o.how.seconds);
	std::fflush(stdout);
	for (const scenario &s : o.scenarios) {
		const result r = run_session(s, o.how);

		held &= r.held();
		hung |= r.hung;
		results.push_back(json_of(r));
		if (!o.json)
			print(r);
		if (r.interrupted || r.hung)
			break;
	}
	if (o.json)
		std::printf("%s\n", nlohmann::ordered_json({{"seed", o.how.seed},
							    {"threads", o.how.threads},
							    {"seconds", o.how.seconds},
							    {"inject", o.how.fault},
							    {"held", held},
							    {"scenarios", results}})
					    .dump(2, ' ', false,
						  nlohmann::ordered_json::error_handler_t::replace)
					    .c_str());
	std::fflush(stdout);
	/* Its threads are still there: nothing of theirs may be taken apart. */
	if (hung)
		_exit(EXIT_VIOLATED);
	return held ? EXIT_HELD : EXIT_VIOLATED;
}

/* Before there is any thread: the session takes these out of a descriptor. */
static void block_interrupts()
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	pthread_sigmask(SIG_BLOCK, &set, nullptr);
}

int main(int argc, char **argv)
{
	try {
		const std::optional<options> o = parse_options(argc, argv);

		if (!o)
			return EXIT_HELD;
		if (o->list) {
			list(*o);
			return EXIT_HELD;
		}
		block_interrupts();
		return run(*o);
	} catch (const usage_error &e) {
		std::fprintf(stderr, "pvshim-stress: %s\n", e.what());
		return EXIT_USAGE;
	} catch (const std::exception &e) {
		std::fprintf(stderr, "pvshim-stress: %s\n", e.what());
		return EXIT_VIOLATED;
	}
}
