/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * memory_sink.cc - a storage that is plain memory; see memory_sink.h
 */
#include "memory_sink.h"

#include <array>
#include <cstring>
#include <new>

#include <sys/mman.h>

namespace fuse_fb
{

memory_sink::memory_sink(std::size_t capacity) : capacity_(page_round_up(capacity))
{
	void *p = mmap(nullptr, capacity_, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (p == MAP_FAILED)
		throw std::bad_alloc();
	base_ = static_cast<std::byte *>(p);
}

memory_sink::~memory_sink()
{
	munmap(base_, capacity_);
}

std::size_t memory_sink::absorb(std::size_t offset, const void *src, std::size_t len)
{
	if (std::memcmp(base_ + offset, src, len) == 0)
		return 0;
	std::memcpy(base_ + offset, src, len);
	return len;
}

namespace
{

class memory_look : public frame_sink::look
{
public:
	explicit memory_look(memory_sink &sink) : sink_(sink) {}

	bool fetch(std::size_t offset, const void *src, std::size_t len) override
	{
		offset_ = offset;
		len_ = len;
		std::memcpy(page_.data(), src, len);
		return std::memcmp(page_.data(), sink_.bytes() + offset, len) != 0;
	}
	const std::byte *fetched() const override { return page_.data(); }
	std::size_t bring_in() override { return sink_.absorb(offset_, page_.data(), len_); }

private:
	memory_sink &sink_;
	std::size_t offset_ = 0, len_ = 0;
	std::array<std::byte, page_bytes> page_;
};

} // namespace

std::unique_ptr<frame_sink::look> memory_sink::begin_look()
{
	return std::make_unique<memory_look>(*this);
}

void memory_sink::discard(std::size_t offset)
{
	const std::size_t whole = page_round_up(offset);

	if (offset >= capacity_)
		return;
	std::memset(base_ + offset, 0, whole - offset);
	if (whole < capacity_)
		madvise(base_ + whole, capacity_ - whole, MADV_DONTNEED);
}

} // namespace fuse_fb
