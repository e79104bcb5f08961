// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Makes a violating schedule shorter: parts of its deviations are left out, halves first, then
 * quarters, and so on down to single ones, for as long as the rest still violates.
 *
 *	12.1 20.2 35.1 90.3	violates
 *	          35.1 90.3	violates too
 *	               90.3	does not: something of the first two is needed, or of 35.1
 *	          35.1		violates: this is it
 *
 * What is left out moves the decisions after it, so the rest is not taken by its numbers but for a
 * wish: "when program has made 35 steps, kworker goes on". Wishes that cannot be fulfilled any more
 * are forgotten; the schedule that came of the others is what counts.
 */
#include "shrink.h"

#include <ctype.h>

/* Chance finds schedules with hundreds of deviations; a run takes less than a millisecond. */
static constexpr unsigned int MAX_RUNS = 2000;

/* Numbers differ from schedule to schedule: "holds 2", "holds 3". */
static std::string without_numbers(const std::string &reason)
{
	std::string text;

	for (char c : reason) {
		if (!isdigit((unsigned char)c))
			text += c;
	}
	return text;
}

namespace
{

class sched_wishes final : public scheduler
{
public:
	explicit sched_wishes(std::vector<wish> wishes) : wishes_(std::move(wishes)) {}

	bool begin() override { return true; }

	/* A running thread's decisions are told from each other by its steps only. */
	bool is_default(const decision &) override { return false; }

	int pick(const decision &d) override
	{
		for (size_t i = 0; i < wishes_.size(); i++) {
			const wish &w = wishes_[i];

			if (w.thread != d.thread || w.thread_steps != d.thread_steps)
				continue;
			for (size_t k = 1; k < d.options.size(); k++) {
				if (d.options[k].kind != w.option.kind ||
				    d.options[k].what != w.option.what)
					continue;
				wishes_.erase(wishes_.begin() + (long)i);
				return (int)k;
			}
		}
		return 0;
	}

private:
	std::vector<wish> wishes_;
};

} // namespace

void shrink(explorer *e)
{
	const std::string reason = without_numbers(e->reason());
	std::vector<deviation> path = e->path();
	std::vector<wish> best = e->wishes();
	unsigned int preemptions = e->preemptions(), runs = 0;

	for (size_t part = best.size(); part;) {
		size_t before = best.size();

		for (size_t at = 0; at < best.size() && runs < MAX_RUNS; runs++) {
			size_t end = at + part < best.size() ? at + part : best.size();
			std::vector<wish> rest = best;

			rest.erase(rest.begin() + (long)at, rest.begin() + (long)end);
			sched_wishes sched(rest);

			if (e->run_one(&sched, false) == outcome::violated &&
			    e->wishes().size() < best.size() && e->preemptions() <= preemptions &&
			    without_numbers(e->reason()) == reason) {
				best = e->wishes();
				path = e->path();
				preemptions = e->preemptions();
			} else {
				at = end;
			}
		}
		/* Single ones over and over: what could not go before may go now. */
		if (part > 1)
			part = (part + 1) / 2;
		else if (best.size() == before)
			break;
	}
	(void)e->run_one(make_sched_replay(path).get(), false);
}
