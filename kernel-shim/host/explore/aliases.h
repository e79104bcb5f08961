/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One memory at several addresses: both ends of a ring see the shared page at their own. What
 * threads share is found out by address (dependence.h), so an access is taken for one to the
 * memory itself, whatever way it comes.
 *
 *	kernel map	| page 7 | page 3 |		a range for each run of frames
 *			     |        |
 *	direct map	... page 3 ... page 7 ...	what steps and traces are about
 */
#ifndef KSHIM_EXPLORE_ALIASES_H
#define KSHIM_EXPLORE_ALIASES_H

#include <linux/types.h>

#include <vector>

class alias_table
{
public:
	void add(const void *alias, const void *memory, size_t bytes)
	{
		ranges_.push_back({(u64)alias, (u64)memory, bytes});
	}

	/* What [@alias, @alias + @bytes) is of any range; what is beside it stays. */
	void remove(const void *alias, size_t bytes)
	{
		const u64 first = (u64)alias, end = first + bytes;

		for (size_t i = 0; i < ranges_.size();) {
			const range r = ranges_[i];

			if (r.alias >= end || r.alias + r.bytes <= first) {
				i++;
				continue;
			}
			ranges_.erase(ranges_.begin() + (long)i);
			if (r.alias < first)
				ranges_.insert(ranges_.begin() + (long)i++,
					       {r.alias, r.memory, first - r.alias});
			if (r.alias + r.bytes > end)
				ranges_.insert(
					ranges_.begin() + (long)i++,
					{end, r.memory + (end - r.alias), r.alias + r.bytes - end});
		}
	}

	void clear() { ranges_.clear(); }

	const void *memory(const void *object) const
	{
		for (const range &r : ranges_) {
			if ((u64)object - r.alias < r.bytes)
				return (const void *)((u64)object - r.alias + r.memory);
		}
		return object;
	}

private:
	struct range {
		u64 alias, memory, bytes;
	};

	std::vector<range> ranges_; /* a few */
};

#endif
