// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * explore.cc - what the race lab costs: schedules a second, and how many need not be run
 *
 *      bench-explore [--quick]
 *
 * Speed: two tasks that each take three spin locks and update a word under each, by every
 * scheduler; beside them the same two functions in two real threads, started and joined once each:
 * what a stress test pays for one order, and it does not choose which.
 *
 * Reduction: deferred I/O ("defio" of tests/races) at each bound, of equal schedules one or all of
 * them. What was left off half way as redundant counts against the reduction.
 *
 * Mutants: all bugs of deferred I/O, each by the scenario that is named for it, smaller bounds
 * first.
 *
 * Fiber switch: there and back, beside swapcontext(3).
 *
 * All times are of the processor, of this process: what else runs on the machine does not count.
 *
 * Exit status: 0; 1: a target is missed, or something does not hold; 2: bad arguments.
 */
#include "environment.h"

#include "catalogue.h"
#include "host/explore/fiber.h"

#include <linux/spinlock.h>

#include <algorithm>
#include <ctime>
#include <thread>
#include <ucontext.h>
#include <vector>

namespace
{

constexpr double SCHEDULES_A_SECOND = 100000, TIMES_FEWER = 5, SECONDS_FOR_MUTANTS = 10,
		 SECONDS_FOR_BOUND_3 = 60;

double cpu_seconds()
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

template <typename F>
double seconds_of(F &&f)
{
	const double start = cpu_seconds();

	f();
	return cpu_seconds() - start;
}

double median(std::vector<double> values)
{
	std::nth_element(values.begin(), values.begin() + (long)values.size() / 2, values.end());
	return values[values.size() / 2];
}

/* A target is met or missed; all must be met. */
class targets
{
public:
	void judge(const char *what, double figure, bool at_most, double target)
	{
		const bool met = at_most ? figure <= target : figure >= target;

		std::printf("target: %s: %.2f, %s %.0f: %s\n", what, figure,
			    at_most ? "at most" : "at least", target, met ? "met" : "missed");
		missed_ = missed_ || !met;
	}
	void fail(const std::string &why)
	{
		std::printf("error: %s\n", why.c_str());
		missed_ = true;
	}
	bool missed() const { return missed_; }

private:
	bool missed_ = false;
};

/* ---- two tasks, three locks ---- */

struct locks_world {
	struct spaced {
		spinlock_t lock;
		u32 word;
	} places[3];
};

void init_places(locks_world *w)
{
	for (auto &p : w->places)
		spin_lock_init(&p.lock);
}

void update_three(void *p)
{
	for (auto &place : static_cast<locks_world *>(p)->places) {
		guard(spinlock)(&place.lock);

		WRITE_ONCE(place.word, READ_ONCE(place.word) + 1);
	}
}

const explore_scenario three_locks = {
	.name = "three_locks",
	.setup = []() -> void * {
		locks_world *w = explore_new<locks_world>();

		init_places(w);
		return w;
	},
	.tasks = {{"A", update_three}, {"B", update_three}},
	.check =
		[](void *p) {
			for (auto &place : static_cast<locks_world *>(p)->places)
				explore_expect(place.word == 2, "a word is %u, not 2", place.word);
		},
};

struct contender {
	const char *name;
	explore_options options;
	std::vector<double> rates;
	u64 steps, runs;
};

void measure(contender &c, targets &t)
{
	explore_result r;
	const double seconds = seconds_of([&] { r = explore_run(three_locks, c.options); });

	if (r.verdict != explore_verdict::held)
		t.fail(std::string(c.name) + ": " + r.reason);
	c.rates.push_back((double)r.runs / seconds);
	c.steps = r.steps;
	c.runs = r.runs;
}

double real_threads_a_second(int rounds)
{
	const double seconds = seconds_of([&] {
		for (int i = 0; i < rounds; i++) {
			locks_world w = {};

			init_places(&w);
			/* Outside of a world the locks are plain atomic words. */
			std::thread a(update_three, &w);
			a.join();
			std::thread b(update_three, &w);
			b.join();
		}
	});

	return rounds / seconds;
}

void measure_speed(u64 schedules, targets &t)
{
	std::vector<contender> contenders = {
		{"dfs, every schedule",
		 {.bound = -1, .max_schedules = schedules, .reduce = false},
		 {},
		 0,
		 0},
		{"dfs, of equal ones one", {.bound = -1, .max_schedules = schedules}, {}, 0, 0},
		{"random",
		 {.scheduler = explore_scheduler::random, .max_schedules = schedules},
		 {},
		 0,
		 0},
		{"pct",
		 {.scheduler = explore_scheduler::pct, .max_schedules = schedules},
		 {},
		 0,
		 0},
	};
	std::vector<double> real;
	double slowest = 1e12;

	for (int round = 0; round < 5; round++) {
		for (contender &c : contenders)
			measure(c, t);
		real.push_back(real_threads_a_second((int)schedules / 50));
	}
	std::printf("\n%-28s %12s %12s %12s\n", "two tasks, three locks", "schedules/s",
		    "steps each", "x threads");
	for (contender &c : contenders) {
		const double rate = median(c.rates);

		std::printf("%-28s %12.0f %12.1f %12.1f\n", c.name, rate,
			    (double)c.steps / (double)c.runs, rate / median(real));
		slowest = std::min(slowest, rate);
	}
	std::printf("%-28s %12.0f %12s %12.1f\n", "two real threads", median(real), "", 1.0);
	t.judge("schedules a second, slowest scheduler", slowest, false, SCHEDULES_A_SECOND);
}

/* ---- deferred I/O ---- */

const races::race_scenario &scenario_of(const races::race_subsystem &s, const std::string &name)
{
	return *std::find_if(
		s.scenarios.begin(), s.scenarios.end(),
		[&](const races::race_scenario &r) { return r.scenario.name == name; });
}

struct searched {
	explore_result result;
	double seconds;
};

searched search(const explore_scenario &scenario, int bound, bool reduce, targets &t)
{
	searched s;

	s.seconds = seconds_of(
		[&] { s.result = explore_run(scenario, {.bound = bound, .reduce = reduce}); });
	if (s.result.verdict != explore_verdict::held || !s.result.exhausted)
		t.fail(s.result.summary);
	return s;
}

/* Runs are those of smaller bounds too, which come first, and those left off half way. */
void measure_reduction(const races::race_subsystem &defio, bool quick, targets &t)
{
	const explore_scenario &scenario = scenario_of(defio, "defio").scenario;
	double fewer = 0;

	std::printf("\n%-8s | %-33s | %-33s |\n%-8s | %12s %12s %7s | %12s %12s %7s | %s\n",
		    "defio", "all schedules", "of equal ones one", "", "schedules", "runs", "s",
		    "schedules", "runs", "s", "runs fewer");
	for (int bound = 1; bound <= 2; bound++) {
		const searched all = search(scenario, bound, false, t);
		const searched one = search(scenario, bound, true, t);

		fewer = (double)all.result.runs / (double)one.result.runs;
		std::printf("bound %d  | %12llu %12llu %7.2f | %12llu %12llu %7.2f | %.1f times\n",
			    bound, all.result.schedules, all.result.runs, all.seconds,
			    one.result.schedules, one.result.runs, one.seconds, fewer);
	}
	if (!quick) {
		const searched three = search(scenario, 3, true, t);

		std::printf("bound 3  | %12s %12s %7s | %12llu %12llu %7.2f |\n", "", "", "",
			    three.result.schedules, three.result.runs, three.seconds);
		t.judge("seconds to exhaust bound 3", three.seconds, true, SECONDS_FOR_BOUND_3);
	}
	t.judge("times fewer runs at bound 2", fewer, false, TIMES_FEWER);
}

void measure_mutants(const races::race_subsystem &defio, targets &t)
{
	double all = 0;

	std::printf("\n%-32s %-20s %12s %10s %10s\n", "mutants of deferred I/O", "killed by",
		    "preemptions", "runs", "s");
	for (const races::race_mutant &m : defio.mutants) {
		const races::race_scenario &killer = scenario_of(defio, m.killer);
		explore_result r;
		const double seconds = seconds_of([&] {
			r = explore_run(killer.scenario, {.bound = 2, .mutants = {m.name}});
		});

		if (r.verdict != explore_verdict::violated)
			t.fail(std::string(m.name) + " survives: " + r.summary);
		std::printf("%-32s %-20s %12u %10llu %10.3f\n", m.name, m.killer, r.preemptions,
			    r.runs, seconds);
		all += seconds;
	}
	t.judge("seconds for all of them", all, true, SECONDS_FOR_MUTANTS);
}

/* ---- fibers ---- */

struct ping_pong {
	fiber_context here, there;
	ucontext_t uc_here, uc_there;
};

void measure_switches(int rounds)
{
	ping_pong p;
	void *stack = fiber_stack_alloc();
	std::vector<char> uc_stack(64 * 1024);
	std::vector<double> ours, theirs;

	fiber_prepare(
		&p.there, stack,
		[](void *arg) {
			auto *p = static_cast<ping_pong *>(arg);

			for (;;)
				fiber_switch(&p->there, &p->here);
		},
		&p);
	getcontext(&p.uc_there);
	p.uc_there.uc_stack.ss_sp = uc_stack.data();
	p.uc_there.uc_stack.ss_size = uc_stack.size();
	static thread_local ping_pong *in_context; /* makecontext(3) passes integers only */
	in_context = &p;
	makecontext(
		&p.uc_there,
		[] {
			for (;;)
				swapcontext(&in_context->uc_there, &in_context->uc_here);
		},
		0);
	for (int round = 0; round < 9; round++) {
		ours.push_back(seconds_of([&] {
			for (int i = 0; i < rounds; i++)
				fiber_switch(&p.here, &p.there);
		}));
		theirs.push_back(seconds_of([&] {
			for (int i = 0; i < rounds; i++)
				swapcontext(&p.uc_here, &p.uc_there);
		}));
	}
	fiber_drop(&p.there);
	fiber_stack_free(stack);

	const double to_ns = 1e9 / (2.0 * rounds);

	std::printf("\n%-28s %12.1f ns\n%-28s %12.1f ns (%.1f times)\n", "fiber switch",
		    median(ours) * to_ns, "swapcontext(3)", median(theirs) * to_ns,
		    median(theirs) / median(ours));
}

} // namespace

int main(int argc, char **argv)
{
	const bool quick = argc == 2 && !std::strcmp(argv[1], "--quick");
	targets t;

	if (argc > 1 && !quick) {
		std::fprintf(stderr,
			     "bench-explore: no such option: %s\nusage: bench-explore [--quick]\n",
			     argv[1]);
		return 2;
	}
	const races::race_subsystem defio = races::defio_subsystem();

	print_environment("all");
	std::printf("# time: of the processor, of this process; rounds alternating, medians\n");
	measure_speed(quick ? 5000 : 50000, t);
	measure_reduction(defio, quick, t);
	measure_mutants(defio, t);
	measure_switches(quick ? 20000 : 200000);
	return t.missed();
}
