// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Vector clocks of steps and the last accesses to each word: see dependence.h.
 */
#include "dependence.h"

#include <algorithm>
#include <string.h>

static u64 first_word(const step_access &a)
{
	return (u64)a.object >> 3;
}

static u64 last_word(const step_access &a)
{
	return ((u64)a.object + (a.size ? a.size - 1 : 0)) >> 3;
}

static size_t hash(u64 word)
{
	return (size_t)((word * 0x9e3779b97f4a7c15ull) >> 20);
}

bool dependence::touches_all(const step_access &a)
{
	return !a.object || last_word(a) - first_word(a) >= MAX_WORDS_OF_ACCESS;
}

void dependence::begin()
{
	schedule_++;
	now_ = last_all_ = 0;
	memset(last_of_, 0, sizeof(last_of_));
	memset(enabled_by_, 0, sizeof(enabled_by_));
	if (rows_.empty())
		rows_.resize(64 * stride_);
	memset(rows_.data(), 0, stride_ * sizeof(u32)); /* step 0: nothing came before */
}

/* Moves everything to a table of @nr_slots, with room for @stride threads. */
void dependence::layout(size_t nr_slots, unsigned int stride)
{
	std::vector<slot> old_slots(nr_slots);
	std::vector<u32> old_reads(nr_slots * stride), old_rows(rows_.size() / stride_ * stride);
	unsigned int old_stride = stride_;

	old_slots.swap(slots_);
	old_reads.swap(reads_);
	old_rows.swap(rows_);
	stride_ = stride;
	nr_slots_used_ = 0;
	for (size_t i = 0; i < old_slots.size(); i++) {
		if (!old_slots[i].word || old_slots[i].schedule != schedule_)
			continue;
		slot *s = insert(old_slots[i].word);

		*s = old_slots[i];
		memcpy(reads(s), &old_reads[i * old_stride], old_stride * sizeof(u32));
	}
	for (size_t i = 0; i <= now_; i++)
		memcpy(row((u32)i), &old_rows[i * old_stride], old_stride * sizeof(u32));
}

const dependence::slot *dependence::find(u64 word) const
{
	for (size_t i = hash(word);; i++) {
		const slot &s = slots_[i & (slots_.size() - 1)];

		if (s.word == word)
			return s.schedule == schedule_ ? &s : nullptr;
		if (!s.word)
			return nullptr;
	}
}

dependence::slot *dependence::insert(u64 word)
{
	for (size_t i = hash(word);; i++) {
		slot &s = slots_[i & (slots_.size() - 1)];

		if (s.word && s.word != word)
			continue;
		nr_slots_used_ += !s.word;
		if (s.schedule != schedule_)
			s = {.word = word, .schedule = schedule_};
		return &s;
	}
}

void dependence::step(unsigned int thread)
{
	while (thread >= stride_)
		layout(slots_.size(), stride_ * 2);
	now_++;
	thread_ = thread;
	if (rows_.size() < (size_t)(now_ + 1) * stride_)
		rows_.resize(rows_.size() * 2);
	memcpy(row(now_), row(last_of_[thread]), stride_ * sizeof(u32));
	if (enabled_by_[thread] > last_of_[thread])
		depend(thread, enabled_by_[thread], nullptr);
	row(now_)[thread] = now_;
	last_of_[thread] = now_;
}

/* The last step depends on @step of @thread; nothing was in their way if it did not yet. */
void dependence::depend(unsigned int thread, u32 step, std::vector<u32> *races)
{
	u32 *mine = row(now_);
	const u32 *other = row(step);

	if (races) {
		if (mine[thread] >= step)
			return;
		races->push_back(step);
	}
	for (unsigned int i = 0; i < stride_; i++)
		mine[i] = std::max(mine[i], other[i]);
}

void dependence::touch_word(u64 word, bool write, std::vector<u32> *races)
{
	if (nr_slots_used_ * 2 >= slots_.size())
		layout(slots_.size() * 2, stride_);

	slot *s = insert(word);

	if (write) {
		for (u64 left = s->readers & ~(1ull << thread_); left; left &= left - 1) {
			unsigned int reader = (unsigned int)__builtin_ctzll(left);

			depend(reader, reads(s)[reader], races);
		}
	}
	if (s->write && s->writer != thread_)
		depend(s->writer, s->write, races);
	if (write) {
		s->write = now_;
		s->writer = thread_;
		s->readers = 0;
	} else {
		s->readers |= 1ull << thread_;
		reads(s)[thread_] = now_;
	}
}

void dependence::touch_all(std::vector<u32> *races)
{
	for (unsigned int i = 0; i < stride_; i++) {
		if (i != thread_ && last_of_[i])
			depend(i, last_of_[i], races);
	}
	last_all_ = now_;
	last_all_thread_ = thread_;
}

void dependence::touch(const step_access &a, std::vector<u32> *races)
{
	if (touches_all(a)) {
		touch_all(races);
	} else {
		for (u64 w = first_word(a); w <= last_word(a); w++)
			touch_word(w, a.writes(), races);
	}
	if (a.clock)
		touch_word((u64)a.clock >> 3, true, races);
	/* Last: what came after it and is depended on has brought it along. */
	if (last_all_ && last_all_thread_ != thread_)
		depend(last_all_thread_, last_all_, races);
}

bool dependence::word_undisturbed(u64 word, bool write, u32 since) const
{
	const slot *s = find(word);

	if (!s)
		return true;
	if (s->write > since)
		return false;
	for (u64 left = write ? s->readers : 0; left; left &= left - 1) {
		if (reads(s)[__builtin_ctzll(left)] > since)
			return false;
	}
	return true;
}

bool dependence::undisturbed(const step_access &a, u32 since) const
{
	if (last_all_ > since || (touches_all(a) && now_ > since))
		return false;
	if (a.clock && !word_undisturbed((u64)a.clock >> 3, true, since))
		return false;
	for (u64 w = first_word(a); w <= last_word(a); w++) {
		if (!word_undisturbed(w, a.writes(), since))
			return false;
	}
	return true;
}

u32 dependence::newest_before(unsigned int thread) const
{
	const u32 *mine = row(last_of_[thread]);
	u32 newest = 0;

	for (unsigned int i = 0; i < stride_; i++) {
		if (i != thread)
			newest = std::max(newest, mine[i]);
	}
	return newest;
}
