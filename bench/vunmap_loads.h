/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * vunmap_loads.h - what is mapped and touched, by how many threads, and what it costs
 *
 *      merge          4 contiguous frames, each list behind the last one: mappings merge; written
 *      scatter_read   4 frames that are not, mapped to be read only, read
 *      scatter_write  4 frames that are not, written
 *      xfs_dir        the seed's: a btree of 1700 blocks of 64 KiB, each block mapped, read and
 *                     unmapped, traversal after traversal; the first apart from the later ones
 *      kmap           single frames, some much more often than others (Zipf)
 *      pair           xfs_dir's map and unmap, without touching anything
 */
#pragma once

#include "vunmap_managers.h"

#include <algorithm>
#include <string>
#include <vector>

namespace vunmap_bench
{

enum class touch { nothing, read, write };

struct load {
	const char *name, *what_it_is;
	bool plotted; /* cost against batch size */
	touch what;
	bool traverse; /* the first time through all lists is measured apart */
	frame_lists lists;
};

std::vector<load> make_loads();

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

/* How long busy threads should have run, and did. */
struct busy_time {
	double wanted_ns = 0, ran_ns = 0;
};

/*
 * One round of @ms for @l under @m, into @out; a traversal is not broken off. @busy_alone: counts
 * how the busy thread fared beside one thread.
 */
void run_round(manager &m, const load &l, const setting &s, double ms, figure &out,
	       busy_time *busy_alone);

} // namespace vunmap_bench
