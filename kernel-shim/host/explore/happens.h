/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Happens-before: which plain accesses are ordered, and which race.
 *
 *	A: data = 1 ; release flag			clock of A  [3 .]
 *			 \ what A knew: [3 .]
 *	B:		  acquire flag ; read data	clock of B  [3 2]: 3 covers A's write
 *
 * A thread counts its own time and keeps how far it knows of each other thread. A release leaves
 * that knowledge at the word, an acquire that reads the word takes it. An access is (thread, time);
 * a later one of another thread is ordered after it when that thread knows of that time. Two that
 * are not ordered, to one byte, one of them a write, are a data race, whether or not this schedule
 * showed a wrong result.
 *
 * H1. Orders are those of C++ (and so of Linux as <linux/atomic.h> has it): relaxed accesses
 *     order nothing; a relaxed store takes away what a release left at the word, a relaxed
 *     read-modify-write keeps it; a fence makes the relaxed accesses before (acquire) or after
 *     (release) it count.
 * H2. What comes before the explored part happens before all of it.
 * H3. Words of atomic accesses are told apart by address, plain data by byte.
 * H4. A number of a thread that is used again goes on with the clock of its last owner.
 */
#ifndef KSHIM_EXPLORE_HAPPENS_H
#define KSHIM_EXPLORE_HAPPENS_H

#include <kshim/host.h>

#include <vector>

struct plain_access {
	unsigned int thread = 0;
	u32 time = 0;
	bool write = false;
	const void *caller = nullptr;
};

class happens
{
public:
	static constexpr unsigned int THREADS = 64;

	/* The explored part begins with threads 0..@nr - 1. */
	void begin(unsigned int nr);

	/* @child is started by @parent, or @parent has seen the end of @child. */
	void started(unsigned int child, unsigned int parent);
	void joined(unsigned int parent, unsigned int child);

	/* Thread @t makes @kind of access to the word at @object, with __ATOMIC_* @order. */
	void access(unsigned int t, enum kshim_point_kind kind, const void *object, int order);

	/*
	 * Stores wait in buffers (store_buffer.h): what a reader finds may be older than the last
	 * release at the word, so that a store leaves what was there. Some races are missed then.
	 */
	void set_buffered(bool on) { buffered_ = on; }

	/* False: it races with *@other. Accesses of @how.thread only; its time is filled in. */
	bool plain(const void *object, size_t size, plain_access how, plain_access *other);

private:
	struct clock {
		u32 time[THREADS];
	};
	/* What a release left at a word; what was done to eight bytes. */
	struct table_slot {
		u64 key;
		u32 round, index;
	};
	struct record {
		plain_access how;
		u32 next; /* + 1; 0: the last */
		u8 bytes; /* of the eight, a bit each */
	};

	class table
	{
	public:
		table() : slots_(1u << 10) {}
		void clear();
		/* Null: not there. */
		u32 *find(u64 key);
		/* Makes it, with index 0, when it is not there. */
		u32 *insert(u64 key);

	private:
		table_slot *look(u64 key);

		std::vector<table_slot> slots_;
		size_t nr_ = 0;
		u32 round_ = 1;
	};

	void join(clock *to, const clock &from) const;
	void acquire(unsigned int t, u64 key, bool now);
	void release(u64 key, const clock *from, bool keep);
	bool knows(unsigned int t, const plain_access &a) const
	{
		return clocks_[t].time[a.thread] >= a.time;
	}

	unsigned int nr_ = 0;
	bool buffered_ = false;
	clock clocks_[THREADS] = {};
	clock seen_[THREADS] = {};  /* by relaxed loads: for the next acquire fence */
	clock fence_[THREADS] = {}; /* at the last release fence */
	bool has_fence_[THREADS] = {};

	table words_; /* index + 1 into left_; 0: nothing */
	std::vector<clock> left_;
	table plain_; /* index + 1 into records_ */
	std::vector<record> records_;
};

#endif
