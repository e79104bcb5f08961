// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Uniform random choices. Each schedule has a generator of its own, made of the seed and its
 * number, so the nth schedule does not depend on the length of those before.
 *
 * A running thread is left with probability 1/8: with an even chance at every point, schedules
 * would be a fine shuffle and long stretches of one thread would hardly occur.
 */
#include "random.h"
#include "scheduler.h"

namespace
{

class sched_random final : public scheduler
{
public:
	sched_random(u64 seed, u64 schedules) : seed_(seed), schedules_(schedules) {}

	bool begin() override
	{
		if (done_ == schedules_)
			return false;
		random_ = random_of_schedule(seed_, ++done_);
		return true;
	}

	bool is_default(const decision &d) override { return d.running && random_.below(8); }

	int pick(const decision &d) override { return (int)random_.below(d.options.size()); }

private:
	const u64 seed_, schedules_;
	u64 done_ = 0;
	generator random_;
};

} // namespace

std::unique_ptr<scheduler> make_sched_random(u64 seed, u64 schedules)
{
	return std::make_unique<sched_random>(seed, schedules);
}
