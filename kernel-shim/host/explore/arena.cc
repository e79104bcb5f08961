// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The memory of a world: see arena.h.
 */
#include "arena.h"
#include "fiber.h"

#include <algorithm>
#include <string.h>
#include <sys/mman.h>

#if KSHIM_ASAN
#include <sanitizer/asan_interface.h>
static void poison(const void *p, size_t bytes)
{
	__asan_poison_memory_region(p, bytes);
}
static void unpoison(const void *p, size_t bytes)
{
	__asan_unpoison_memory_region(p, bytes);
}
#else
static void poison(const void *, size_t) {}
static void unpoison(const void *, size_t) {}
#endif

bool arena::init()
{
	void *p = mmap(nullptr, BYTES, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (p == MAP_FAILED)
		return false;
	base_ = (char *)p;
	return true;
}

arena::~arena()
{
	if (!base_)
		return;
	unpoison(base_, std::max(used_, touched_));
	munmap(base_, BYTES);
}

void *arena::alloc(size_t bytes, size_t align)
{
	size_t start = (used_ + align - 1) & ~(align - 1);

	if (bytes > BYTES || start + bytes + GAP > BYTES)
		return nullptr;
	used_ = start + bytes + GAP;
	blocks_.push_back({(u32)start, (u32)bytes, false});
	unpoison(base_ + start, bytes);
	if (bytes <= FILL_MAX)
		memset(base_ + start, NEW, bytes);
	/* The sanitizer watches the gap too. */
	poison(base_ + start + ((bytes + 7) & ~7ul), used_ - start - ((bytes + 7) & ~7ul));
	return base_ + start;
}

const arena::block *arena::find(const void *p) const
{
	if (!contains(p))
		return nullptr;
	size_t offset = (size_t)((const char *)p - base_);
	auto after = std::upper_bound(blocks_.begin(), blocks_.end(), offset,
				      [](size_t o, const block &b) { return o < b.offset; });

	if (after == blocks_.begin())
		return nullptr;
	--after;
	return offset < (size_t)after->offset + after->bytes ? &*after : nullptr;
}

bool arena::free(void *p)
{
	block *b = const_cast<block *>(find(p));

	if (!b || b->freed || p != address(b))
		return false;
	b->freed = true;
	if (b->bytes <= FILL_MAX)
		memset(p, FREED, b->bytes);
	poison(p, b->bytes);
	return true;
}

const arena::block *arena::find_spoilt() const
{
	/* The sanitizer has seen it already, and may not read here. */
	if (KSHIM_ASAN)
		return nullptr;
	for (const block &b : blocks_) {
		const char *p = base_ + b.offset;

		if (!b.freed || b.bytes > FILL_MAX || b.bytes == 0)
			continue;
		if ((unsigned char)p[0] != FREED || memcmp(p, p + 1, b.bytes - 1) != 0)
			return &b;
	}
	return nullptr;
}

void arena::reset()
{
	touched_ = std::max(touched_, used_);
	unpoison(base_, used_);
	/* Keep what a usual world needs; a huge one must not stay resident for ever. */
	if (touched_ > (32ul << 20)) {
		madvise(base_, touched_, MADV_DONTNEED);
		touched_ = 0;
	}
	used_ = 0;
	blocks_.clear();
}
