/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Schedulers: who takes the next step.
 *
 * A schedule is a sequence of decisions, numbered from 0: the points at which more than one thing
 * could have happened. Option 0 is what happens if nobody interferes: the running thread goes on,
 * or the next one in turn when it sleeps. A schedule is written down as the decisions whose option
 * is not 0, and that does not depend on the scheduler which found it.
 *
 * A scheduler is asked for each decision, begins with begin() and looks at the outcome in end().
 */
#ifndef KSHIM_EXPLORE_SCHEDULER_H
#define KSHIM_EXPLORE_SCHEDULER_H

#include "dependence.h"

#include <memory>
#include <string>
#include <vector>

enum class option_kind : u8 {
	run,   /* a thread that can run, or a sleeper whose deadline has passed */
	time,  /* time passes up to a sleeper's deadline, and the sleeper runs */
	data,  /* a value of kshim_choose() */
	drain, /* a thread's oldest store leaves its buffer; then the next decision is asked for */
};

struct schedule_option {
	option_kind kind;
	u8 preempts; /* 1: counts against the bound */
	u16 what;    /* thread, or value */
};

struct decision {
	u32 ordinal;
	u32 preemptions;                      /* used up in this schedule so far */
	u16 thread;                           /* who ran up to here */
	bool running;                         /* it could go on: it is option 0 */
	bool timed;                           /* somebody sleeps with a deadline */
	u64 thread_steps;                     /* of that thread, so far */
	step_access next;                     /* what the thread is going to do, or has done last */
	std::vector<schedule_option> options; /* at least 2; not yet there for is_default() */
};

struct deviation {
	u32 ordinal;
	u32 option;
	bool operator==(const deviation &) const = default;
};

/* A deviation by what it was about: that still means something when others were left out. */
struct wish {
	unsigned int thread;
	u64 thread_steps;
	schedule_option option;
};

class scheduler
{
public:
	virtual ~scheduler() = default;

	/* Before each schedule. False: there is none left. */
	virtual bool begin() = 0;

	/*
	 * Cheaper than pick(), and asked first: can option 0 be taken without looking at the
	 * options?
	 */
	virtual bool is_default(const decision &d) = 0;

	static constexpr int DIVERGED = -1;  /* these are not the decisions of last time */
	static constexpr int REDUNDANT = -2; /* this schedule need not be run to its end */

	/* The option to take, or one of these. */
	virtual int pick(const decision &d) = 0;

	/* After a schedule. False: it did not come to all the decisions it should have. */
	virtual bool end() { return true; }

	/* begin() returned false because everything has been tried. */
	virtual bool exhausted() const { return false; }

	/* Wants to know of all steps, or null. */
	virtual class reduction *watcher() { return nullptr; }
};

/* @clock: of the explorer, for reduction.h; null: run every schedule. */
std::unique_ptr<scheduler> make_sched_dfs(int bound, const u64 *clock);
std::unique_ptr<scheduler> make_sched_pct(u64 seed, unsigned int depth, u64 schedules);
std::unique_ptr<scheduler> make_sched_random(u64 seed, u64 schedules);
std::unique_ptr<scheduler> make_sched_replay(std::vector<deviation> path);

#endif
