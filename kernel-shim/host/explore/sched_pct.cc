// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Probabilistic concurrency testing: random priorities, and a few places where they change.
 *
 *	priority	A 12  B 11  C 10	at random, one order for each schedule
 *	decision	0 . . . . 7 . . . . . . 14
 *	runs		A A A A A A|B B B B B B B|C	A drops to 1 at 7, B to 2 at 14
 *
 * The thread with the highest priority runs. At each of depth - 1 places, which are drawn among
 * the decisions of a schedule, who runs drops below all that have not dropped yet, to a priority
 * that was drawn with the place. (Burckhardt, Kothari, Musuvathi,
 * Nagarakatte, "A randomized scheduler with probabilistic guarantees of finding bugs", ASPLOS
 * 2010.)
 *
 * What it promises: let a bug need d events in one order (d = 1: one thread before another; 2: a
 * lost update; ...), and depth be d. With n threads and at most k decisions in a schedule, each
 * schedule finds it with a probability of at least 1/(n k^(d-1)), whatever the program. Random
 * walks have no such bound: theirs falls with k to the power of the length of what must not be
 * disturbed.
 *
 * What it does not promise:
 * - k is not known beforehand: the longest schedule so far stands for it. The first schedules
 *   choose among too few decisions, and miss a bug that only lies behind those.
 * - The proof is about threads that block. One that yields drops below all others, or a loop that
 *   waits for somebody would never end; and time passing is a thread of its own, whose priority is
 *   drawn again each time it has won. Values of kshim_choose() are drawn evenly. Bugs that need
 *   one of these just so are found with what probability that has.
 * - Threads draw their priority when they are first looked at, among those of the others.
 *
 * Each schedule has a generator of its own, made of the seed and its number; with k, which depends
 * on the schedules before, the same seed gives the same run.
 */
#include "random.h"
#include "scheduler.h"

#include <algorithm>

namespace
{

class sched_pct final : public scheduler
{
public:
	sched_pct(u64 seed, unsigned int depth, u64 schedules)
		: seed_(seed), schedules_(schedules), drops_(depth ? depth - 1 : 0)
	{
	}

	bool begin() override
	{
		if (done_ == schedules_)
			return false;
		random_ = random_of_schedule(seed_, ++done_);
		std::fill(std::begin(priorities_), std::end(priorities_), 0);
		lowest_ = LOWEST_DROPPED;
		for (size_t i = 0; i < drops_.size(); i++)
			drops_[i] = {random_.below(decisions_), LOWEST_DROPPED + i};
		std::sort(drops_.begin(), drops_.end());
		next_drop_ = drops_.begin();
		return true;
	}

	bool is_default(const decision &) override { return false; }

	int pick(const decision &d) override
	{
		u64 highest = 0;
		size_t best = 0;

		decisions_ = std::max<u64>(decisions_, d.ordinal + 1);
		if (d.options[0].kind == option_kind::data)
			return (int)random_.below(d.options.size());
		for (; next_drop_ != drops_.end() && next_drop_->first <= d.ordinal; ++next_drop_)
			priorities_[d.thread] = next_drop_->second;
		if (!d.running && d.next.kind == KSHIM_YIELD)
			priorities_[d.thread] = --lowest_;
		for (size_t i = 0; i < d.options.size(); i++) {
			u64 p = priority(as_thread(d.options[i]));

			if (p > highest) {
				highest = p;
				best = i;
			}
		}
		if (d.options[best].kind == option_kind::time)
			priorities_[CLOCK] = 0;
		return (int)best;
	}

private:
	/* As threads: the clock, and the buffers of stores. */
	static constexpr unsigned int CLOCK = 64, BUFFERS = 65, ALL = BUFFERS + 64;
	/* Those who yielded are below, those who have not dropped above. */
	static constexpr u64 LOWEST_DROPPED = 1ull << 32, LOWEST_DRAWN = 1ull << 33;

	static unsigned int as_thread(const schedule_option &o)
	{
		if (o.kind == option_kind::time)
			return CLOCK;
		return o.kind == option_kind::drain ? BUFFERS + o.what : o.what;
	}

	u64 priority(unsigned int thread)
	{
		u64 &p = priorities_[thread];

		if (!p)
			p = LOWEST_DRAWN + (random_.next() >> 1);
		return p;
	}

	const u64 seed_, schedules_;
	u64 done_ = 0;
	generator random_;
	u64 decisions_ = 1; /* of the longest schedule so far */
	u64 priorities_[ALL];
	u64 lowest_ = 0;
	std::vector<std::pair<u64, u64>> drops_; /* decision and priority, by decision */
	std::vector<std::pair<u64, u64>>::const_iterator next_drop_;
};

} // namespace

std::unique_ptr<scheduler> make_sched_pct(u64 seed, unsigned int depth, u64 schedules)
{
	return std::make_unique<sched_pct>(seed, depth, schedules);
}
