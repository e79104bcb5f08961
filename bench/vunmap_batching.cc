// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * vunmap_batching.cc - what it costs to map frames side by side, touch them, and unmap them
 *
 *      bench-vunmap-batching [--rounds N] [--ms N] [--load NAME]
 *
 *      merge          4 contiguous frames, each list behind the last one: mappings merge
 *      scatter_read   4 frames that are not, read
 *      scatter_write  the same, written: the host then flushes once a mapping, whatever the batch
 *      xfs_dir        the seed's: a btree of 1700 blocks of 64 KiB, each block mapped, read and
 *                     unmapped, traversal after traversal; the first apart from the later ones
 *      kmap           single frames, some much more often than others (Zipf)
 *      pair           xfs_dir's map and unmap, without touching anything
 *
 * What a manager puts off is paid in the end: the time to unmap what is left belongs to the figure,
 * but for xfs_dir and pair, which never end: their figure is that of a traversal among many.
 *
 * Each load runs under every manager with 1, 2 and 4 threads, with and without a thread that
 * keeps the other processor busy (so that a flush has somebody to interrupt). Threads have lists
 * of their own. Rounds of all managers alternate; a figure is the median of the rounds. It is the
 * processor's time per operation (a wait for another processor's flush is spent spinning and
 * counts), so that threads in greater number than processors do not look slow; "wall" is the
 * other clock.
 *
 * Exit status: 0; 1: the host refused something; 2: bad arguments.
 */
#include "environment.h"
#include "vunmap_managers.h"

#include <algorithm>
#include <atomic>
#include <barrier>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <fstream>
#include <map>
#include <random>
#include <sched.h>
#include <sstream>
#include <string>
#include <thread>
#include <unistd.h>

namespace
{

using namespace vunmap_bench;

enum class touch { nothing, read, write };

struct load {
	const char *name;
	touch what;
	bool traverse; /* the first time through all lists is measured apart */
	frame_lists lists;
};

/* Frames 0, 2, 4, ... in no order: no two are contiguous. */
std::vector<std::uint32_t> scattered(std::size_t nr)
{
	std::vector<std::uint32_t> frames(nr);
	std::mt19937 random(1);

	for (std::size_t i = 0; i < nr; i++)
		frames[i] = (std::uint32_t)(2 * i);
	std::shuffle(frames.begin(), frames.end(), random);
	return frames;
}

std::vector<std::uint32_t> in_order(std::size_t nr)
{
	std::vector<std::uint32_t> frames(nr);

	for (std::size_t i = 0; i < nr; i++)
		frames[i] = (std::uint32_t)i;
	return frames;
}

/* The rank n comes up in proportion to 1/n. */
std::vector<std::uint32_t> zipf(std::size_t draws, std::uint32_t nr)
{
	std::vector<double> weight(nr);
	std::vector<std::uint32_t> frame(nr), frames;
	std::mt19937 random(2);

	for (std::uint32_t i = 0; i < nr; i++) {
		weight[i] = 1.0 / (i + 1);
		frame[i] = i;
	}
	std::shuffle(frame.begin(), frame.end(), random);
	std::discrete_distribution<std::uint32_t> rank(weight.begin(), weight.end());
	for (std::size_t i = 0; i < draws; i++)
		frames.push_back(frame[rank(random)]);
	return frames;
}

std::vector<load> make_loads()
{
	constexpr std::size_t blocks = 1700, block_frames = 16;
	const frame_lists dir = {api::vmap, block_frames, scattered(blocks * block_frames)};
	const frame_lists four = {api::map_ram, 4, scattered(4 * 4096)};

	return {
		{"merge", touch::write, false, {api::map_ram, 4, in_order(4 * 4096)}},
		{"scatter_read", touch::read, false, four},
		{"scatter_write", touch::write, false, four},
		{"xfs_dir", touch::read, true, dir},
		{"kmap", touch::write, false, {api::kmap, 1, zipf(1 << 16, high_frames)}},
		{"pair", touch::nothing, true, dir},
	};
}

struct setting {
	unsigned threads;
	bool busy;
};

struct figure {
	std::vector<double> ns, first_ns, wall_ns, shootdowns; /* of each round, per operation */

	static double median(std::vector<double> values)
	{
		if (values.empty())
			return 0;
		std::nth_element(values.begin(), values.begin() + (long)values.size() / 2,
				 values.end());
		return values[values.size() / 2];
	}
	double cost() const { return median(ns); }
	double first() const { return median(first_ns); }
};

void pin(unsigned cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu % (unsigned)sysconf(_SC_NPROCESSORS_ONLN), &set);
	sched_setaffinity(0, sizeof(set), &set);
}

double clock_ns(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

/* The interrupts of all processors for TLB flushes, so far. */
double tlb_shootdowns()
{
	std::ifstream in("/proc/interrupts");
	std::string line, word;
	double sum = 0, value;

	while (std::getline(in, line)) {
		std::istringstream fields(line);

		if (fields >> word && word == "TLB:") {
			while (fields >> value)
				sum += value;
		}
	}
	return sum;
}

/* How long busy threads should have run, and did. */
struct busy_time {
	double wanted_ns = 0, ran_ns = 0;
};

/* Keeps a processor in user mode, in this address space. */
class busy_thread
{
public:
	busy_thread(bool on, busy_time *time)
	{
		if (!on)
			return;
		thread_ = std::thread([this, time] {
			const double start = clock_ns(CLOCK_MONOTONIC);

			pin((unsigned)sysconf(_SC_NPROCESSORS_ONLN) - 1);
			while (!stop_.load(std::memory_order_relaxed))
				;
			time->wanted_ns += clock_ns(CLOCK_MONOTONIC) - start;
			time->ran_ns += clock_ns(CLOCK_THREAD_CPUTIME_ID);
		});
	}
	~busy_thread()
	{
		stop_ = true;
		if (thread_.joinable())
			thread_.join();
	}

private:
	std::atomic<bool> stop_ = false;
	std::thread thread_;
};

void one(manager &m, const load &l, std::size_t list)
{
	volatile unsigned *addr = m.map(list);

	for (unsigned i = 0; l.what != touch::nothing && i < l.lists.each; i++) {
		if (l.what == touch::write)
			addr[i * page_size / sizeof(*addr)] = i;
		else
			(void)addr[i * page_size / sizeof(*addr)];
	}
	m.unmap(list, addr);
}

struct thread_result {
	double ns = 0, first_ns = 0;
	std::size_t ops = 0, first_ops = 0;
};

/* The lists of one thread: from begin to end, again and again, until the time is over. */
thread_result run_thread(manager &m, const load &l, std::size_t begin, std::size_t end, double ms,
			 std::barrier<> &all_done, bool drains)
{
	const double give_up = clock_ns(CLOCK_MONOTONIC) + ms * 1e6;
	thread_result r;
	double start = clock_ns(CLOCK_THREAD_CPUTIME_ID);
	bool over = false;

	if (l.traverse) {
		for (std::size_t list = begin; list < end; list++)
			one(m, l, list);
		r.first_ops = end - begin;
		r.first_ns = clock_ns(CLOCK_THREAD_CPUTIME_ID) - start;
		start += r.first_ns;
	}
	while (!over) {
		for (std::size_t list = begin; list < end && !over; list++) {
			one(m, l, list);
			r.ops++;
			/* A traversal is not broken off. */
			over = !l.traverse && r.ops % 64 == 0 &&
			       clock_ns(CLOCK_MONOTONIC) > give_up;
		}
		over = over || clock_ns(CLOCK_MONOTONIC) > give_up;
	}
	r.ns = clock_ns(CLOCK_THREAD_CPUTIME_ID) - start;
	all_done.arrive_and_wait();
	if (drains && !l.traverse) {
		start = clock_ns(CLOCK_THREAD_CPUTIME_ID);
		m.drain();
		r.ns += clock_ns(CLOCK_THREAD_CPUTIME_ID) - start;
	}
	return r;
}

void run_round(manager &m, const load &l, const setting &s, double ms, figure &out,
	       busy_time *busy_alone)
{
	std::vector<thread_result> results(s.threads);
	std::vector<std::thread> threads;
	std::barrier start((long)s.threads + 1), all_done((long)s.threads);
	const std::size_t share = l.lists.size() / s.threads;
	busy_time shared;
	busy_thread busy(s.busy, s.threads == 1 ? busy_alone : &shared);
	thread_result sum;

	m.prepare(l.lists);
	for (unsigned t = 0; t < s.threads; t++) {
		threads.emplace_back([&, t] {
			pin(t);
			m.enter(t);
			start.arrive_and_wait();
			results[t] =
				run_thread(m, l, t * share, (t + 1) * share, ms, all_done, t == 0);
			m.leave();
		});
	}
	const double shot = tlb_shootdowns();

	start.arrive_and_wait();
	const double began = clock_ns(CLOCK_MONOTONIC);

	for (std::thread &t : threads)
		t.join();
	const double wall = clock_ns(CLOCK_MONOTONIC) - began;
	const double shot_after = tlb_shootdowns();

	/* What it keeps would count against the others: the limit of mappings is the process's. */
	m.prepare({l.lists.how, l.lists.each, {}});
	for (const thread_result &r : results) {
		sum.ns += r.ns;
		sum.ops += r.ops;
		sum.first_ns += r.first_ns;
		sum.first_ops += r.first_ops;
	}
	out.ns.push_back(sum.ns / (double)sum.ops);
	if (sum.first_ops)
		out.first_ns.push_back(sum.first_ns / (double)sum.first_ops);
	out.wall_ns.push_back(wall * s.threads / (double)(sum.ops + sum.first_ops));
	out.shootdowns.push_back((shot_after - shot) / (double)(sum.ops + sum.first_ops));
}

void print_terms(unsigned rounds, double ms)
{
	std::printf("# max_map_count: %s\n", first_line("/proc/sys/vm/max_map_count", "").c_str());
	std::printf(
		"# rounds: %u of %.0f ms, managers alternating, medians; ns of processor time\n",
		rounds, ms);
}

/* One measurement's name. */
struct cell {
	std::string load, manager;
	unsigned threads;
	bool busy;

	auto operator<=>(const cell &) const = default;
};

typedef std::map<cell, figure> table;

void print_load(const table &figures, const std::vector<std::unique_ptr<manager>> &managers,
		const load &l, const std::vector<setting> &settings)
{
	for (const setting &s : settings) {
		std::printf("\n%-14s %u thread%s%-24s %10s %10s %10s %10s\n", l.name, s.threads,
			    s.threads > 1 ? "s, " : ",  ",
			    s.busy ? "other CPU busy" : "other CPU free", "ns/op", "wall",
			    l.traverse ? "1st time" : "", "TLB int/op");
		for (const auto &m : managers) {
			const figure &f = figures.at({l.name, m->name(), s.threads, s.busy});

			std::printf("    %-44s %10.0f %10.0f ", m->name(), f.cost(),
				    figure::median(f.wall_ns));
			if (l.traverse)
				std::printf("%10.0f", f.first());
			else
				std::printf("%10s", "");
			std::printf(" %10.2f\n", figure::median(f.shootdowns));
		}
	}
}

class targets
{
public:
	explicit targets(const table &figures) : figures_(figures) {}

	double cost(const char *load, const char *manager, unsigned threads = 1) const
	{
		auto found = figures_.find({load, manager, threads, true});

		return found == figures_.end() ? NAN : found->second.cost();
	}
	void at_least(const char *what, double ratio, double wanted)
	{
		print(what, ratio, ">=", wanted, ratio >= wanted);
	}
	void at_most(const char *what, double ratio, double wanted)
	{
		print(what, ratio, "<=", wanted, ratio <= wanted);
	}

private:
	static void print(const char *what, double ratio, const char *op, double wanted, bool met)
	{
		if (!std::isnan(ratio))
			std::printf("%-64s %9.3f %s %-6g %s\n", what, ratio, op, wanted,
				    met ? "met" : "NOT met");
	}

	const table &figures_;
};

constexpr const char *per_op = "floor: mmap, munmap", *per_64 = "floor: mmap, munmap per 64";

void print_targets(const table &figures, double shootdown_ns)
{
	targets t(figures);

	std::printf("\ntargets, 1 thread, other CPU busy\n");
	t.at_least("xfs_dir, later traversals: eager / lazy+revive",
		   t.cost("xfs_dir", "eager") / t.cost("xfs_dir", "lazy+revive"), 100);
	t.at_least("xfs_dir, later traversals: batch:64 / lazy+revive",
		   t.cost("xfs_dir", "batch:64") / t.cost("xfs_dir", "lazy+revive"), 100);
	t.at_least("merge: eager / lazy", t.cost("merge", "eager") / t.cost("merge", "lazy"), 6);
	t.at_least("scatter_read: eager / lazy",
		   t.cost("scatter_read", "eager") / t.cost("scatter_read", "lazy"), 2.5);
	for (const char *load : {"merge", "scatter_read", "scatter_write", "xfs_dir"}) {
		const std::string what = std::string(load) + ": batch:64 / its floor";

		t.at_most(what.c_str(), t.cost(load, "batch:64") / t.cost(load, per_64), 1.15);
	}
	t.at_most("xfs_dir, later traversals: 2 threads / 1 thread, per op",
		  t.cost("xfs_dir", "lazy+revive", 2) / t.cost("xfs_dir", "lazy+revive"), 1.3);
	t.at_most("pair: lazy+revive / eager",
		  t.cost("pair", "lazy+revive") / t.cost("pair", "eager"), 0.01);
	t.at_most("vmap_shootdown() of a page without alias, ns", shootdown_ns, 30);
}

struct options {
	unsigned rounds = 5;
	double ms = 40;
	std::string load;
};

int usage(const char *why, const char *what)
{
	std::fprintf(stderr,
		     "bench-vunmap-batching: %s%s\nusage: bench-vunmap-batching [--rounds 1..1000] "
		     "[--ms 1..10000] [--load NAME]\n",
		     why, what);
	return 2;
}

bool parse_number(const char *text, long most, long *value)
{
	char *end;

	*value = std::strtol(text, &end, 10);
	return !*end && *value >= 1 && *value <= most;
}

int parse(int argc, char **argv, options *o)
{
	for (int i = 1; i < argc; i++) {
		const std::string option = argv[i];
		long value;

		if (option != "--rounds" && option != "--ms" && option != "--load")
			return usage("no such option: ", argv[i]);
		if (++i == argc)
			return usage("a value is missing: ", option.c_str());
		if (option == "--load") {
			o->load = argv[i];
			continue;
		}
		if (!parse_number(argv[i], option == "--ms" ? 10000 : 1000, &value))
			return usage("not a number in range: ", argv[i]);
		if (option == "--ms")
			o->ms = (double)value;
		else
			o->rounds = (unsigned)value;
	}
	return 0;
}

} // namespace

int main(int argc, char **argv)
{
	const std::vector<setting> settings = {{1, false}, {1, true},  {2, false},
					       {2, true},  {4, false}, {4, true}};
	std::vector<std::unique_ptr<manager>> managers;
	std::vector<load> loads = make_loads();
	double shootdown_ns = NAN;
	busy_time busy_alone;
	table figures;
	options o;
	int err = parse(argc, argv, &o);

	if (err)
		return err;
	std::erase_if(loads, [&](const load &l) { return !o.load.empty() && o.load != l.name; });
	if (loads.empty())
		return usage("no such load: ", o.load.c_str());
	managers.push_back(make_floor(per_op, 1));
	managers.push_back(make_floor(per_64, 64));
	managers.push_back(make_naive());
	for (const char *policy : {"eager", "batch:64", "lazy", "lazy+revive"})
		managers.push_back(make_policy(policy));
	print_environment("all");
	print_terms(o.rounds, o.ms);
	for (const load &l : loads) {
		for (unsigned round = 0; round < o.rounds; round++) {
			for (const setting &s : settings) {
				for (auto &m : managers)
					run_round(*m, l, s, o.ms,
						  figures[{l.name, m->name(), s.threads, s.busy}],
						  &busy_alone);
			}
		}
		print_load(figures, managers, l, settings);
		std::fflush(stdout);
	}
	for (auto &m : managers) {
		const double ns = m->shootdown_ns();

		if (ns >= 0)
			shootdown_ns = std::isnan(shootdown_ns) ? ns : std::max(ns, shootdown_ns);
	}
	/*
	 * An idle address space is not interrupted: without the busy thread there is no flush to
	 * pay.
	 */
	std::printf("\n# busy thread beside 1 thread: ran %.0f %% of the time%s\n",
		    100 * busy_alone.ran_ns / busy_alone.wanted_ns,
		    busy_alone.ran_ns < 0.8 * busy_alone.wanted_ns
			    ? "; warning: other programs took the processor: eager looks too cheap"
			    : "");
	print_targets(figures, shootdown_ns);
	return 0;
}
