/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What objects are called: kshim_name(). Kept for one world, read when something is reported.
 */
#ifndef KSHIM_EXPLORE_NAMES_H
#define KSHIM_EXPLORE_NAMES_H

#include <linux/types.h>

#include <string>
#include <vector>

class name_table
{
public:
	/* @stride: of an array whose elements are numbered from @number; 0: one object. */
	void add(const void *object, size_t bytes, size_t stride, const char *name, long number)
	{
		names_.push_back({(u64)object, bytes, stride, name, number});
	}

	void clear() { names_.clear(); }

	/* "view page 3", "w->lock+8", or empty. What was named last counts. */
	std::string find(const void *object) const;

private:
	struct name {
		u64 start;
		size_t bytes, stride;
		const char *text;
		long number; /* -1: none */
	};

	std::vector<name> names_;
};

#endif
