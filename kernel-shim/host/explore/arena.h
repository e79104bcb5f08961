/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The memory of a world.
 *
 *	base				    used				    end
 *	| block | gap | block (freed) | gap | ......... never touched ......... |
 *
 * A1. Blocks are handed out upwards and never again: a freed block's bytes belong to nobody, and
 *     whoever touches them is caught: by the pattern they hold, by the sanitizer, or by touches().
 * A2. reset() gives everything back at once. So the same schedule gets the same addresses, and a
 *     world that is given up half way leaves nothing behind.
 */
#ifndef KSHIM_EXPLORE_ARENA_H
#define KSHIM_EXPLORE_ARENA_H

#include <linux/types.h>

#include <vector>

class arena
{
public:
	arena() = default;
	~arena();
	arena(const arena &) = delete;
	arena &operator=(const arena &) = delete;

	/* False when there is no address space. */
	[[nodiscard]] bool init();

	/* Null when full. The bytes hold a pattern, the same each time. */
	void *alloc(size_t bytes, size_t align);

	bool contains(const void *p) const
	{
		return (const char *)p >= base_ && (const char *)p < base_ + BYTES;
	}

	/* @p: the start of a block of this arena. False: it is none, or was freed before. */
	bool free(void *p);

	struct block {
		u32 offset, bytes;
		bool freed;
	};
	/* The block that @p lies in, or null. */
	const block *find(const void *p) const;
	size_t index_of(const block *b) const { return (size_t)(b - blocks_.data()); }
	const void *address(const block *b) const { return base_ + b->offset; }

	/* A freed block that somebody wrote to, or null. */
	const block *find_spoilt() const;

	void reset();

	size_t used() const { return used_; }

private:
	static constexpr size_t BYTES = 256ul << 20;
	static constexpr size_t GAP = 32;
	/* Bigger blocks are not filled: frames and page arrays would cost more than they show. */
	static constexpr size_t FILL_MAX = 16384;
	static constexpr unsigned char NEW = 0xa5, FREED = 0x6b;

	char *base_ = nullptr;
	size_t used_ = 0;
	size_t touched_ = 0;        /* high water mark since the last time memory was given back */
	std::vector<block> blocks_; /* by offset */
};

#endif
