// SPDX-License-Identifier: GPL-2.0-or-later
#include "options.h"

#include <CLI/CLI.hpp>

namespace races
{

static const char *const footer =
	"Exit codes: 0 held; 1 violated, or a mutant survives; 2 the command line, an unknown "
	"name, "
	"a token\nthat does not fit; 3 a limit ended the search before every schedule was run.\n"
	"\n"
	"A scenario is run once for every order in which its threads can be scheduled with at most "
	"--bound\npreemptions. A mutant is a bug of history, compiled in beside the right code; "
	"--variant turns it on.";

static const std::map<std::string, explore_scheduler> schedulers = {
	{"dfs", explore_scheduler::dfs},
	{"pct", explore_scheduler::pct},
	{"random", explore_scheduler::random},
};

static std::string names_of_schedulers()
{
	std::string names;

	for (const auto &[name, scheduler] : schedulers)
		names += (names.empty() ? "" : ", ") + name;
	return names;
}

static void add_list(CLI::App *app, race_options *o)
{
	CLI::App *list = app->add_subcommand("list", "what there is: scenarios and mutants");

	list->add_flag("--json", o->json, "for scripts");
}

static void add_run(CLI::App *app, race_options *o, std::string *scheduler, int *bound)
{
	CLI::App *run = app->add_subcommand("run", "search one scenario, or all of them");
	CLI::Option *name = run->add_option("NAME", o->name, "a scenario; see pvshim-race list");
	CLI::Option *all = run->add_flag("--all", o->all, "every scenario, a line each");

	name->excludes(all);
	run->add_option("--variant", o->variant,
			"turn a mutant on: its name or its second name, such as historical")
		->excludes(all)
		->type_name("MUTANT");
	run->add_option("--bound", *bound,
			"preemptions in a schedule; -1: any number (default: the scenario's own)")
		->type_name("N")
		->check(CLI::Range(-1, 1000));
	run->add_option("--sched", *scheduler, names_of_schedulers() + " (dfs)")->type_name("NAME");
	run->add_option("--depth", o->pct_depth,
			"of pct: finds bugs that need so many things in one order (3)")
		->type_name("N")
		->check(CLI::Range(1u, 20u));
	run->add_option("--seconds", o->seconds, "end the search after so long")
		->type_name("N")
		->check(CLI::PositiveNumber);
	run->add_option("--schedules", o->schedules, "end the search after so many")
		->type_name("N")
		->check(CLI::PositiveNumber);
	run->add_option("--seed", o->seed, "of a search by chance (1)")->type_name("N");
	run->add_flag("!--no-reduce", o->reduce,
		      "also schedules that differ in nothing that matters");
	run->add_flag("--steps", o->steps, "the trace with every step, not only with functions");
	run->add_flag("--json", o->json, "for scripts");
}

static void add_replay(CLI::App *app, race_options *o)
{
	CLI::App *replay = app->add_subcommand("replay", "run the schedule of a token again");

	replay->add_option("TOKEN", o->name, "as printed with a violation")->required();
	replay->add_option("--times", o->times, "so often, and compare (1)")
		->type_name("N")
		->check(CLI::Range(1u, 1000000u));
	replay->add_flag("--steps", o->steps, "the trace with every step, not only with functions");
	replay->add_flag("--json", o->json, "for scripts");
}

static void add_kill_matrix(CLI::App *app, race_options *o, int *bound)
{
	CLI::App *matrix = app->add_subcommand(
		"kill-matrix", "every mutant against every scenario of its subsystem");

	matrix->add_option("SUBSYSTEM", o->name, "one of them; else all");
	matrix->add_option(
		      "--bound", *bound,
		      "preemptions in a schedule (default: what each mutant and scenario needs)")
		->type_name("N")
		->check(CLI::Range(-1, 1000));
	matrix->add_option("--seconds", o->seconds, "end each search after so long")
		->type_name("N")
		->check(CLI::PositiveNumber);
	matrix->add_flag("--json", o->json, "for scripts");
}

static command command_of(const std::string &name)
{
	return name == "run"      ? command::run
	       : name == "replay" ? command::replay
	       : name == "list"   ? command::list
				  : command::kill_matrix;
}

std::optional<race_options> parse_options(int argc, char **argv)
{
	constexpr int own_bound = -2;
	CLI::App app{"pvshim-race: the races of this tree, searched, shown and run again.",
		     "pvshim-race"};
	race_options o;
	std::string scheduler = "dfs";
	int bound = own_bound;

	app.require_subcommand(1);
	app.set_version_flag("-V,--version", PVSHIM_VERSION);
	app.footer(footer);
	add_list(&app, &o);
	add_run(&app, &o, &scheduler, &bound);
	add_replay(&app, &o);
	add_kill_matrix(&app, &o, &bound);
	try {
		app.parse(argc, argv);
	} catch (const CLI::Success &e) {
		app.exit(e);
		return std::nullopt;
	} catch (const CLI::ParseError &e) {
		throw usage_error(std::string(e.what()) + "; see pvshim-race --help");
	}
	o.command = command_of(app.get_subcommands().front()->get_name());
	if (bound != own_bound)
		o.bound = bound;
	if (!schedulers.contains(scheduler))
		throw usage_error("--sched '" + scheduler + "' is none of " +
				  names_of_schedulers());
	o.scheduler = schedulers.at(scheduler);
	if (o.command == command::run && o.name.empty() && !o.all)
		throw usage_error(
			"run needs the name of a scenario, or --all; see pvshim-race list");
	return o;
}

} // namespace races
