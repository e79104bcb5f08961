// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Vector clocks: see happens.h.
 */
#include "happens.h"

#include <string.h>

static bool acquires(int order)
{
	return order != __ATOMIC_RELAXED && order != __ATOMIC_RELEASE;
}

static bool releases(int order)
{
	return order == __ATOMIC_RELEASE || order == __ATOMIC_ACQ_REL || order == __ATOMIC_SEQ_CST;
}

/* Tables: open, at most half full, emptied by counting rounds. */

void happens::table::clear()
{
	nr_ = 0;
	if (++round_ == 0) {
		for (table_slot &s : slots_)
			s = {};
		round_ = 1;
	}
}

happens::table_slot *happens::table::look(u64 key)
{
	for (size_t i = (size_t)((key * 0x9e3779b97f4a7c15ull) >> 20);; i++) {
		table_slot &s = slots_[i & (slots_.size() - 1)];

		if (s.round != round_ || s.key == key)
			return &s;
	}
}

u32 *happens::table::find(u64 key)
{
	table_slot *s = look(key);

	return s->round == round_ ? &s->index : nullptr;
}

u32 *happens::table::insert(u64 key)
{
	table_slot *s = look(key);

	if (s->round == round_)
		return &s->index;
	if (++nr_ * 2 > slots_.size()) {
		std::vector<table_slot> old(slots_.size() * 2);

		old.swap(slots_);
		for (const table_slot &o : old) {
			if (o.round == round_)
				*look(o.key) = o;
		}
		s = look(key);
	}
	*s = {key, round_, 0};
	return &s->index;
}

void happens::join(clock *to, const clock &from) const
{
	for (unsigned int i = 0; i < nr_; i++)
		to->time[i] = to->time[i] > from.time[i] ? to->time[i] : from.time[i];
}

void happens::begin(unsigned int nr)
{
	nr_ = nr;
	for (unsigned int t = 0; t < nr; t++) {
		for (unsigned int i = 0; i < nr; i++)
			clocks_[t].time[i] = i != t;
		clocks_[t].time[t] = 2; /* all know of each other's time 1 */
		seen_[t] = {};
		has_fence_[t] = false;
	}
	words_.clear();
	plain_.clear();
	left_.clear();
	records_.clear();
}

void happens::started(unsigned int child, unsigned int parent)
{
	u32 time = child < nr_ ? clocks_[child].time[child] + 1 : 1;

	/* What nobody has known yet is 0 in every clock. */
	for (; nr_ <= child; nr_++) {
		for (unsigned int t = 0; t <= child; t++)
			clocks_[t].time[nr_] = seen_[t].time[nr_] = fence_[t].time[nr_] = 0;
		for (clock &left : left_)
			left.time[nr_] = 0;
		clocks_[nr_] = seen_[nr_] = {};
	}
	join(&clocks_[child], clocks_[parent]);
	clocks_[child].time[child] = time;
	seen_[child] = {};
	has_fence_[child] = false;
	clocks_[parent].time[parent]++;
}

void happens::joined(unsigned int parent, unsigned int child)
{
	join(&clocks_[parent], clocks_[child]);
}

void happens::acquire(unsigned int t, u64 key, bool now)
{
	u32 *left = words_.find(key);

	if (left && *left)
		join(now ? &clocks_[t] : &seen_[t], left_[*left - 1]);
}

/* @from: what is left at the word; null: nothing. @keep: beside what others left there. */
void happens::release(u64 key, const clock *from, bool keep)
{
	u32 *left = from ? words_.insert(key) : words_.find(key);

	if (!from) {
		if (left && !keep)
			*left = 0;
		return;
	}
	if (!*left) {
		left_.push_back(*from);
		*left = (u32)left_.size();
	} else if (keep) {
		join(&left_[*left - 1], *from);
	} else {
		left_[*left - 1] = *from;
	}
}

void happens::access(unsigned int t, enum kshim_point_kind kind, const void *object, int order)
{
	u64 key = (u64)object;
	const clock *from = nullptr;

	if (kind == KSHIM_FENCE) {
		if (acquires(order))
			join(&clocks_[t], seen_[t]);
		if (releases(order)) {
			fence_[t] = clocks_[t];
			has_fence_[t] = true;
			clocks_[t].time[t]++;
		}
		return;
	}
	if (kind == KSHIM_YIELD || !object)
		return;
	if (kind != KSHIM_STORE)
		acquire(t, key, acquires(order));
	if (kind == KSHIM_LOAD || kind == KSHIM_CAS)
		return;
	if (releases(order))
		from = &clocks_[t];
	else if (has_fence_[t])
		from = &fence_[t];
	release(key, from, kind == KSHIM_RMW || buffered_);
	if (releases(order))
		clocks_[t].time[t]++;
}

bool happens::plain(const void *object, size_t size, plain_access how, plain_access *other)
{
	u64 at = (u64)object, end = at + size;

	how.time = clocks_[how.thread].time[how.thread];
	while (at < end) {
		u64 word = at >> 3, stop = end < (word + 1) << 3 ? end : (word + 1) << 3;
		u8 bytes = (u8)((0xffu >> (8 - (stop - at))) << (at & 7));
		u32 *first = plain_.insert(word), *link = first;

		while (*link) {
			record &r = records_[*link - 1];
			bool ours = r.how.thread == how.thread;

			if ((r.bytes & bytes) && (r.how.write || how.write) && !ours &&
			    !knows(how.thread, r.how)) {
				*other = r.how;
				return false;
			}
			/* Whatever races with the old one races with the new one too. */
			if (!(r.bytes & ~bytes) &&
			    ((ours && r.how.write == how.write) || how.write))
				*link = r.next;
			else
				link = &r.next;
		}
		records_.push_back({how, *first, bytes});
		*first = (u32)records_.size();
		at = stop;
	}
	return true;
}
