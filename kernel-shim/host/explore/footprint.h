/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Who touched what: which preemptions cannot matter.
 *
 * A step is what a thread does from one schedule point up to the next: one announced access, and
 * plain code. When no other thread ever touches the accessed word (or all only read it), the step
 * commutes with every step of the others. So a schedule that preempts right before it has an
 * equal one, with no more preemptions, that preempts right after it; and the search may leave the
 * first one out.
 *
 * Which words are shared is not known beforehand. The table learns it: the search starts with
 * "nothing is shared", and when a schedule finds a word shared that was passed without branching
 * before, it starts anew with what is known by then. When a search ends without having learnt
 * anything, each of its schedules has branched before each access to a shared word.
 *
 * F1. An access without an address concerns everything, and so does one that the table cannot hold.
 * F2. The table knows words by address: that is why worlds begin at the same addresses (arena.h).
 *     Where they do not, it only learns too much.
 */
#ifndef KSHIM_EXPLORE_FOOTPRINT_H
#define KSHIM_EXPLORE_FOOTPRINT_H

#include <kshim/host.h>

#include <vector>

/* What a thread is about to do at a schedule point. */
struct step_access {
	enum kshim_point_kind kind = KSHIM_YIELD;
	const void *object = nullptr;
	unsigned int size = 0;
};

class footprint
{
public:
	footprint() : slots_(1u << 12) {}

	/* Is a preemption before @access worth a look? */
	bool may_matter(const step_access &access) const;

	/* @fiber makes @access. Sets grown() when a word turns out to be shared. */
	void record(unsigned int fiber, const step_access &access);

	bool grown() const { return grown_; }
	void clear_grown() { grown_ = false; }
	size_t words() const { return nr_; }

private:
	struct slot {
		u64 word = 0; /* address / 8; 0: empty */
		u64 readers = 0, writers = 0;
	};

	static constexpr unsigned int MAX_WORDS_OF_ACCESS = 1024;

	static bool shared(const slot &s)
	{
		u64 all = s.readers | s.writers;

		return s.writers && (all & (all - 1));
	}
	const slot *find(u64 word) const;
	slot *insert(u64 word);
	void grow();

	std::vector<slot> slots_;
	size_t nr_ = 0;
	bool grown_ = false;
};

#endif
