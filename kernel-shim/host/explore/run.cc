// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * explore_run(): schedule after schedule until one violates, there is none left, or a limit is met.
 */
#include "explorer.h"
#include "shrink.h"
#include "token.h"

#include <time.h>

static constexpr u64 RANDOM_SCHEDULES = 10000;

/* Watches the clock of the outside: how long the search may take, when to tell how it goes. */
class pacer
{
public:
	explicit pacer(const explore_options &options) : options_(options), start_(now()) {}

	double elapsed() const { return now() - start_; }

	/* Before each schedule. False: the time is up. */
	bool tick(const explore_result &result, int bound)
	{
		if (!options_.seconds && !options_.progress)
			return true;

		double seconds = elapsed();

		if (options_.progress && seconds >= next_report_) {
			next_report_ = seconds + REPORT_SECONDS;
			options_.progress(
				{result.schedules, result.runs, result.steps, bound, seconds});
		}
		return !options_.seconds || seconds < options_.seconds;
	}

private:
	static constexpr double REPORT_SECONDS = 0.2;

	static double now()
	{
		struct timespec t;

		clock_gettime(CLOCK_MONOTONIC, &t);
		return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
	}

	const explore_options &options_;
	const double start_;
	double next_report_ = REPORT_SECONDS;
};

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

static std::string preemptions(u64 n)
{
	return std::to_string(n) + (n == 1 ? " preemption" : " preemptions");
}

static std::string within(int bound)
{
	return bound < 0 ? "with any number of preemptions"
			 : "with at most " + preemptions((u64)bound);
}

static void found_violation(explorer *e, const explore_scenario &scenario,
			    const explore_options &options, explore_result *result)
{
	/* A token is run as it is. */
	if (options.scheduler != explore_scheduler::replay)
		shrink(e);
	result->verdict = explore_verdict::violated;
	result->reason = e->reason();
	result->preemptions = e->preemptions();
	result->token = make_token(scenario, options, e->path());
	result->summary = "violated in schedule " + std::to_string(result->schedules) + ", with " +
			  preemptions(result->preemptions) + ": " + result->reason;
	if (options.trace)
		write_trace(e, result);
}

/* What is claimed of a search that found nothing: no more than was done. */
static std::string summary_of(const explore_options &options, const explore_result &result)
{
	std::string n = std::to_string(result.schedules), text, unreduced;

	if (options.scheduler == explore_scheduler::replay)
		return "replayed: this schedule violates nothing";
	if (options.scheduler != explore_scheduler::dfs)
		return "searched " + n + " schedules; there are others";
	/* A bigger number than in sc, and no claim that each of them differs from the others. */
	if (options.memory == explore_memory::tso)
		unreduced = ", without reduction (tso)";
	if (result.exhausted)
		return "exhausted: all " + n + " schedules " + within(options.bound) + unreduced;
	text = "searched " + n + " schedules " + within(options.bound) +
	       ", then gave up at a limit; there are others";
	if (options.bound > 0)
		text += " (before that all " + within(options.bound - 1) + ")";
	return text + unreduced;
}

/* Runs what @sched wants, and leaves its result. */
static void search(explorer *e, scheduler *sched, const explore_scenario &scenario,
		   const explore_options &options, pacer *pace, explore_result *result)
{
	u64 limit = options.max_schedules;

	result->verdict = explore_verdict::held;
	result->exhausted = result->gave_up = false;
	result->schedules = 0;
	for (;;) {
		outcome outcome;

		if (!sched->begin()) {
			result->exhausted = sched->exhausted();
			break;
		}
		if ((limit && result->runs >= limit) || !pace->tick(*result, options.bound)) {
			result->gave_up = options.scheduler == explore_scheduler::dfs;
			break;
		}
		outcome = e->run_one(sched, false);
		result->schedules += outcome != outcome::redundant && outcome != outcome::unfit;
		result->unfit += outcome == outcome::unfit;
		result->runs++;
		result->steps += e->steps();
		/* A search goes on without an unfit schedule; a replay is about this one. */
		if (outcome == outcome::misused ||
		    (outcome == outcome::unfit && options.scheduler == explore_scheduler::replay)) {
			result->verdict = explore_verdict::misused;
			result->reason = result->summary = e->reason();
			return;
		}
		if (outcome == outcome::diverged) {
			result->verdict = explore_verdict::misused;
			result->reason = e->reason();
			if (options.scheduler == explore_scheduler::replay)
				result->reason = "the token's decisions are not those of this "
						 "program: it is of another version of it, or of "
						 "the scenario; search anew";
			result->summary = result->reason;
			return;
		}
		if (outcome == outcome::violated) {
			found_violation(e, scenario, options, result);
			return;
		}
	}
	result->summary = summary_of(options, *result);
}

/* Smaller bounds first: a violation comes out with as few preemptions as it can. */
static void search_deeper(explorer *e, const explore_scenario &scenario,
			  const explore_options &options, pacer *pace, explore_result *result)
{
	/*
	 * The reduction's steps take effect where they are made: stores in buffers do not. And what
	 * an unfit schedule would have touched is not known: no other stands for it.
	 */
	bool reduce = options.reduce && options.memory == explore_memory::sc &&
		      options.mmu == explore_mmu::soft;
	explore_options opts = options;

	for (opts.bound = options.bound < 0 ? -1 : 0;; opts.bound++) {
		std::unique_ptr<scheduler> sched =
			make_sched_dfs(opts.bound, reduce ? e->clock() : nullptr);

		search(e, sched.get(), scenario, opts, pace, result);
		if (opts.bound == options.bound || result->verdict != explore_verdict::held ||
		    !result->exhausted)
			return;
	}
}

/* For the schedulers that never come to an end by themselves. */
static u64 random_schedules(const explore_options &options)
{
	if (options.max_schedules)
		return options.max_schedules;
	return options.seconds ? ~0ull : RANDOM_SCHEDULES;
}

/* What the summary says besides when the real MMU did the work. */
static void tell_mmu(explorer *e, const explore_options &options, explore_result *result)
{
	if (options.mmu == explore_mmu::soft || result->verdict == explore_verdict::misused)
		return;
	if (result->verdict == explore_verdict::held && result->unfit &&
	    result->unfit == result->runs) {
		result->verdict = explore_verdict::misused;
		result->reason = result->summary = e->reason();
		return;
	}
	result->real_accesses = e->mmu().accesses;
	result->real_faults = e->mmu().faults;
	result->summary +=
		" (the real MMU, " +
		std::string(options.mmu == explore_mmu::uffd ? "userfaultfd" : "mprotect") + ": " +
		std::to_string(result->real_accesses) + " accesses, " +
		std::to_string(result->real_faults) + " faults";
	if (result->unfit)
		result->summary +=
			", " + std::to_string(result->unfit) + " schedules that it cannot do";
	result->summary += ')';
}

explore_result explore_run(const explore_scenario &scenario, const explore_options &options)
{
	explore_options opts = options;
	std::vector<deviation> path;
	std::unique_ptr<scheduler> sched;
	explore_result result;
	pacer pace(opts);

	result.verdict = explore_verdict::misused;
	if (scenario.name.find(':') != std::string::npos || scenario.tasks.size() > 32) {
		result.reason = "a scenario's name has no ':' and it has at most 32 tasks";
		return result;
	}
	if (opts.scheduler == explore_scheduler::replay) {
		result.reason = parse_token(scenario, opts.token, &opts, &path);
		if (!result.reason.empty())
			return result;
	}

	explorer e(scenario, opts);

	if (!e.init()) {
		result.reason = "no address space for the worlds' memory";
		return result;
	}
	switch (opts.scheduler) {
	case explore_scheduler::dfs:
		search_deeper(&e, scenario, opts, &pace, &result);
		break;
	case explore_scheduler::pct:
		sched = make_sched_pct(opts.seed, opts.pct_depth, random_schedules(opts));
		search(&e, sched.get(), scenario, opts, &pace, &result);
		break;
	case explore_scheduler::random:
		sched = make_sched_random(opts.seed, random_schedules(opts));
		search(&e, sched.get(), scenario, opts, &pace, &result);
		break;
	case explore_scheduler::replay:
		sched = make_sched_replay(path);
		search(&e, sched.get(), scenario, opts, &pace, &result);
		break;
	}
	result.seconds = pace.elapsed();
	tell_mmu(&e, opts, &result);
	if (result.verdict == explore_verdict::held && !result.gave_up && e.unknown_mutant()) {
		result.verdict = explore_verdict::misused;
		result.reason = result.summary = std::string("no code asked for mutant ") +
						 e.unknown_mutant() + " in this scenario";
	}
	return result;
}
