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
 * D2. With a reduction, options that it leaves out are not `todo`; and where a thread could go on,
 *     the others wait in `if_raced` until the reduction has seen a race (reduction.h, R3).
 */
#include "reduction.h"
#include "scheduler.h"

namespace
{

class sched_dfs final : public scheduler
{
public:
	sched_dfs(int bound, const u64 *clock)
		: bound_(bound), reduction_(clock ? std::make_unique<reduction>(clock) : nullptr)
	{
	}

	bool begin() override
	{
		pos_ = 0;
		if (started_ && !next_schedule()) {
			exhausted_ = true;
			return false;
		}
		started_ = true;
		if (reduction_)
			reduction_->begin();
		return true;
	}

	bool is_default(const decision &d) override
	{
		if (pos_ < nodes_.size()) {
			const node &n = nodes_[pos_];

			if (d.ordinal < n.ordinal)
				return true;
			/* Passed by on the way to where this schedule differs from the last. */
			if (n.taken || !d.running || n.signature != signature_of(d))
				return false;
			took(d, 0);
			pos_++;
			return true;
		}
		return d.running && !affordable(d);
	}

	int pick(const decision &d) override
	{
		if (pos_ == nodes_.size() && !add_node(d))
			return reduction_ && (left_out(d) & 1) ? REDUNDANT : 0;
		if (nodes_[pos_].ordinal != d.ordinal || nodes_[pos_].signature != signature_of(d))
			return DIVERGED;
		took(d, nodes_[pos_].taken);
		return (int)nodes_[pos_++].taken;
	}

	bool end() override { return pos_ == nodes_.size(); }
	bool exhausted() const override { return exhausted_; }
	class reduction *watcher() override { return reduction_.get(); }

private:
	struct node {
		u32 ordinal;
		u32 taken;
		u64 todo;     /* options to take after this one, a bit each */
		u64 if_raced; /* and these, when taking option 0 turns out to race */
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

	bool next_schedule()
	{
		if (reduction_) {
			for (u32 i : reduction_->raced()) {
				nodes_[i].todo |= nodes_[i].if_raced;
				nodes_[i].if_raced = 0;
			}
		}
		while (!nodes_.empty()) {
			if (nodes_.back().next())
				return true;
			nodes_.pop_back();
		}
		return false;
	}

	/* False: there is nothing to choose. */
	bool add_node(const decision &d)
	{
		node n{d.ordinal, 0, 0, 0, signature_of(d)};
		u64 out = left_out(d);

		for (size_t i = 0; i < d.options.size() && i < 64; i++) {
			if (!(out >> i & 1) && (!d.options[i].preempts || affordable(d)))
				n.todo |= 1ull << i;
		}
		if (!n.next() || (!n.taken && !n.todo))
			return false;
		if (reduction_ && d.running) {
			n.if_raced = n.todo;
			n.todo = 0;
		}
		nodes_.push_back(n);
		return true;
	}

	u64 left_out(const decision &d) const { return reduction_ ? reduction_->left_out(d) : 0; }

	void took(const decision &d, u32 taken)
	{
		if (reduction_)
			reduction_->took(d, taken, d.running && !taken ? (u32)pos_ : NO_NODE);
	}

	bool affordable(const decision &d) const
	{
		return bound_ < 0 || d.preemptions < (u32)bound_;
	}

	static u64 signature_of(const decision &d)
	{
		u64 h = d.running;

		/* Where a thread goes on, what it does: is_default() has no options to look at. */
		if (d.running)
			return h | d.thread << 1 | (u64)d.next.kind << 16 | (u64)d.next.size << 32;
		for (const schedule_option &o : d.options)
			h = (h ^ ((u64)o.kind << 16 | o.what)) * 0x100000001b3ull;
		return h;
	}

	static constexpr u32 NO_NODE = reduction::NO_NODE;

	const int bound_;
	const std::unique_ptr<reduction> reduction_; /* null: every option may matter */
	std::vector<node> nodes_;
	size_t pos_ = 0;
	bool started_ = false, exhausted_ = false;
};

} // namespace

std::unique_ptr<scheduler> make_sched_dfs(int bound, const u64 *clock)
{
	return std::make_unique<sched_dfs>(bound, clock);
}
