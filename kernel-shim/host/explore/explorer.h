/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The explorer's inside: one world at a time, run under one schedule.
 *
 *	the caller's stack		fibers
 *	run_one() ---------------------> main: setup, start tasks, wait for quiescence, check
 *	   ^				   |	 \  ^
 *	   |				   v	  v |	each runs up to a point, and picks
 *	   |				 kworker  task	who goes on
 *	   +--- the end, or a violation ---+
 *
 * E1. One fiber runs. A fiber that may go on is `ready`; nr_ready_ counts them, the running one
 *     included.
 * E2. While alone_ is set (setup, check, teardown) nothing is chosen: who runs goes on until it
 *     sleeps, then the others in turn, and time passes when nobody can run.
 * E3. A decision is numbered when more than one thing could happen, whatever the scheduler thinks
 *     of it: so numbers mean the same for all schedulers.
 * E4. A thread that was started or woken runs up to its first point in one go, and makes that step
 *     too: leaving it there is the same as not having chosen it yet, which is cheaper.
 * E5. A spinning thread is one that yields, has only looked since it yielded before, and nobody
 *     changed a word meanwhile. When all that can run have done so often, they spin for ever.
 * E6. Everything that could differ between two runs of one schedule is kept out: addresses come
 *     from the arena, threads get the lowest free number, time is virtual.
 * E6. A world on the real MMU is the same, but its fibers are threads of the host's (fiber.h).
 *
 * KSHIM: kshim/host.h's functions know their explorer by one thread-local pointer, as the threads
 * host knows its thread. It is the only variable outside of this class.
 */
#ifndef KSHIM_EXPLORE_EXPLORER_H
#define KSHIM_EXPLORE_EXPLORER_H

#include "aliases.h"
#include "arena.h"
#include "fiber.h"
#include "happens.h"
#include "names.h"
#include "reduction.h"
#include "scheduler.h"
#include "store_buffer.h"
#include "trace.h"

#include <kshim/explore.h>

#include <memory>
#include <stdarg.h>

class explorer;

enum class thread_state : u8 { none, ready, waiting, quiesce, done };

struct kshim_thread {
	fiber_context ctx;
	explorer *home = nullptr;
	unsigned int id = 0;
	thread_state state = thread_state::none;
	bool is_task = false;
	bool timed_out = false;
	bool fresh = false; /* started or woken, and not come to a point since */
	char name[16] = "";
	void (*fn)(void *) = nullptr;
	void *arg = nullptr;
	void *stack = nullptr;
	step_access next; /* at a point: what it will do when it runs */
	u64 steps = 0;
	store_buffer buffer;
	int plain_quiet = 0; /* > 0: its plain accesses are not looked at */

	/* Spinning: */
	step_access looked; /* its first load since it yielded */
	const void *looked_in = nullptr;
	u64 changes_seen = 0; /* changes_ when it yielded last */
	unsigned int idle_rounds = 0;

	/* waiting: */
	const u32 *word = nullptr;
	u64 deadline = KSHIM_FOREVER;
	u64 wait_order = 0; /* wakes are first come, first served */
	const char *why = nullptr;

	u32 done = 0; /* what a join waits on */
	struct kshim_self self = {};
};

enum class outcome : u8 {
	passed,
	violated,
	diverged,
	redundant, /* left off half way: an equal schedule is run (reduction.h) */
	unfit,     /* the real MMU cannot do this schedule */
	misused,   /* or any */
};

class explorer
{
public:
	explorer(const explore_scenario &scenario, const explore_options &options);
	~explorer();
	explorer(const explorer &) = delete;
	explorer &operator=(const explorer &) = delete;

	[[nodiscard]] bool init();

	/* One schedule. @trace: write down what happens. */
	outcome run_one(scheduler *sched, bool trace);

	/* After run_one(): */
	const std::string &reason() const { return reason_; }
	const std::vector<deviation> &path() const { return path_; }
	const std::vector<wish> &wishes() const { return wishes_; } /* the path, otherwise put */
	unsigned int preemptions() const { return preemptions_; }
	u64 steps() const { return steps_; }
	std::string trace_table() const;

	const u64 *clock() const { return &now_; }
	/* A mutant of the options that no code ever asked for, or null. */
	const char *unknown_mutant() const;

	/* For kshim/host.h, inside of a world: */
	void point(enum kshim_point_kind kind, const void *object, unsigned int size,
		   int order = __ATOMIC_RELAXED, const void *caller = nullptr);
	void cas_changed(int order);
	void plain(const void *object, size_t size, bool write, const void *caller);
	int choose(int n, const char *what);
	bool fault(enum kshim_fault_kind kind, const char *what);
	std::string describe(const void *address) const;
	int wait(const u32 *word, u32 expected, u64 deadline, const char *why);
	void wake(const u32 *word, int n);
	u64 now();
	void yield();
	kshim_thread *start(const char *name, void (*fn)(void *), void *arg);
	int join(kshim_thread *thread);
	kshim_thread *current() { return current_; }
	bool alone() const { return alone_; }
	const explore_options &options() const { return options_; }
	arena &memory() { return arena_; }
	alias_table &aliases() { return aliases_; }

	/* kshim_interrupted_all() */
	void interrupted_all();
	bool mutant(const char *name);
	void *kept(enum kshim_kept_kind kind);
	bool keep(enum kshim_kept_kind kind, void *object, void (*drop)(void *object));
	struct kshim_world_mmu &mmu() { return mmu_; }
	void note(const char *fmt, va_list args);
	void log(std::string line);
	/* The last lines that were logged. */
	std::string logged() const;
	name_table &names() { return names_; }
	unsigned int cpu_of(const kshim_thread *t) const
	{
		return options_.nr_cpus ? t->id % options_.nr_cpus : 0;
	}
	bool free(void *block, size_t bytes, const void *caller);
	[[noreturn]] void violation(const char *fmt, va_list args);
	[[noreturn]] void end_without_verdict(outcome why, const char *fmt, va_list args);

	/* The explorer whose world the calling thread is in; null outside. */
	static explorer *here();

private:
	static constexpr unsigned int MAX_THREADS = 64;
	static constexpr size_t LOG_LINES = 8;
	static constexpr u64 MAX_ALONE_STEPS = 50000000;
	/* Looking so often at an unchanged world, a thread lets all others go first, */
	static constexpr unsigned int SPIN_FAIR = 3;
	/* and so often, when the others do the same, it is a violation. */
	static constexpr unsigned int SPIN_ENDLESS = 1000;

	void main_body();
	static void fiber_entry(void *arg);
	void thread_body(kshim_thread *t);

	kshim_thread *new_thread(const char *name, void (*fn)(void *), void *arg);
	void forget_threads();

	/* The running thread could go on, after whatever is chosen here. */
	void branch();
	/* It has yielded. */
	void yielded();
	/* The running thread cannot go on. */
	void leave();
	void collect();
	void add_runnable(unsigned int after, std::vector<schedule_option> *options);
	void add_due(std::vector<schedule_option> *options);
	/* False: it was a store that left its buffer, and who goes on is still open. */
	bool take(const schedule_option &option);
	bool ask_default(bool running);
	const schedule_option &ask();
	void watch_timeout(const kshim_thread *t, bool passes);
	void arrive(const void *caller);
	void switch_to(kshim_thread *t);
	void make_ready(kshim_thread *t);
	void quiesce(u64 horizon_ns);
	void explored_begins();
	void explored_ends();

	/* The running thread's stores leave its buffer until @left are in it: a step. */
	void drain(unsigned int left);
	void commit(kshim_thread *t);
	void add_drains(std::vector<schedule_option> *options);

	static bool waits_in_buffer(const step_access &a)
	{
		return a.kind == KSHIM_STORE && a.size <= 8;
	}
	void note_look(const void *caller);
	void check_spinning();
	void wake_waiters(const u32 *word, int n);

	void check_access(const step_access &a);
	void check_tasks_ended();
	void check_nothing_left();
	/* Ends the schedule here and now. reason_ says why. */
	[[noreturn]] void give_up(outcome why);
	std::string who_waits() const;
	std::string waits_for(const kshim_thread *t) const;
	std::string object_name(const void *object) const;
	/* For the trace. A thread that is not the running one is told of without a stack. */
	void tell(trace_kind kind, const kshim_thread *thread, std::string text);
	void tell_deviation();
	const kshim_thread *owner_of_task(const void *task) const;

	const explore_scenario &scenario_;
	const explore_options &options_;
	std::vector<char> mutant_met_;
	arena arena_;
	alias_table aliases_;
	name_table names_;
	happens happens_;
	std::vector<std::unique_ptr<kshim_thread>> threads_;
	fiber_context engine_ctx_;

	/* Outlive worlds: kshim_keep(). */
	struct {
		void *object = nullptr;
		void (*drop)(void *object) = nullptr;
		bool in_use = false; /* by this world */
	} kept_[KSHIM_KEPT_KINDS];
	struct kshim_world_mmu mmu_ = {};

	/* Of the schedule: */
	scheduler *sched_ = nullptr;
	reduction *watcher_ = nullptr; /* the scheduler's; told of steps while not alone_ */
	bool running_ = false, alone_ = true, tracing_ = false;
	bool races_ = false, buffers_ = false; /* on, and not alone */
	int nr_faults_ = 0;
	u64 changes_ = 0; /* of words, by anybody */
	kshim_thread *current_ = nullptr;
	unsigned int nr_ready_ = 0, nr_timed_ = 0, nr_threads_ = 0;
	u64 now_ = 0, time_limit_ = KSHIM_FOREVER, wait_order_ = 0;
	u64 steps_ = 0, explored_steps_ = 0;
	u32 ordinal_ = 0;
	unsigned int preemptions_ = 0;
	decision decision_;
	std::vector<deviation> path_;
	std::vector<wish> wishes_;
	outcome outcome_ = outcome::passed;
	std::string reason_;
	void *world_ = nullptr;
	std::vector<trace_line> trace_;
	std::vector<std::string> log_;
};

/* The reason of outcome::diverged. */
constexpr char EXPLORE_DIVERGED[] =
	"the program did not do what it did before under the same schedule: "
	"it depends on something else than its schedule";

/* Where code is: "function+0x12", or the bare address. */
std::string symbol_name(const void *address);

#endif
