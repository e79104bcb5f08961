// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The search with a reduction sees what the whole search sees: random programs of two or three
 * threads on a few words and a lock, each run with and without at the same bound.
 *
 *	thread A		thread B		what is compared
 *	  add word 0		  sleep on word 0	  all words, what each thread has read
 *	  wake word 0		  store word 1		  (folded into one number), and whether
 *	  load word 1		  yield			  and at which bound some schedule deadlocks
 *
 * The set of final states must be the same, at every bound: a reduction that only finds a state
 * with a preemption more than it takes is wrong.
 *
 *	EXPLORE_PROGRAMS=100000 EXPLORE_SEED=7 tests/explore_reduction
 */
#include <kshim/explore.h>
#include <linux/atomic.h>
#include <linux/err.h>
#include <linux/mutex.h>

#include <cstdlib>
#include <gtest/gtest.h>
#include <limits.h>
#include <random>
#include <set>

namespace
{

constexpr unsigned int WORDS = 3, MAX_TASKS = 3;

enum class op_kind {
	load,
	store,
	add,
	locked_add,
	sleep_briefly,
	wake_one,
	wake_all,
	yield,
	look_at_clock,
	choose,
	start_thread,
	sleep,
	NR,
};

struct op {
	op_kind kind;
	unsigned int word;
};

struct program {
	std::vector<op> tasks[MAX_TASKS];
};

using state = std::vector<u64>;

struct program_world {
	struct spaced {
		u32 value;
		u64 gap; /* words are told apart by 8 bytes */
	} words[WORDS];
	struct mutex lock;
	u64 seen[MAX_TASKS];
};

/* What the scenario's functions, which have no other argument than the world, are about. */
struct experiment {
	program code;
	std::set<state> states;

	static experiment &now()
	{
		static experiment e;

		return e;
	}
};

u32 *word_of(program_world *w, const op &o)
{
	return &w->words[o.word].value;
}

void add(u32 *word)
{
	u32 seen = READ_ONCE(*word);

	WRITE_ONCE(*word, seen + 1);
}

u64 run_op(program_world *w, const op &o, u64 mark)
{
	u32 *word = word_of(w, o);

	switch (o.kind) {
	case op_kind::load:
		return READ_ONCE(*word);
	case op_kind::store:
		WRITE_ONCE(*word, (u32)mark);
		return 0;
	case op_kind::add:
		add(word);
		return 0;
	case op_kind::locked_add: {
		guard(mutex)(&w->lock);

		add(word);
		return 0;
	}
	case op_kind::sleep:
		return (u64)kshim_wait(word, 0, KSHIM_FOREVER, "word");
	case op_kind::sleep_briefly:
		return (u64)kshim_wait(word, 0, kshim_now_ns() + 1000 * (1 + o.word), "word");
	case op_kind::wake_one:
	case op_kind::wake_all:
		kshim_wake(word, o.kind == op_kind::wake_one ? 1 : INT_MAX);
		return 0;
	case op_kind::yield:
		cpu_relax();
		return 0;
	case op_kind::look_at_clock:
		return kshim_now_ns();
	case op_kind::choose:
		return (u64)kshim_choose(2, "coin");
	case op_kind::start_thread: {
		struct kshim_thread *t = kshim_thread_start(
			"child", [](void *word) { add(static_cast<u32 *>(word)); }, word);

		explore_expect(!IS_ERR(t), "no thread");
		return (u64)kshim_thread_join(t);
	}
	case op_kind::NR:
		break;
	}
	return 0;
}

template <unsigned int task>
void run_task(void *p)
{
	auto *w = static_cast<program_world *>(p);
	u64 mark = (task + 1) * 100;

	for (const op &o : experiment::now().code.tasks[task])
		w->seen[task] = w->seen[task] * 1000003 + run_op(w, o, mark++);
}

void note_state(void *p)
{
	auto *w = static_cast<program_world *>(p);
	state s(std::begin(w->seen), std::end(w->seen));

	for (const auto &word : w->words)
		s.push_back(word.value);
	experiment::now().states.insert(s);
}

explore_scenario scenario_of(const program &code)
{
	explore_scenario s = {.name = "program",
			      .setup = []() -> void * { return explore_new<program_world>(); },
			      .tasks = {{"A", run_task<0>}, {"B", run_task<1>}},
			      .check = note_state};

	if (!code.tasks[2].empty())
		s.tasks.push_back({"C", run_task<2>});
	return s;
}

std::string text_of(const program &code)
{
	static const char *const names[] = {
		"load",     "store", "add",           "locked_add", "sleep_briefly", "wake_one",
		"wake_all", "yield", "look_at_clock", "choose",     "start_thread",  "sleep"};
	std::string text;

	for (const auto &task : code.tasks) {
		text += "\n  task:";
		for (const op &o : task)
			text += std::string(" ") + names[(int)o.kind] + "(" +
				std::to_string(o.word) + ")";
	}
	return text;
}

/* Where a reduction that is nearly right goes wrong: yields, time passing, sleepers' order. */
std::vector<program> known_programs()
{
	using enum op_kind;

	return {
		{{{{store, 2}, {add, 1}, {yield, 1}},
		  {{wake_one, 0}, {store, 1}},
		  {{add, 0}, {load, 0}}}},
		{{{{add, 2}},
		  {{sleep_briefly, 1}, {add, 2}, {wake_all, 0}},
		  {{load, 2}, {wake_one, 1}, {yield, 0}}}},
		{{{{sleep_briefly, 1}, {sleep_briefly, 2}, {yield, 1}},
		  {{locked_add, 1}, {look_at_clock, 2}, {yield, 2}}}},
		/* Who slept first is woken first, and sees word 1 as it was. */
		{{{{sleep, 0}, {load, 1}},
		  {{sleep, 0}, {load, 1}},
		  {{wake_one, 0}, {store, 1}, {store, 0}, {wake_all, 0}}}},
		/* Time passes between the look and the wake, which then finds nobody. */
		{{{{sleep_briefly, 0}}, {{look_at_clock, 0}, {wake_one, 0}}}},
		/* A block that could have come before time passed, for one more there. */
		{{{{sleep_briefly, 0}}, {{add, 1}, {look_at_clock, 0}}, {{add, 1}, {add, 1}}}},
	};
}

/* What a random program's ops are drawn from. Untimed sleep may deadlock, which ends a search. */
struct menu {
	std::vector<op_kind> kinds;
	unsigned int words;
};

const menu &menu_of(u64 number)
{
	using enum op_kind;
	static const menu menus[] = {
		{{load, store, add, locked_add}, WORDS},
		{{load, store, add, locked_add, sleep_briefly, wake_one, wake_all, yield,
		  look_at_clock, choose, start_thread},
		 WORDS},
		{{load, store, add, sleep, sleep_briefly, wake_one, wake_all, yield}, WORDS},
		{{add, store, sleep_briefly, wake_one, look_at_clock}, 2},
	};

	return menus[number % std::size(menus)];
}

program random_program(u64 seed)
{
	std::mt19937_64 random(seed);
	const menu &m = menu_of(seed);
	program code;
	unsigned int nr_tasks = 2 + random() % 2;

	for (unsigned int task = 0; task < nr_tasks; task++) {
		unsigned int nr_ops = 1 + random() % (nr_tasks == 2 ? 4 : 2 + (task == 0));

		for (unsigned int i = 0; i < nr_ops; i++)
			code.tasks[task].push_back({m.kinds[random() % m.kinds.size()],
						    (unsigned int)(random() % m.words)});
	}
	return code;
}

struct outcome_of_search {
	explore_result result;
	std::set<state> states;
};

outcome_of_search search(const program &code, int bound, bool reduce)
{
	explore_options options;

	options.bound = bound;
	options.reduce = reduce;
	options.trace = false;
	experiment::now() = {code, {}};
	explore_result result = explore_run(scenario_of(code), options);

	return {result, experiment::now().states};
}

u64 number_from_environment(const char *name, u64 otherwise)
{
	const char *text = getenv(name);

	return text ? strtoull(text, nullptr, 0) : otherwise;
}

struct tally {
	u64 reduced, whole;
};

/* The same states, or the same verdict with as few preemptions, at bounds 0 to 2. */
void compare(const program &code, const std::string &name, tally *runs)
{
	for (int bound = 0; bound <= 2; bound++) {
		outcome_of_search whole = search(code, bound, false);
		outcome_of_search reduced = search(code, bound, true);
		const std::string about = name + ", bound " + std::to_string(bound) + text_of(code);

		ASSERT_NE(whole.result.verdict, explore_verdict::misused)
			<< whole.result.reason << about;
		ASSERT_EQ(reduced.result.verdict, whole.result.verdict)
			<< about << "\nwhole:\n"
			<< whole.result.summary << "\nreduced:\n"
			<< reduced.result.summary;
		if (whole.result.verdict == explore_verdict::violated) {
			ASSERT_EQ(reduced.result.preemptions, whole.result.preemptions) << about;
			return;
		}
		ASSERT_TRUE(whole.result.exhausted && reduced.result.exhausted) << about;
		ASSERT_EQ(reduced.states.size(), whole.states.size()) << about;
		ASSERT_EQ(reduced.states, whole.states) << about;
		runs->reduced += reduced.result.runs;
		runs->whole += whole.result.runs;
	}
}

TEST(explore_reduction, known_programs_have_the_same_final_states)
{
	tally runs = {};
	int number = 0;

	for (const program &code : known_programs())
		ASSERT_NO_FATAL_FAILURE(
			compare(code, "known program " + std::to_string(number++), &runs));
}

TEST(explore_reduction, random_programs_have_the_same_final_states)
{
	const u64 programs = number_from_environment("EXPLORE_PROGRAMS", 500);
	const u64 first = number_from_environment("EXPLORE_SEED", 1);
	tally runs = {};

	for (u64 seed = first; seed < first + programs; seed++)
		ASSERT_NO_FATAL_FAILURE(
			compare(random_program(seed), "seed " + std::to_string(seed), &runs));
	std::printf("%llu programs from seed %llu: %llu runs, without reduction %llu\n", programs,
		    first, runs.reduced, runs.whole);
	/* It is one. */
	EXPECT_LT(runs.reduced * 2, runs.whole);
}

} // namespace
