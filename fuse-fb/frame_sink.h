/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * frame_sink.h - where the bytes of a file live
 *
 * A file of the mount is a name, a size and a storage. The storage of a file that is a screen is
 * the frame of its xenfb: there is no second copy in between. A file that is not a screen yet (an X
 * server has created it and not written its header) lives in plain memory.
 *
 * S1: bytes() and capacity() never change during the life of a storage.
 * S2: absorb() is the only way bytes enter; readers read bytes() without a lock, and may see a page
 *     half old and half new while somebody absorbs into it (the kernel excludes that for a page it
 *     reads and writes itself).
 * S3: absorb() never touches a mapping of the mount: it runs in the threads that serve the mount.
 *     Of a look, fetch() does, and with no lock held; bring_in() does not.
 */
#pragma once

#include <cstddef>
#include <memory>

namespace fuse_fb
{

constexpr std::size_t page_bytes = 4096;

constexpr std::size_t page_round_up(std::size_t n)
{
	return (n + page_bytes - 1) & ~(page_bytes - 1);
}

class frame_sink
{
public:
	virtual ~frame_sink() = default;

	/*
	 * Brings @len bytes at @offset in. Return: how many bytes were copied because they
	 * differed. Any thread, several at a time; the caller keeps within capacity().
	 */
	virtual std::size_t absorb(std::size_t offset, const void *src, std::size_t len) = 0;

	/* One pass over a mapping with newer bytes, page by page. Ends when it is destroyed. */
	class look
	{
	public:
		virtual ~look() = default;
		/*
		 * Reads the page (or its part up to the end of the file) at @offset from @src,
		 * which may change meanwhile, or fault: then what was fetched must not be used.
		 * Return: true when the storage has other bytes.
		 */
		virtual bool fetch(std::size_t offset, const void *src, std::size_t len) = 0;
		/* What was fetched. */
		virtual const std::byte *fetched() const = 0;
		/* Absorbs what was fetched. Return: as absorb(). */
		virtual std::size_t bring_in() = 0;
	};
	/* At most as long as the storage. */
	virtual std::unique_ptr<look> begin_look() = 0;

	virtual const std::byte *bytes() const = 0;
	virtual std::size_t capacity() const = 0;
};

} // namespace fuse_fb
