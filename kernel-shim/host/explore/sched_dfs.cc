// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Depth first search with a bound on preemptions.
 *
 *	nodes_:	 d7 took 0 of 3 | d12 took 2 of 4 | d31 took 1 of 2	of this schedule
 *	next:	 ------- the same -------	  | d31 is done: dropped
 *					  d12 takes 3, and from there on option 0
 *
 * D1. A node is a decision at which there was something to choose within the bound. The program is
 *     deterministic, so running the same choices meets the same nodes; a difference is reported.
 * D2. A preemption is only considered before an access that may matter (footprint.h).
 */
#include "scheduler.h"

namespace
{

class sched_dfs final : public scheduler
{
public:
	sched_dfs(int bound, const footprint *shared) : bound_(bound), shared_(shared) {}

	bool begin() override
	{
		pos_ = 0;
		if (!started_) {
			started_ = true;
			return true;
		}
		while (!nodes_.empty()) {
			if (nodes_.back().next()) {
				return true;
			}
			nodes_.pop_back();
		}
		exhausted_ = true;
		return false;
	}

	bool is_default(u32 ordinal, u32 preemptions, bool running,
			const step_access &next) override
	{
		if (pos_ < nodes_.size())
			return ordinal < nodes_[pos_].ordinal;
		if (!running || next.kind == KSHIM_YIELD)
			return false;
		return !affordable(preemptions) || (shared_ && !shared_->may_matter(next));
	}

	int pick(const decision &d) override
	{
		u64 signature = signature_of(d);

		if (pos_ == nodes_.size()) {
			node n{d.ordinal, 0, 0, signature};

			for (size_t i = 1; i < d.options.size() && i < 64; i++) {
				if (!d.options[i].preempts || affordable(d.preemptions))
					n.todo |= 1ull << i;
			}
			if (!n.todo)
				return 0;
			nodes_.push_back(n);
		}
		if (nodes_[pos_].ordinal != d.ordinal || nodes_[pos_].signature != signature)
			return -1;
		return (int)nodes_[pos_++].taken;
	}

	bool end() override { return pos_ == nodes_.size(); }

	bool restart() override
	{
		nodes_.clear();
		started_ = exhausted_ = false;
		return true;
	}

	bool exhausted() const override { return exhausted_; }

private:
	struct node {
		u32 ordinal;
		u32 taken;
		u64 todo; /* options to take after this one, a bit each */
		u64 signature;

		bool next()
		{
			if (!todo)
				return false;
			taken = (u32)__builtin_ctzll(todo);
			todo &= todo - 1;
			return true;
		}
	};

	bool affordable(u32 preemptions) const { return bound_ < 0 || preemptions < (u32)bound_; }

	static u64 signature_of(const decision &d)
	{
		u64 h = d.running;

		for (const schedule_option &o : d.options)
			h = (h ^ ((u64)o.kind << 16 | o.what)) * 0x100000001b3ull;
		return h;
	}

	const int bound_;
	const footprint *shared_; /* null: every preemption may matter */
	std::vector<node> nodes_;
	size_t pos_ = 0;
	bool started_ = false, exhausted_ = false;
};

} // namespace

std::unique_ptr<scheduler> make_sched_dfs(int bound, const footprint *shared)
{
	return std::make_unique<sched_dfs>(bound, shared);
}
