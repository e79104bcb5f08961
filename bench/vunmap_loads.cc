// SPDX-License-Identifier: GPL-2.0-or-later
#include "vunmap_loads.h"

#include <atomic>
#include <barrier>
#include <ctime>
#include <fstream>
#include <random>
#include <sched.h>
#include <sstream>
#include <thread>
#include <unistd.h>

namespace vunmap_bench
{

namespace
{

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

} // namespace

std::vector<load> make_loads()
{
	constexpr std::size_t blocks = 1700, block_frames = 16;
	const frame_lists dir = {api::vmap, block_frames, scattered(blocks * block_frames)};
	const std::vector<std::uint32_t> four = scattered(4 * 4096);

	return {
		{"merge",
		 "4 contiguous frames, written",
		 true,
		 touch::write,
		 false,
		 {api::map_ram, 4, in_order(4 * 4096)}},
		{"scatter_read",
		 "4 scattered frames, read only",
		 true,
		 touch::read,
		 false,
		 {api::vmap_ro, 4, four}},
		{"scatter_write",
		 "4 scattered frames, written",
		 true,
		 touch::write,
		 false,
		 {api::map_ram, 4, four}},
		{"xfs_dir", "1700 blocks of 16 scattered frames, again and again", true,
		 touch::read, true, dir},
		{"kmap",
		 "single frames of high memory, some often",
		 false,
		 touch::write,
		 false,
		 {api::kmap, 1, zipf(1 << 16, high_frames)}},
		{"pair", "xfs_dir's map and unmap alone", false, touch::nothing, true, dir},
	};
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

} // namespace vunmap_bench
