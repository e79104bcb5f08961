/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * vunmap_managers.h - what maps frames at consecutive addresses and takes the mapping away again
 *
 *      policies   mm's lazy-flush manager under each vmap.policy, a machine each
 *      floors     the bare system calls, with nothing around them: no manager can be below them but
 *                 by not making them
 *      naive      the shortest manager that keeps mappings: a std::map under a std::mutex
 */
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace vunmap_bench
{

constexpr std::size_t page_size = 4096;

/* Which of the kernel's functions a load uses; the others' have one way only. */
enum class api {
	map_ram, /* small and short-lived: side by side */
	vmap,
	vmap_ro, /* vmap(PAGE_KERNEL_RO) */
	kmap,    /* one page of high memory */
};

/* What a load maps: lists of frames, one after the other. Frames below low_frames, or kmap's. */
struct frame_lists {
	api how;
	unsigned each; /* frames in a list */
	std::vector<std::uint32_t> frames;

	std::size_t size() const { return frames.size() / each; }
	bool writable() const { return how != api::vmap_ro; }
};

constexpr std::uint32_t low_frames = 56 * 1024, high_frames = 16 * 1024;

class manager
{
public:
	virtual ~manager() = default;
	virtual const std::string &name() const = 0;
	/* What map() and unmap() are about from now on; nothing is mapped or kept. */
	virtual void prepare(const frame_lists &lists) = 0;
	/* For each thread that maps; at most max_threads. */
	virtual void enter(unsigned thread) = 0;
	virtual void leave() = 0;
	virtual volatile unsigned *map(std::size_t list) = 0;
	virtual void unmap(std::size_t list, volatile unsigned *addr) = 0;
	/* Unmaps what is put off, by any thread that has entered; the others do nothing. */
	virtual void drain() = 0;
	/*
	 * ns a page of asking for pages that nothing reaches to be unreachable; < 0: has no such.
	 */
	virtual double shootdown_ns() { return -1; }
	/* Bytes that an area of @pages costs beside its pages; < 0: nobody counts. */
	virtual double bytes_per_area(unsigned) { return -1; }
};

constexpr unsigned max_threads = 4;

std::unique_ptr<manager> make_policy(const std::string &policy);
/* @batch: unmaps so many at once. */
std::unique_ptr<manager> make_floor(unsigned batch);
std::string floor_name(unsigned batch);
std::unique_ptr<manager> make_naive();

[[noreturn]] void die(const char *what);

} // namespace vunmap_bench
