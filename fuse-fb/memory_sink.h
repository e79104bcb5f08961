/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * memory_sink.h - a storage that is plain memory
 *
 * For a file which is not a screen yet. Address space is reserved for the largest file allowed and
 * memory comes by touching it, so that a file can grow by write(2) without ever moving.
 * Locks: none; two absorbs of the same bytes are ordered by content's stripes.
 */
#pragma once

#include "frame_sink.h"

namespace fuse_fb
{

class memory_sink : public frame_sink
{
public:
	/* Throws std::bad_alloc when not even address space is left. */
	explicit memory_sink(std::size_t capacity);
	~memory_sink() override;
	memory_sink(const memory_sink &) = delete;
	memory_sink &operator=(const memory_sink &) = delete;

	std::size_t absorb(std::size_t offset, const void *src, std::size_t len) override;
	std::unique_ptr<look> begin_look() override;
	const std::byte *bytes() const override { return base_; }
	std::size_t capacity() const override { return capacity_; }

	/* Zeros from @offset on, and gives the memory back. */
	void discard(std::size_t offset);

private:
	std::byte *base_;
	std::size_t capacity_;
};

} // namespace fuse_fb
