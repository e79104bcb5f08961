// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Who touched what: see footprint.h. An open hash table of words, at most half full.
 */
#include "footprint.h"

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

const footprint::slot *footprint::find(u64 word) const
{
	for (size_t i = hash(word);; i++) {
		const slot &s = slots_[i & (slots_.size() - 1)];

		if (s.word == word)
			return &s;
		if (!s.word)
			return nullptr;
	}
}

footprint::slot *footprint::insert(u64 word)
{
	for (size_t i = hash(word);; i++) {
		slot &s = slots_[i & (slots_.size() - 1)];

		if (s.word == word)
			return &s;
		if (!s.word) {
			s.word = word;
			nr_++;
			return &s;
		}
	}
}

void footprint::grow()
{
	std::vector<slot> old(slots_.size() * 2);

	old.swap(slots_);
	nr_ = 0;
	for (const slot &s : old) {
		if (s.word)
			*insert(s.word) = s;
	}
}

bool footprint::may_matter(const step_access &a) const
{
	if (!a.object || last_word(a) - first_word(a) >= MAX_WORDS_OF_ACCESS)
		return true;
	for (u64 w = first_word(a); w <= last_word(a); w++) {
		const slot *s = find(w);

		if (s && shared(*s))
			return true;
	}
	return false;
}

void footprint::record(unsigned int fiber, const step_access &a)
{
	u64 bit = 1ull << (fiber < 63 ? fiber : 63);

	if (!a.object || last_word(a) - first_word(a) >= MAX_WORDS_OF_ACCESS)
		return;
	for (u64 w = first_word(a); w <= last_word(a); w++) {
		if (nr_ * 2 >= slots_.size())
			grow();
		slot *s = insert(w);
		bool before = shared(*s);

		(a.kind == KSHIM_LOAD ? s->readers : s->writers) |= bit;
		if (!before && shared(*s))
			grown_ = true;
	}
}
