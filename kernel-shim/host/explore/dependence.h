/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What depends on what in the schedule that is being run.
 *
 * A step is what a thread does from one schedule point up to the next: the announced access, and
 * plain code. Two steps depend on each other when they are one thread's, when they touch the same
 * word and one of them writes, or when one lets the other's thread go on. Steps that do not
 * depend on each other can change places when they are neighbours, and nothing else changes.
 *
 *	step		1	2	3	4	5
 *	thread		A	A	B	B	A
 *	access		store x	store y	load z	load y	store z
 *	row		A 1	A 2	B 3	A 2 B 4	A 5 B 3
 *
 * A row is a step's vector clock: for each thread, its newest step that had to come before. Step 4
 * *races* with 2: they depend on each other, and nothing else orders them. 5 races with 3.
 *
 * D1. An access without an address touches everything, and so does one of very many words.
 * D2. Sleeping on a word is writing it (the order of sleepers is the order of wakes), and so is
 *     waking, and giving up to sleep there. What could make a sleeper's deadline another, or the
 *     earliest, writes the clock's word; that is where time passing meets it.
 * D3. Words are told apart by address within one schedule only; nothing is kept between schedules
 *     but room.
 */
#ifndef KSHIM_EXPLORE_DEPENDENCE_H
#define KSHIM_EXPLORE_DEPENDENCE_H

#include <kshim/host.h>

#include <vector>

/* What a thread is about to do at a schedule point. */
struct step_access {
	enum kshim_point_kind kind = KSHIM_YIELD;
	const void *object = nullptr;
	unsigned int size = 0;
	bool sleeps = false;        /* may go to sleep on the word */
	const u64 *clock = nullptr; /* and does so with a deadline, by this clock */

	bool writes() const { return kind != KSHIM_LOAD || sleeps; }
};

class dependence
{
public:
	dependence() : slots_(1u << 10), reads_(slots_.size() * stride_) {}

	/* A new schedule. */
	void begin();

	/* @thread takes the next step, which has touched nothing yet. */
	void step(unsigned int thread);

	/* The last step makes this access (too). Appends the steps that it races with. */
	void touch(const step_access &access, std::vector<u32> *races);

	/* The last step lets @thread go on. */
	void enables(unsigned int thread) { enabled_by_[thread] = now_; }

	/* Steps so far; they are numbered from 1. */
	u32 steps() const { return now_; }

	/*
	 * No step after number @since depends on an access that is still to come; its thread has
	 * taken no step since.
	 */
	bool undisturbed(const step_access &access, u32 since) const;

	/* The newest step of another thread that had to come before @thread's last one. */
	u32 newest_before(unsigned int thread) const;

private:
	static constexpr unsigned int MAX_THREADS = 64;
	static constexpr unsigned int MAX_WORDS_OF_ACCESS = 1024;

	struct slot {
		u64 word = 0; /* address / 8; 0: empty */
		u64 readers = 0;
		u32 schedule = 0; /* an older one's slot is as good as untouched */
		u32 write = 0;
		u32 writer = 0;
	};

	static bool touches_all(const step_access &a);
	const slot *find(u64 word) const;
	slot *insert(u64 word);
	void layout(size_t nr_slots, unsigned int stride);

	u32 *row(u32 step) { return rows_.data() + (size_t)step * stride_; }
	const u32 *row(u32 step) const { return rows_.data() + (size_t)step * stride_; }
	u32 *reads(const slot *s) { return reads_.data() + (size_t)(s - slots_.data()) * stride_; }
	const u32 *reads(const slot *s) const
	{
		return reads_.data() + (size_t)(s - slots_.data()) * stride_;
	}
	void depend(unsigned int thread, u32 step, std::vector<u32> *races);
	void touch_word(u64 word, bool write, std::vector<u32> *races);
	void touch_all(std::vector<u32> *races);
	bool word_undisturbed(u64 word, bool write, u32 since) const;

	u32 schedule_ = 0;
	u32 now_ = 0;             /* the last step */
	unsigned int thread_ = 0; /* whose */
	u32 last_all_ = 0;        /* the last that touched everything */
	unsigned int last_all_thread_ = 0;
	u32 last_of_[MAX_THREADS] = {};
	u32 enabled_by_[MAX_THREADS] = {};

	unsigned int stride_ = 8; /* room for so many threads in a row */
	std::vector<u32> rows_;
	std::vector<slot> slots_; /* an open hash table, at most half full */
	std::vector<u32> reads_;  /* a row for each slot: each thread's last read */
	size_t nr_slots_used_ = 0;
};

#endif
