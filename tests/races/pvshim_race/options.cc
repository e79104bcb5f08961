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

static const std::map<std::string, explore_memory> memories = {
	{"sc", explore_memory::sc},
	{"tso", explore_memory::tso},
};

static const std::map<std::string, explore_mmu> mmus = {
	{"soft", explore_mmu::soft},
	{"real", explore_mmu::real},
	{"uffd", explore_mmu::uffd},
	{"mprotect", explore_mmu::mprotect},
};

template <typename T>
static std::string names_of(const std::map<std::string, T> &table)
{
	std::string names;

	for (const auto &[name, value] : table)
		names += (names.empty() ? "" : ", ") + name;
	return names;
}

/* What @option's word @name stands for. */
template <typename T>
static T look_up(const char *option, const std::map<std::string, T> &table, const std::string &name)
{
	if (!table.contains(name))
		throw usage_error(std::string(option) + " '" + name + "' is none of " +
				  names_of(table));
	return table.at(name);
}

/* Options whose values are words, as given. */
struct words {
	std::string scheduler = "dfs", memory, mmu = "soft";
};

static void add_mmu(CLI::App *app, words *w)
{
	app->add_option("--mmu", w->mmu,
			"soft, or the host's: real (userfaultfd), uffd, mprotect (soft)")
		->type_name("NAME");
}

static void add_list(CLI::App *app, race_options *o)
{
	CLI::App *list = app->add_subcommand("list", "what there is: scenarios and mutants");

	list->add_flag("--json", o->json, "for scripts");
}

static void add_run(CLI::App *app, race_options *o, words *w, int *bound)
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
	run->add_option("--sched", w->scheduler, names_of(schedulers) + " (dfs)")
		->type_name("NAME");
	run->add_option("--memory", w->memory,
			"sc: one order of all accesses; tso: stores arrive late (what the mutant "
			"needs, else sc)")
		->type_name("MODEL");
	run->add_option("--faults", o->faults,
			"so many things may go wrong for no reason in a schedule: a trylock, an "
			"allocation, a wake-up (0)")
		->type_name("N")
		->check(CLI::Range(0, 1000));
	add_mmu(run, w);
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

static void add_replay(CLI::App *app, race_options *o, words *w)
{
	CLI::App *replay = app->add_subcommand("replay", "run the schedule of a token again");

	replay->add_option("TOKEN", o->name, "as printed with a violation")->required();
	replay->add_option("--times", o->times, "so often, and compare (1)")
		->type_name("N")
		->check(CLI::Range(1u, 1000000u));
	add_mmu(replay, w);
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
	words w;
	int bound = own_bound;

	app.require_subcommand(1);
	app.set_version_flag("-V,--version", PVSHIM_VERSION);
	app.footer(footer);
	add_list(&app, &o);
	add_run(&app, &o, &w, &bound);
	add_replay(&app, &o, &w);
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
	o.scheduler = look_up("--sched", schedulers, w.scheduler);
	o.mmu = look_up("--mmu", mmus, w.mmu);
	if (!w.memory.empty())
		o.memory = look_up("--memory", memories, w.memory);
	if (o.command == command::run && o.name.empty() && !o.all)
		throw usage_error(
			"run needs the name of a scenario, or --all; see pvshim-race list");
	return o;
}

} // namespace races
