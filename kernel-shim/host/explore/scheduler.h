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
 * Others than these three (PCT, partial-order reduction) fit in here: a decision tells what every
 * thread would do next.
 */
#ifndef KSHIM_EXPLORE_SCHEDULER_H
#define KSHIM_EXPLORE_SCHEDULER_H

#include "footprint.h"

#include <memory>
#include <string>
#include <vector>

enum class option_kind : u8 {
	run,  /* a thread that can run */
	time, /* time passes up to a sleeper's deadline, and the sleeper runs */
	data, /* a value of kshim_choose() */
};

struct schedule_option {
	option_kind kind;
	u8 preempts; /* 1: counts against the bound */
	u16 what;    /* thread, or value */
};

struct decision {
	u32 ordinal;
	u32 preemptions;  /* used up in this schedule so far */
	bool running;     /* the thread that ran up to here could go on: it is option 0 */
	step_access next; /* what it is going to do; only with `running` */
	std::vector<schedule_option> options; /* at least 2 */
};

struct deviation {
	u32 ordinal;
	u32 option;
	bool operator==(const deviation &) const = default;
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
	virtual bool is_default(u32 ordinal, u32 preemptions, bool running,
				const step_access &next) = 0;

	/* The option to take, or -1: these are not the decisions of last time. */
	virtual int pick(const decision &d) = 0;

	/* After a schedule. False: it did not come to all the decisions it should have. */
	virtual bool end() { return true; }

	/* Forget what has been done and begin anew; false when that makes no sense. */
	virtual bool restart() { return false; }

	/* begin() returned false because everything has been tried. */
	virtual bool exhausted() const { return false; }
};

std::unique_ptr<scheduler> make_sched_dfs(int bound, const footprint *shared);
std::unique_ptr<scheduler> make_sched_random(u64 seed, u64 schedules);
std::unique_ptr<scheduler> make_sched_replay(std::vector<deviation> path);

#endif
