// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * explore_run(): schedule after schedule until one violates, or there is none left.
 *
 * Tokens: "x1:SCENARIO:MUTANT+MUTANT:DECISION.OPTION,DECISION.OPTION,..." The decisions that are
 * not in it take option 0.
 */
#include "explorer.h"

#include <stdlib.h>

static constexpr u64 RANDOM_SCHEDULES = 10000;

/* So often the search begins anew because it found further shared words; then it does without. */
static constexpr int MAX_RESTARTS = 200;

static std::string make_token(const explore_scenario &scenario, const explore_options &options,
			      const std::vector<deviation> &path)
{
	std::string token = "x1:" + scenario.name + ":";

	for (size_t i = 0; i < options.mutants.size(); i++)
		token += (i ? "+" : "") + options.mutants[i];
	token += ':';
	for (size_t i = 0; i < path.size(); i++)
		token += (i ? "," : "") + std::to_string(path[i].ordinal) + "." +
			 std::to_string(path[i].option);
	return token;
}

static bool parse_number(const char **p, u32 *value)
{
	char *end;
	unsigned long n;

	if (**p < '0' || **p > '9')
		return false;
	n = strtoul(*p, &end, 10);
	if (n > 0xffffffffu)
		return false;
	*p = end;
	*value = (u32)n;
	return true;
}

static bool parse_path(const char *p, std::vector<deviation> *path)
{
	while (*p) {
		deviation d;

		if (!parse_number(&p, &d.ordinal) || *p++ != '.' || !parse_number(&p, &d.option))
			return false;
		if (!path->empty() && d.ordinal <= path->back().ordinal)
			return false;
		path->push_back(d);
		if (*p == ',' && p[1])
			p++;
		else if (*p)
			return false;
	}
	return true;
}

/* What is wrong with the token, or an empty string. */
static std::string parse_token(const explore_scenario &scenario, const std::string &token,
			       std::vector<std::string> *mutants, std::vector<deviation> *path)
{
	size_t name = token.find(':'), mutant, decisions;

	if (name == std::string::npos || token.compare(0, name, "x1") != 0)
		return "token '" + token + "' does not begin with x1:";
	mutant = token.find(':', name + 1);
	decisions = mutant == std::string::npos ? mutant : token.find(':', mutant + 1);
	if (decisions == std::string::npos)
		return "token '" + token +
		       "' is cut short: x1:SCENARIO:MUTANTS:DECISIONS is wanted";
	if (token.compare(name + 1, mutant - name - 1, scenario.name) != 0)
		return "token '" + token + "' is of another scenario than " + scenario.name;
	mutants->clear();
	for (size_t at = mutant + 1; at < decisions;) {
		size_t end = token.find('+', at);

		if (end == std::string::npos || end > decisions)
			end = decisions;
		mutants->push_back(token.substr(at, end - at));
		at = end + 1;
	}
	if (!parse_path(token.c_str() + decisions + 1, path))
		return "token '" + token +
		       "': the decisions are not NUMBER.NUMBER,... in "
		       "ascending order";
	return "";
}

static void write_trace(explorer *e, explore_result *result)
{
	std::vector<deviation> path = e->path();
	std::unique_ptr<scheduler> again = make_sched_replay(path);

	if (!again->begin() || e->run_one(again.get(), true) != outcome::violated ||
	    e->path() != path)
		result->trace = "(the schedule did not violate anything when it was run again: "
				"the scenario depends on something else than its schedule)\n";
	else
		result->trace = e->trace_table();
}

static void found_violation(explorer *e, const explore_scenario &scenario,
			    const explore_options &options, explore_result *result)
{
	result->verdict = explore_verdict::violated;
	result->reason = e->reason();
	result->preemptions = e->preemptions();
	result->token = make_token(scenario, options, e->path());
	result->summary = "violated in schedule " + std::to_string(result->schedules) + ", with " +
			  std::to_string(result->preemptions) + " preemptions: " + result->reason;
	if (options.trace)
		write_trace(e, result);
}

static void search(explorer *e, scheduler *sched, const explore_scenario &scenario,
		   const explore_options &options, bool learns, explore_result *result)
{
	u64 limit = options.max_schedules;
	int restarts = 0;

	while (!limit || result->runs < limit) {
		outcome outcome;

		if (!sched->begin()) {
			result->exhausted = sched->exhausted();
			break;
		}
		outcome = e->run_one(sched, false);
		result->schedules++;
		result->runs++;
		result->steps += e->steps();
		if (outcome == outcome::diverged) {
			result->verdict = explore_verdict::misused;
			result->reason = result->summary = e->reason();
			return;
		}
		if (outcome == outcome::violated) {
			found_violation(e, scenario, options, result);
			return;
		}
		if (learns && e->shared().grown()) {
			e->shared().clear_grown();
			if (restarts++ == MAX_RESTARTS) {
				result->verdict = explore_verdict::misused;
				result->reason = result->summary =
					"the world's addresses differ from schedule to schedule; "
					"use explore_new() and kmalloc(), or reduce = false";
				return;
			}
			sched->restart();
			result->schedules = 0;
		}
	}
	if (options.scheduler == explore_scheduler::dfs && result->exhausted)
		result->summary = "exhausted: all " + std::to_string(result->schedules) +
				  " schedules with " +
				  (options.bound < 0 ? "any number of"
						     : "at most " + std::to_string(options.bound)) +
				  " preemptions";
	else
		result->summary = "searched " + std::to_string(result->schedules) +
				  " schedules; there are others";
}

explore_result explore_run(const explore_scenario &scenario, const explore_options &options)
{
	explore_options opts = options;
	std::vector<deviation> path;
	std::unique_ptr<scheduler> sched;
	explore_result result;
	bool learns = false;

	result.verdict = explore_verdict::misused;
	if (scenario.name.find(':') != std::string::npos || scenario.tasks.size() > 32) {
		result.reason = "a scenario's name has no ':' and it has at most 32 tasks";
		return result;
	}
	if (opts.scheduler == explore_scheduler::replay) {
		result.reason = parse_token(scenario, opts.token, &opts.mutants, &path);
		if (!result.reason.empty())
			return result;
	}

	explorer e(scenario, opts);
	int bound = opts.bound;

	if (!e.init()) {
		result.reason = "no address space for the worlds' memory";
		return result;
	}
	switch (opts.scheduler) {
	case explore_scheduler::dfs:
		learns = opts.reduce;
		/*
		 * Smaller bounds first: a violation comes out with as few preemptions as it can,
		 * and the shared words are mostly known when the big search begins.
		 */
		for (int b = 0; b < bound; b++) {
			opts.bound = b;
			result.verdict = explore_verdict::held;
			result.exhausted = false;
			result.schedules = 0;
			sched = make_sched_dfs(b, learns ? &e.shared() : nullptr);
			search(&e, sched.get(), scenario, opts, learns, &result);
			if (result.verdict != explore_verdict::held || !result.exhausted)
				return result;
		}
		opts.bound = bound;
		sched = make_sched_dfs(bound, learns ? &e.shared() : nullptr);
		break;
	case explore_scheduler::random:
		sched = make_sched_random(opts.seed, opts.max_schedules ? opts.max_schedules
									: RANDOM_SCHEDULES);
		break;
	case explore_scheduler::replay:
		sched = make_sched_replay(path);
		break;
	}
	result.verdict = explore_verdict::held;
	result.exhausted = false;
	result.schedules = 0;
	search(&e, sched.get(), scenario, opts, learns, &result);
	if (result.verdict == explore_verdict::held && e.unknown_mutant()) {
		result.verdict = explore_verdict::misused;
		result.reason = result.summary = std::string("no code asked for mutant ") +
						 e.unknown_mutant() + " in this scenario";
	}
	return result;
}
