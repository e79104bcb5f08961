// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Uniform random choices. Each schedule has a generator of its own, made of the seed and its
 * number, so the nth schedule does not depend on the length of those before.
 *
 * A running thread is left with probability 1/8: with an even chance at every point, schedules
 * would be a fine shuffle and long stretches of one thread would hardly occur.
 */
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
		state_ = seed_ * 0x9e3779b97f4a7c15ull + ++done_ * 0xd1342543de82ef95ull;
		return true;
	}

	bool is_default(u32, u32, bool running, const step_access &next) override
	{
		return running && next.kind != KSHIM_YIELD && (random() & 7);
	}

	int pick(const decision &d) override { return (int)(random() % d.options.size()); }

private:
	/* splitmix64 */
	u64 random()
	{
		u64 z = state_ += 0x9e3779b97f4a7c15ull;

		z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
		z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
		return z ^ (z >> 31);
	}

	const u64 seed_, schedules_;
	u64 done_ = 0, state_ = 0;
};

} // namespace

std::unique_ptr<scheduler> make_sched_random(u64 seed, u64 schedules)
{
	return std::make_unique<sched_random>(seed, schedules);
}
