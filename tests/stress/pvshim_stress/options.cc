// SPDX-License-Identifier: GPL-2.0-or-later
#include "options.h"

#include "catalogue.h"

#include <algorithm>
#include <cstdlib>
#include <thread>

#include <CLI/CLI.hpp>

namespace stress
{

static const char *const footer =
	"SCENARIO is a name from `pvshim-stress list`, or `list` itself; without one all run, one "
	"after another.\n"
	"\n"
	"Exit codes: 0 held; 1 violated, or a scenario does not come to an end; 2 the command "
	"line.\n"
	"\n"
	"The seed says what the threads do, not in which order: the schedule is the host's. The "
	"race "
	"lab\n(pvshim-race) runs schedules again, exactly.";

static scenario look_up(const std::string &name)
{
	std::string names;

	for (const scenario &s : catalogue()) {
		if (s.name == name)
			return s;
		names += names.empty() ? s.name : std::string(", ") + s.name;
	}
	throw usage_error("no scenario '" + name + "'; there are: " + names);
}

template <typename T>
static bool declares(const std::vector<T> &declared, const std::string &name)
{
	return std::any_of(declared.begin(), declared.end(),
			   [&](const T &d) { return d.name == name; });
}

/* Every scenario that is to run must know it: a fault that is in none would prove nothing. */
static void check_fault(const options &o)
{
	if (o.how.fault.empty())
		return;
	if (o.scenarios.size() != 1)
		throw usage_error("--inject needs the one scenario that is to fail; see "
				  "pvshim-stress list");
	const scenario &s = o.scenarios.front();
	std::string names;

	if (declares(s.faults, o.how.fault))
		return;
	for (const fault &f : s.faults)
		names += (names.empty() ? "" : ", ") + std::string(f.name);
	throw usage_error(std::string(s.name) + " has no fault '" + o.how.fault +
			  "'; it has: " + names);
}

static bool is_number(const std::string &text)
{
	char *end;

	std::strtoul(text.c_str(), &end, 0);
	return !text.empty() && !*end;
}

static void add_setting(options *o, const std::string &word)
{
	const std::size_t equals = word.find('=');
	const std::string name = word.substr(0, equals);
	bool known = false;

	if (equals == std::string::npos)
		throw usage_error("--set '" + word + "' is not NAME=VALUE");
	const std::string value = word.substr(equals + 1);

	for (const scenario &s : o->scenarios) {
		for (const setting &knob : s.settings) {
			if (knob.name != name)
				continue;
			known = true;
			if (is_number(knob.value) && !is_number(value))
				throw usage_error("--set " + word + ": not a number");
		}
	}
	if (!known)
		throw usage_error("no scenario that is to run has a setting '" + name +
				  "'; see pvshim-stress list");
	o->how.settings.emplace_back(name, value);
}

std::optional<options> parse_options(int argc, char **argv)
{
	CLI::App app{"pvshim-stress: the kernel side under load, with real threads and an oracle.",
		     "pvshim-stress"};
	std::vector<std::string> names, settings;
	options o;

	app.set_version_flag("-V,--version", PVSHIM_VERSION);
	app.footer(footer);
	app.add_option("SCENARIO", names, "what to run, or list");
	app.add_option("--threads", o.how.threads, "threads of each scenario (4)")
		->type_name("N")
		->check(CLI::Range(1u, 1024u));
	app.add_option("--seconds", o.how.seconds, "how long each scenario runs (10)")
		->type_name("N")
		->check(CLI::Range(0.01, 1e7));
	app.add_option("--seed", o.how.seed, "of all random numbers (from the clock)")
		->type_name("S");
	app.add_option("--set", settings, "a scenario's setting; see list")
		->type_name("NAME=VALUE")
		->take_all();
	app.add_option("--inject", o.how.fault, "a fault that the scenario must find; see list")
		->type_name("FAULT");
	app.add_flag("--json", o.json, "for scripts");
	o.how.seed = std::random_device{}();
	try {
		app.parse(argc, argv);
	} catch (const CLI::Success &e) {
		app.exit(e);
		return std::nullopt;
	} catch (const CLI::ParseError &e) {
		throw usage_error(std::string(e.what()) + "; see pvshim-stress --help");
	}
	o.list = names.size() == 1 && names.front() == "list";
	if (names.empty() || o.list)
		o.scenarios = catalogue();
	else
		std::transform(names.begin(), names.end(), std::back_inserter(o.scenarios),
			       look_up);
	check_fault(o);
	for (const std::string &word : settings)
		add_setting(&o, word);
	return o;
}

} // namespace stress
