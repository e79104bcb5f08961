/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The explorer: runs a scenario once for every order in which its threads can be scheduled.
 *
 *	setup()	  alone	  makes the world: objects, machine, kthreads
 *	tasks	  explored  all threads of the world take part: kworkers, timers, the tasks
 *		  ...	    until every task has ended and nothing is left to do (quiescence)
 *	check()	  alone	  is the world as it must be?
 *	teardown() alone  takes the world away; leaks show here
 *
 * A thread can be preempted before each kshim_point(): each access to a shared word. Switching away
 * from a thread that could go on is a *preemption*; so is letting time pass up to the next
 * deadline while somebody could run. A thread that sleeps or ends is left for free. A bound on the
 * preemptions of one schedule makes the search finite: most bugs need two or fewer.
 *
 * A scenario in 30 lines:
 *
 *	struct world { u32 counter; };
 *	static void *setup() { return explore_new<world>(); }
 *	static void add_one(void *p)
 *	{
 *		world *w = (world *)p;
 *		u32 seen = READ_ONCE(w->counter);
 *		WRITE_ONCE(w->counter, seen + 1);
 *	}
 *	static void check(void *p)
 *	{
 *		explore_expect(((world *)p)->counter == 2, "an increment was lost");
 *	}
 *	explore_scenario s = {.name = "lost_update", .setup = setup,
 *			      .tasks = {{"A", add_one}, {"B", add_one}}, .check = check};
 *	explore_result r = explore_run(s, {.bound = 1});
 *	// r.verdict == explore_verdict::violated, r.trace says how, r.token replays it
 *
 * In a trace, objects are called by the arguments of their initialisers (locks, works, timers), or
 * as explore_name() says; explore_note() adds a line. A scenario that pvshim-race is to know by
 * name goes into the catalogue, tests/races/catalogue.h.
 *
 * What is a violation without a word from the scenario:
 * - deadlock: who waits for what, and who holds it;
 * - endless spin: a loop with cpu_relax() on a word that nobody is left to change (loops that give
 *   up by themselves must do so within 1000 rounds);
 * - use after free: by an announced access, by a store that arrives late, or (seen when the
 *   schedule ends) by plain bytes in what was freed;
 * - a page that is freed while a page table or a TLB still has it;
 * - data race: two plain accesses announced by <linux/kcsan-checks.h> (lists announce their links),
 *   one a write, that no lock, release and acquire, barrier pair, thread's start or end, or grace
 *   period orders. kfree() is a write of the whole object. Found in any schedule that has both,
 *   whatever their order in it;
 * - what a machine warns of and leaves behind: explore_machine_destroy().
 *
 * What else can be asked for: stores that become visible late (explore_memory::tso), things that
 * fail for no reason (explore_options::faults). Both are choices of the schedule and in its token.
 *
 * The same schedule on the real MMU: options.mmu. Then each thread of the world is a thread of the
 * host's (one runs at a time), programs' addresses are real ones, their stores are instructions and
 * their faults signals. The soft MMU stays as the model that tells where others may come between,
 * and every access is compared with it: a difference is a violation of its own. What the real MMU
 * cannot be made to do, because it has no TLB entry that the schedule needs, is *unfit*.
 *
 * What it cannot see: plain data that nobody announces; plain accesses that race with announced
 * atomic ones; memory that is weaker than x86's, where loads are made early and stores to different
 * words arrive in another order (the race check sees that release and acquire are missing where
 * plain data depends on them). In tso, plain stores, stores of programs through their mappings and
 * changes of page tables arrive at once, some data races are missed (happens.h), and every schedule
 * within the bound is run: the reduction is off.
 *
 * Rules for scenarios: everything of the world comes from explore_new(), kmalloc() or a machine, so
 * that each schedule starts from the same addresses; nothing depends on real time, real random
 * numbers or addresses; no exceptions and no gtest assertions inside of tasks.
 */
#ifndef KSHIM_EXPLORE_H
#define KSHIM_EXPLORE_H

#include <kshim/host.h>

#include <functional>
#include <new>
#include <string>
#include <vector>

struct pv_machine;

struct explore_task {
	std::string name;
	void (*run)(void *world);
};

struct explore_scenario {
	std::string name;           /* no ':' in it: tokens use that */
	void *(*setup)() = nullptr; /* null: the world is a null pointer */
	std::vector<explore_task> tasks;
	/* What explore_options::faults may choose from: enum kshim_fault_kind. */
	unsigned int faults = KSHIM_FAULT_TRYLOCK | KSHIM_FAULT_WAKEUP | KSHIM_FAULT_ALLOC;
	void (*check)(void *world) = nullptr;
	void (*teardown)(void *world) = nullptr;
};

enum class explore_scheduler {
	dfs,    /* depth first: every schedule within the bound */
	pct,    /* max_schedules of them, random priorities; the bound is not used: sched_pct.cc */
	random, /* max_schedules of them, from the seed; the bound is not used */
	replay, /* the one of the token */
};

/* How a search goes. */
struct explore_progress {
	u64 schedules, runs, steps; /* as in explore_result, so far */
	int bound;                  /* that is being searched; smaller ones are done */
	double seconds;             /* since the search began */
};

enum class explore_memory {
	sc,  /* each access is there for all at once */
	tso, /* x86: stores wait in a buffer while later loads are made, see store_buffer.h */
};

struct explore_options {
	explore_scheduler scheduler = explore_scheduler::dfs;
	int bound = 2; /* preemptions in one schedule; -1: no bound */
	u64 seed = 1;
	unsigned int pct_depth = 3;     /* pct: bugs that need so many things in one order */
	u64 max_schedules = 0;          /* 0: no limit for dfs, 10000 for pct and random */
	double seconds = 0;             /* of real time, then the search ends; 0: no limit */
	unsigned int max_steps = 50000; /* of one schedule; more is taken for an endless loop */
	u64 horizon_ns = 10000000000;   /* virtual time that quiescence may take */
	unsigned int nr_cpus = 2;
	explore_memory memory = explore_memory::sc;
	int faults = 0;           /* so many things go wrong in one schedule, at most */
	bool races = true;        /* look for data races of announced plain accesses */
	bool reduce = true;       /* dfs; not tso, not the real MMU: see reduction.h */
	bool trace = true;        /* run a violation a second time to write its trace */
	bool trace_steps = false; /* the trace tells every step, not what functions did */
	enum explore_mmu mmu = explore_mmu::soft; /* <kshim/host.h>: soft, uffd, mprotect, real */
	std::vector<std::string> mutants;
	std::string token;                                      /* replay; brings its own mutants */
	std::function<void(const explore_progress &)> progress; /* called a few times a second */
};

enum class explore_verdict {
	held,     /* no schedule that was run violated anything: see `exhausted` */
	violated, /* one did; the search ended there */
	misused,  /* the options or the token make no sense here; `reason` says why */
};

struct explore_result {
	explore_verdict verdict = explore_verdict::held;
	bool exhausted = false;       /* these were all schedules within the bound */
	bool gave_up = false;         /* dfs met max_schedules or `seconds` before that */
	double seconds = 0;           /* of real time that it took */
	u64 schedules = 0;            /* that counted */
	u64 runs = 0;                 /* and with those that only taught which objects are shared */
	u64 unfit = 0;                /* of the runs: not to their end, on the real MMU */
	u64 steps = 0;                /* of all runs */
	u64 real_accesses = 0;        /* of programs, and */
	u64 real_faults = 0;          /* signals that refused them, on the real MMU, in all runs */
	unsigned int preemptions = 0; /* of the violating schedule */
	std::string reason;           /* of the violation, one line or more */
	std::string trace;            /* a table, one column per thread */
	std::string token;            /* for explore_scheduler::replay */

	/* "exhausted: all 12 schedules with at most 2 preemptions" and the like. */
	std::string summary;
};

/**
 * explore_run - run @scenario under @options
 *
 * Context: an ordinary thread, not from inside a scenario. Several threads may explore at once.
 * The same scenario, options and program give the same result.
 */
explore_result explore_run(const explore_scenario &scenario, const explore_options &options = {});

/* For scenarios, inside of setup, tasks, check and teardown: */

/* Zeroed memory of the world, gone with it. Aborts when there is none. */
void *explore_alloc(size_t bytes, size_t align);

template <typename T>
T *explore_new()
{
	return new (explore_alloc(sizeof(T), alignof(T))) T();
}

/* A line in the calling thread's column of the trace. */
void explore_note(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* What traces and reports call @object; @name must stay. Locks have their names already. */
template <typename T>
void explore_name(const T *object, const char *name)
{
	kshim_name(object, sizeof(T), name);
}

/* Destroys @m; its warnings (leaks too) are a violation. */
void explore_machine_destroy(struct pv_machine *m);

/* The schedule is wrong unless @condition holds. */
#define explore_expect(condition, ...)                                                             \
	do {                                                                                       \
		if (!(condition))                                                                  \
			kshim_violation(__VA_ARGS__);                                              \
	} while (0)

#endif
