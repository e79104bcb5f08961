/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * content.h - the bytes of one file, in the order in which they were stored
 *
 * Bytes reach a file by two ways at the same time: as WRITE requests, served by several threads,
 * and by looks into the page cache (tracker.h). Whatever the threads' order, the file must end with
 * the newest. The order comes from tickets: the one thread at a time that receives requests numbers
 * each AFTER it has read it (fuse_loop.h), and the kernel copies a WRITE's bytes out of the page
 * while it is being read. So a whole page received with ticket t holds everything that any request
 * with a smaller ticket carries for that page. A look takes the newest ticket BEFORE it reads a
 * page: what it reads holds everything received so far.
 *
 *      page_ticket[p] = t  means: everything received up to t is in the storage's page p
 *
 *      older WRITE w(2) still in one thread    "AAAA"  ticket 7
 *      page written back by a pull             "AABB"  ticket 9   absorbed first, page_ticket = 9
 *      now the first thread goes on: 7 <= 9, it must not, and does not, bring "AAAA" back
 *
 * C1: a WRITE is absorbed before it is answered. Until then the kernel keeps the page from being
 *     dirtied again (page writeback) or written again (inode lock), see facts of FUSE.
 * C2: only requests that cover a whole page (or its part up to the end of the file) set
 *     page_ticket.
 * C3: no lock of this file is held while touching a mapping of the mount, and no handler waits for
 *     anything but these locks: a fault on the mount inside of them would wait for a thread
 *     that waits for the lock. The lock of the address space belongs to these, and every
 *     malloc() may take it: own_file.h, I3.
 * Locks: storage_lock_ (shared: use the storage; exclusive: replace it, change the size)
 *     -> stripes_[] (compare, order and copy of a range are one step).
 */
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <shared_mutex>
#include <vector>

#include "frame_sink.h"
#include "track_mutant.h"

namespace fuse_fb
{

struct content_limits {
	std::size_t max_size; /* writes beyond it fail with EFBIG */
	bool fixed_size;      /* a device: truncation changes nothing, its end is ENOSPC */
};

class content
{
public:
	/* @size: of the file now; at most the storage's capacity. */
	content(std::unique_ptr<frame_sink> storage, std::size_t size,
		const content_limits &limits);

	/* Of fixed size; programs can neither cut nor remove it. */
	bool is_device() const { return limits_.fixed_size; }
	std::size_t max_size() const { return limits_.max_size; }
	std::size_t size() const { return size_.load(std::memory_order_acquire); }

	struct write_result {
		int error = 0;           /* negative errno */
		std::size_t written = 0; /* bytes taken, may be fewer than offered */
		std::size_t changed = 0; /* bytes that differed */
	};

	/**
	 * write - a WRITE request
	 * @ticket: its number, from the loop
	 * @from_cache: the kernel's page cache sent it (pages dirtied by stores), not a write(2)
	 *
	 * Errors: -EFBIG (begins beyond the largest size), -ENOSPC (begins at the end of a device).
	 * What goes over the end is cut off, as /dev/fb0 does.
	 */
	write_result write(std::uint64_t ticket, std::size_t offset, const void *src,
			   std::size_t len, bool from_cache);

	/* Calls @use with the bytes at @offset that exist, at most @len; nothing beyond the end. */
	void read(std::size_t offset, std::size_t len,
		  const std::function<void(const std::byte *, std::size_t)> &use) const;

	/* truncate(2). Return: 0 or -EFBIG. A device keeps its size and says 0. */
	int resize(std::size_t size);

	/* One look at the file: all that it brings in makes one set of rectangles. */
	class look
	{
	public:
		/* Reads a page, with no lock held; see frame_sink.h. */
		bool fetch(std::size_t offset, const void *src, std::size_t len)
		{
			return pages_->fetch(offset, src, len);
		}

	private:
		friend class content;
		frame_sink *of_ = nullptr;
		std::unique_ptr<frame_sink::look> pages_;
	};
	/* A storage that is replaced meanwhile must outlive the look. */
	look begin_look();

	/**
	 * bring_in - the page that @look has fetched and found different
	 * @ticket: newest_ticket() from before the page was read
	 * Return: true when it differed. A page that a later request brought is left alone: then
	 * its newer stores are still marked dirty and arrive by themselves.
	 */
	bool bring_in(look &look, std::uint64_t ticket, std::size_t offset, std::size_t len);

	/* To see without a lock: valid as long as the storage is not replaced. */
	const std::byte *peek() const;

	/**
	 * replace_storage - live somewhere else from now on
	 * @fits: the new storage; must hold size() bytes, else -EFBIG and nothing changes
	 * Return: 0 and the old storage in @old. Not for a thread that holds a look.
	 */
	int replace_storage(std::unique_ptr<frame_sink> fits, std::unique_ptr<frame_sink> *old);

	/* The storage itself, for its owner (screen.cc), which is also who replaces it. */
	frame_sink *storage() const;

	/*
	 * Called (in a thread that serves requests, no lock held) after bytes [0, watch) changed or
	 * the file grew: what they say may have been waiting for the rest.
	 */
	void watch_header(std::size_t watch, std::function<void()> changed);
	/*
	 * Called when truncation or growth needs more than the storage; replaces it, or returns
	 * false.
	 */
	void on_outgrown(std::function<bool(std::size_t)> outgrown)
	{
		outgrown_ = std::move(outgrown);
	}

	/* The mutant to play, in test builds only. */
	void set_mutant(const track_mutant_switch *mutant) { mutant_ = mutant; }

	struct counters {
		std::atomic<std::uint64_t> writes{0}; /* WRITE requests */
		std::atomic<std::uint64_t> write_bytes{0};
		std::atomic<std::uint64_t> cache_pages{0}; /* pages that came from the page cache */
		std::atomic<std::uint64_t> changed_bytes{0};
		std::atomic<std::uint64_t> reads{0};
		std::atomic<std::uint64_t> read_bytes{0};
		std::atomic<std::uint64_t> stale_pages{
			0}; /* left alone because a newer one was there */
		std::atomic<std::uint64_t> looked_pages{0}; /* pages a look found different */
		std::atomic<std::int64_t> written_at_ns{0}; /* CLOCK_REALTIME */
	};
	const counters &stats() const { return counters_; }

private:
	static constexpr std::size_t stripe_pages = 256;
	static constexpr std::size_t nr_stripes = 64;

	std::mutex &stripe(std::size_t page) { return stripes_[page / stripe_pages % nr_stripes]; }
	std::size_t absorb_ordered(std::uint64_t ticket, std::size_t offset, const std::byte *src,
				   std::size_t len);
	bool grow(std::size_t end);

	const content_limits limits_;
	mutable std::shared_mutex storage_lock_;
	std::unique_ptr<frame_sink> storage_;    /* protected by storage_lock_ */
	std::atomic<std::size_t> size_;          /* written under storage_lock_ exclusively */
	std::vector<std::uint64_t> page_ticket_; /* protected by the page's stripe; sized once */
	std::array<std::mutex, nr_stripes> stripes_;
	std::atomic<std::size_t> header_watch_{0};
	std::function<void()> header_changed_; /* set before header_watch_ */
	std::function<bool(std::size_t)> outgrown_;
	const track_mutant_switch *mutant_ = nullptr;
	mutable counters counters_;
};

} // namespace fuse_fb
