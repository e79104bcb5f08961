/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * writer_shared.h - what the writers' test and its writers share: commands, and the oracle
 *
 *      memory of its own (not the file under test), one word for each word of the file:
 *
 *      file    | block 0 | block 1 | block 2 | block 0 ...   | page of w0 | page of w1 | ...
 *                 w0        w1        w2        w0              the last whole_pages pages
 *              64 bytes each, owned in turn                    written whole
 *
 * A writer stores a word into the file, then into the oracle. Every word has one owner, so the
 * oracle is what the file must hold as soon as all owners have stopped.
 * O1: before each operation its words are noted as the intent. A writer that is killed in the
 *     middle leaves words which may hold the old or the new value, and only those.
 * O2: a writer stops between two operations, and says so, when stop_epoch changed.
 */
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

namespace e2e
{

constexpr unsigned writers = 3;
constexpr unsigned block_words = 16;
constexpr unsigned page_words = 1024;
constexpr unsigned whole_pages = 48;

enum class load : std::uint32_t { still, sparse, dense };

struct writer_slot {
	std::atomic<std::uint32_t> parked_epoch; /* futex; the stop_epoch it obeys */
	std::atomic<std::uint32_t> intent_valid;
	std::uint32_t intent_first; /* words [first, first + count) get the value seq */
	std::uint32_t intent_count;
	std::uint32_t intent_seq;
	std::uint32_t next_seq;
	std::atomic<std::uint64_t> stores; /* operations done */
};

struct shared_block {
	std::atomic<std::uint32_t> stop_epoch; /* futex; odd: stop and wait, even: go on */
	std::atomic<std::uint32_t> quit;
	std::atomic<load> how;
	std::atomic<std::uint32_t> with_write; /* mix write(2) in */
	std::uint32_t words;                   /* of the file */
	writer_slot slots[writers];
	std::uint32_t oracle[]; /* [words] */

	static std::size_t bytes(std::uint32_t words)
	{
		return sizeof(shared_block) + words * sizeof(std::uint32_t);
	}
	std::uint32_t interleaved_words() const { return words - whole_pages * page_words; }
};

static_assert(std::atomic<std::uint32_t>::is_always_lock_free);

} // namespace e2e
