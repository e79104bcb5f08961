// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * vunmap_bare.cc - floors and the naive manager: mmap() and munmap() of a memfd
 *
 * A floor's thread has a range of addresses of its own and maps one behind the other, a run of
 * contiguous frames by one mmap(); so it has no lock, no search and no record but two integers.
 */
#include "vunmap_managers.h"

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <mutex>
#include <sys/mman.h>
#include <unistd.h>

namespace vunmap_bench
{

void die(const char *what)
{
	std::fprintf(stderr, "bench-vunmap-batching: %s: %s\n", what, std::strerror(errno));
	std::exit(1);
}

namespace
{

/* Frames that threads map into their part of a range. */
class memory
{
public:
	memory()
	{
		constexpr std::size_t bytes = (low_frames + high_frames) * page_size;

		fd_ = memfd_create("bench", MFD_CLOEXEC);
		if (fd_ < 0 || ftruncate(fd_, bytes))
			die("memfd");
		void *all = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd_, 0);

		if (all == MAP_FAILED)
			die("mmap");
		std::memset(all, 0, bytes);
		munmap(all, bytes);
	}
	~memory() { close(fd_); }
	memory(const memory &) = delete;
	memory &operator=(const memory &) = delete;

	/* Addresses for @pages, nothing there. */
	static char *reserve(std::size_t pages)
	{
		void *range = mmap(nullptr, pages * page_size, PROT_NONE,
				   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

		if (range == MAP_FAILED)
			die("mmap");
		return static_cast<char *>(range);
	}
	void map(char *addr, const frame_lists &lists, std::size_t list) const
	{
		const std::uint32_t *frames = &lists.frames[list * lists.each];
		const int prot = lists.writable() ? PROT_READ | PROT_WRITE : PROT_READ;
		const unsigned nr = lists.each;
		bool one_run = true;

		for (unsigned done = 0; done < nr;) {
			unsigned run = 1;

			while (done + run < nr && frames[done + run] == frames[done] + run)
				run++;
			one_run = run == nr;
			if (mmap(addr + done * page_size, run * page_size, prot,
				 MAP_SHARED | MAP_FIXED | (one_run ? MAP_POPULATE : 0), fd_,
				 (off_t)frames[done] * (off_t)page_size) == MAP_FAILED)
				die("mmap");
			done += run;
		}
		/* One walk over all runs is cheaper than one for each. */
		if (!one_run && madvise(addr, nr * page_size, MADV_POPULATE_READ))
			die("madvise");
	}

private:
	int fd_;
};

class floor_manager : public manager
{
public:
	explicit floor_manager(unsigned batch) : name_(floor_name(batch)), batch_(batch) {}
	~floor_manager() override { release(); }
	const std::string &name() const override { return name_; }
	/*
	 * Between munmap() and the next mmap() its addresses are nobody's. While a load runs nobody
	 * else maps anything; at other times it has none.
	 */
	void prepare(const frame_lists &lists) override
	{
		release();
		lists_ = lists;
		range_pages_ = (std::size_t)batch_ * lists.each;
		for (slot &s : slots_)
			s = {lists.frames.empty() ? nullptr : memory::reserve(range_pages_)};
	}
	void enter(unsigned thread) override { mine() = &slots_[thread]; }
	void leave() override { mine() = nullptr; }
	volatile unsigned *map(std::size_t list) override
	{
		slot &s = *mine();
		char *addr = s.range + s.used * page_size;

		memory_.map(addr, lists_, list);
		s.used += lists_.each;
		return reinterpret_cast<volatile unsigned *>(addr);
	}
	void unmap(std::size_t, volatile unsigned *) override
	{
		slot &s = *mine();

		if (++s.unmapped == batch_)
			flush(s);
	}

	void drain() override
	{
		for (slot &s : slots_)
			flush(s);
	}

private:
	struct alignas(64) slot {
		char *range = nullptr;
		std::size_t used = 0;
		unsigned unmapped = 0;
	};

	void release()
	{
		for (slot &s : slots_) {
			if (s.range)
				munmap(s.range, range_pages_ * page_size);
			s.range = nullptr;
		}
	}
	static slot *&mine()
	{
		thread_local slot *here;

		return here;
	}
	static void flush(slot &s)
	{
		if (s.used)
			munmap(s.range, s.used * page_size);
		s.used = s.unmapped = 0;
	}

	const std::string name_;
	const unsigned batch_;
	std::size_t range_pages_ = 0;
	memory memory_;
	frame_lists lists_;
	slot slots_[max_threads];
};

/* Keeps up to a limit of pages, by their list, and then drops all that nobody uses. */
class naive_manager : public manager
{
public:
	~naive_manager() override { drop_idle(); }
	const std::string &name() const override { return name_; }
	void prepare(const frame_lists &lists) override
	{
		drop_idle();
		lists_ = lists;
	}
	void enter(unsigned) override {}
	void leave() override {}
	volatile unsigned *map(std::size_t list) override
	{
		std::lock_guard<std::mutex> g(lock_);
		const std::uint32_t *first = &lists_.frames[list * lists_.each];
		auto kept = idle_.find(std::vector<std::uint32_t>(first, first + lists_.each));

		if (kept != idle_.end()) {
			char *addr = kept->second;

			idle_.erase(kept);
			return reinterpret_cast<volatile unsigned *>(addr);
		}
		char *addr = memory::reserve(lists_.each);

		memory_.map(addr, lists_, list);
		return reinterpret_cast<volatile unsigned *>(addr);
	}
	void unmap(std::size_t list, volatile unsigned *addr) override
	{
		std::lock_guard<std::mutex> g(lock_);
		const std::uint32_t *first = &lists_.frames[list * lists_.each];

		idle_.emplace(std::vector<std::uint32_t>(first, first + lists_.each),
			      reinterpret_cast<char *>(const_cast<unsigned *>(addr)));
		if (idle_.size() * lists_.each > 32768)
			drop_idle();
	}

	void drain() override { drop_idle(); }

private:
	void drop_idle()
	{
		for (auto &[frames, addr] : idle_)
			munmap(addr, frames.size() * page_size);
		idle_.clear();
	}

	const std::string name_ = "naive: mutex + map";
	std::mutex lock_;
	std::multimap<std::vector<std::uint32_t>, char *> idle_;
	memory memory_;
	frame_lists lists_;
};

} // namespace

std::string floor_name(unsigned batch)
{
	return batch == 1 ? "floor: mmap, munmap"
			  : "floor: mmap, munmap per " + std::to_string(batch);
}

std::unique_ptr<manager> make_floor(unsigned batch)
{
	return std::make_unique<floor_manager>(batch);
}

std::unique_ptr<manager> make_naive()
{
	return std::make_unique<naive_manager>();
}

} // namespace vunmap_bench
