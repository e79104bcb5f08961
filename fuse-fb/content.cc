/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * content.cc - the bytes of one file; the rules are in content.h
 */
#include "content.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <ctime>

namespace fuse_fb
{

static std::int64_t realtime_ns()
{
	timespec t{};

	/* A file's time stamp needs no better than a tick, and this clock is the cheapest. */
	clock_gettime(CLOCK_REALTIME_COARSE, &t);
	return t.tv_sec * 1000000000ll + t.tv_nsec;
}

content::content(std::unique_ptr<frame_sink> storage, std::size_t size,
		 const content_limits &limits)
	: limits_(limits), storage_(std::move(storage)), size_(size),
	  page_ticket_(page_round_up(limits.max_size) / page_bytes, 0)
{
	counters_.written_at_ns = realtime_ns();
}

/*
 * Absorbs what no later request has overtaken. Under storage_lock_ (shared). Runs of accepted pages
 * go down in one piece, so that a full frame is a few large compares.
 */
std::size_t content::absorb_ordered(std::uint64_t ticket, std::size_t offset, const std::byte *src,
				    std::size_t len)
{
	const std::size_t end = offset + len;
	const std::size_t file_end = size_.load(std::memory_order_relaxed);
	std::size_t changed = 0;
	std::size_t pos = offset;

	while (pos < end) {
		const std::size_t first = pos / page_bytes;
		const std::size_t stripe_end =
			(first / stripe_pages + 1) * stripe_pages * page_bytes;
		const std::size_t stop = std::min(end, stripe_end);
		std::lock_guard hold(stripe(first));
		std::size_t run = pos; /* where the accepted run began */

		while (pos < stop) {
			const std::size_t page = pos / page_bytes;
			const std::size_t page_start = page * page_bytes;
			const std::size_t page_stop = std::min(page_start + page_bytes, stop);

			if (ticket <= page_ticket_[page]) {
				counters_.stale_pages.fetch_add(1, std::memory_order_relaxed);
				if (pos > run)
					changed += storage_->absorb(run, src + (run - offset),
								    pos - run);
				run = page_stop;
			} else if (pos == page_start &&
				   page_stop >= std::min(page_start + page_bytes, file_end)) {
				page_ticket_[page] = ticket;
			}
			pos = page_stop;
		}
		if (pos > run)
			changed += storage_->absorb(run, src + (run - offset), pos - run);
	}
	return changed;
}

/* Makes the file at least @end bytes long, @end being within the limits. No lock held. */
bool content::grow(std::size_t end)
{
	for (;;) {
		{
			std::unique_lock lock(storage_lock_);

			if (end <= size_.load(std::memory_order_relaxed))
				return true;
			if (end <= storage_->capacity()) {
				size_.store(end, std::memory_order_release);
				break;
			}
		}
		if (!outgrown_ || !outgrown_(end))
			return false;
	}
	if (header_watch_.load(std::memory_order_acquire) > 0)
		header_changed_();
	return true;
}

content::write_result content::write(std::uint64_t ticket, std::size_t offset, const void *src,
				     std::size_t len, bool from_cache)
{
	const std::size_t limit = limits_.fixed_size ? size() : limits_.max_size;
	write_result result;

	counters_.writes.fetch_add(1, std::memory_order_relaxed);
	if (offset >= limit && len > 0) {
		result.error = limits_.fixed_size && offset == limit ? -ENOSPC : -EFBIG;
		return result;
	}
	len = std::min(len, limit - offset);
	if (offset + len > size() && !grow(offset + len)) {
		result.error = -ENOSPC;
		return result;
	}
	result.written = len;
	if (from_cache)
		counters_.cache_pages.fetch_add((len + page_bytes - 1) / page_bytes,
						std::memory_order_relaxed);
	if (mutated(mutant_, track_mutant::write_lost_in_pull) && mutant_->in_pull)
		return result;
	{
		std::shared_lock lock(storage_lock_);

		/* A truncation may have come in between; the bytes are beyond the end then. */
		const std::size_t now = size_.load(std::memory_order_relaxed);
		if (offset < now)
			result.changed =
				absorb_ordered(ticket, offset, static_cast<const std::byte *>(src),
					       std::min(len, now - offset));
	}
	counters_.write_bytes.fetch_add(len, std::memory_order_relaxed);
	if (result.changed > 0) {
		counters_.changed_bytes.fetch_add(result.changed, std::memory_order_relaxed);
		counters_.written_at_ns.store(realtime_ns(), std::memory_order_relaxed);
		if (offset < header_watch_.load(std::memory_order_acquire))
			header_changed_();
	}
	return result;
}

void content::read(std::size_t offset, std::size_t len,
		   const std::function<void(const std::byte *, std::size_t)> &use) const
{
	std::shared_lock lock(storage_lock_);
	const std::size_t end = size_.load(std::memory_order_relaxed);
	const std::size_t n = offset < end ? std::min(len, end - offset) : 0;

	counters_.reads.fetch_add(1, std::memory_order_relaxed);
	counters_.read_bytes.fetch_add(n, std::memory_order_relaxed);
	use(storage_->bytes() + (n ? offset : 0), n);
}

int content::resize(std::size_t size)
{
	if (limits_.fixed_size)
		return 0;
	if (size > limits_.max_size)
		return -EFBIG;
	if (size > this->size())
		return grow(size) ? 0 : -ENOSPC;

	std::unique_lock lock(storage_lock_);
	const std::size_t old = size_.load(std::memory_order_relaxed);
	static const std::array<std::byte, page_bytes> zeros{};

	/* What lies beyond the end reads as zeros if the file grows again. */
	for (std::size_t pos = size; pos < old;) {
		const std::size_t n = std::min(page_bytes - pos % page_bytes, old - pos);

		storage_->absorb(pos, zeros.data(), n);
		pos += n;
	}
	size_.store(size, std::memory_order_release);
	return 0;
}

content::look content::begin_look()
{
	std::shared_lock lock(storage_lock_);
	look l;

	l.of_ = storage_.get();
	l.pages_ = storage_->begin_look();
	return l;
}

bool content::bring_in(look &look, std::uint64_t ticket, std::size_t offset, std::size_t len)
{
	std::size_t changed;
	{
		std::shared_lock lock(storage_lock_);

		if (offset + len > size_.load(std::memory_order_relaxed))
			return false;
		std::lock_guard hold(stripe(offset / page_bytes));
		std::uint64_t &newest = page_ticket_[offset / page_bytes];

		if (newest > ticket) {
			counters_.stale_pages.fetch_add(1, std::memory_order_relaxed);
			return true;
		}
		newest = ticket;
		if (look.of_ == storage_.get())
			changed = look.pages_->bring_in();
		else
			changed = storage_->absorb(offset, look.pages_->fetched(), len);
	}
	if (changed == 0)
		return false;
	counters_.looked_pages.fetch_add(1, std::memory_order_relaxed);
	counters_.changed_bytes.fetch_add(changed, std::memory_order_relaxed);
	if (offset < header_watch_.load(std::memory_order_acquire))
		header_changed_();
	return true;
}

const std::byte *content::peek() const
{
	std::shared_lock lock(storage_lock_);
	return storage_->bytes();
}

frame_sink *content::storage() const
{
	std::shared_lock lock(storage_lock_);
	return storage_.get();
}

int content::replace_storage(std::unique_ptr<frame_sink> fits, std::unique_ptr<frame_sink> *old)
{
	std::unique_lock lock(storage_lock_);
	const std::size_t size = size_.load(std::memory_order_relaxed);

	if (size > fits->capacity())
		return -EFBIG;
	fits->absorb(0, storage_->bytes(), size);
	*old = std::move(storage_);
	storage_ = std::move(fits);
	return 0;
}

void content::watch_header(std::size_t watch, std::function<void()> changed)
{
	header_changed_ = std::move(changed);
	header_watch_.store(watch, std::memory_order_release);
}

} // namespace fuse_fb
