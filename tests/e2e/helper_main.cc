/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * helper_main.cc - the processes that the end-to-end tests start
 *
 *   e2e_helper write FILE INDEX SEED    writer INDEX of the writers' test; shared memory on
 *                                       descriptor 3
 *   e2e_helper reap MOUNTPOINT          waits for the end of descriptor 3 (a pipe), then unmounts
 *                                       and removes what a crashed test has left
 *   e2e_helper draw FILE SECONDS        maps FILE, stores into random pages for so long, then
 *                                       prints a checksum of what it stored, and keeps the mapping
 *                                       until stdin ends
 * Every helper dies with the process that started it.
 */
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <random>
#include <string>
#include <vector>

#include <csignal>
#include <fcntl.h>
#include <linux/futex.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "writer_shared.h"

using namespace e2e;

namespace
{

[[noreturn]] void die(const char *what)
{
	std::fprintf(stderr, "e2e_helper: %s: %s\n", what, std::strerror(errno));
	std::_Exit(1);
}

void futex_wait(std::atomic<std::uint32_t> &word, std::uint32_t value, long ns)
{
	const timespec t{ns / 1000000000, ns % 1000000000};

	syscall(SYS_futex, &word, FUTEX_WAIT, value, ns > 0 ? &t : nullptr, nullptr, 0);
}

void futex_wake(std::atomic<std::uint32_t> &word)
{
	syscall(SYS_futex, &word, FUTEX_WAKE, 1 << 30, nullptr, nullptr, 0);
}

class writer
{
public:
	writer(const char *file, unsigned index, unsigned seed)
		: index_(index), random_(seed * 7919 + index)
	{
		struct stat st {
		};

		if (fstat(3, &st))
			die("descriptor 3");
		void *s = mmap(nullptr, static_cast<std::size_t>(st.st_size),
			       PROT_READ | PROT_WRITE, MAP_SHARED, 3, 0);
		if (s == MAP_FAILED)
			die("shared memory");
		shared_ = static_cast<shared_block *>(s);
		slot_ = &shared_->slots[index];
		fd_ = open(file, O_RDWR | O_CLOEXEC);
		if (fd_ < 0)
			die(file);
		map();
	}

	void run()
	{
		for (;;) {
			const std::uint32_t epoch = shared_->stop_epoch;

			if (shared_->quit)
				return;
			if (epoch & 1) {
				slot_->parked_epoch = epoch;
				futex_wake(slot_->parked_epoch);
				futex_wait(shared_->stop_epoch, epoch, 0);
				continue;
			}
			switch (shared_->how.load()) {
			case load::still:
				futex_wait(shared_->stop_epoch, epoch, 5000000);
				break;
			case load::sparse:
				one_operation();
				futex_wait(shared_->stop_epoch, epoch, 1000000);
				break;
			case load::dense:
				for (int i = 0; i < 64 && shared_->stop_epoch == epoch; i++)
					everywhere();
				break;
			}
		}
	}

private:
	void map()
	{
		void *p = mmap(nullptr, shared_->words * 4ul, PROT_READ | PROT_WRITE, MAP_SHARED,
			       fd_, 0);

		if (p == MAP_FAILED)
			die("mmap of the file");
		view_ = static_cast<volatile std::uint32_t *>(p);
	}

	std::uint32_t own_word()
	{
		const std::uint32_t rounds = shared_->interleaved_words() / (block_words * writers);

		return (random_() % rounds * writers + index_) * block_words +
		       random_() % block_words;
	}

	void intend(std::uint32_t first, std::uint32_t count)
	{
		slot_->intent_first = first;
		slot_->intent_count = count;
		slot_->intent_seq = ++slot_->next_seq;
		slot_->intent_valid.store(1, std::memory_order_release);
	}
	void done()
	{
		for (std::uint32_t i = 0; i < slot_->intent_count; i++)
			shared_->oracle[slot_->intent_first + i] = slot_->intent_seq;
		slot_->intent_valid.store(0, std::memory_order_release);
		slot_->stores.fetch_add(1);
	}

	void store_word(std::uint32_t word)
	{
		intend(word, 1);
		view_[word] = slot_->intent_seq;
		done();
	}
	void write_words(std::uint32_t first, std::uint32_t count)
	{
		intend(first, count);
		const std::vector<std::uint32_t> words(count, slot_->intent_seq);
		if (pwrite(fd_, words.data(), count * 4, first * 4l) !=
		    static_cast<ssize_t>(count * 4))
			die("pwrite");
		done();
	}

	void one_operation()
	{
		const unsigned kind = random_() % 16;

		if (kind < 12 || !shared_->with_write) {
			store_word(own_word());
		} else if (kind < 14) {
			const std::uint32_t word = own_word();

			write_words(word, block_words - word % block_words);
		} else if (kind == 14) {
			/* A page of its own, whole. */
			const std::uint32_t page =
				random_() % (whole_pages / writers) * writers + index_;

			write_words(shared_->interleaved_words() + page * page_words, page_words);
		} else {
			/* A mapping that goes sends what was stored through it, at any moment. */
			munmap(const_cast<std::uint32_t *>(view_), shared_->words * 4ul);
			map();
		}
	}

	/* A word of every page. */
	void everywhere()
	{
		const std::uint32_t step =
			page_words / (block_words * writers) * block_words * writers;
		const std::uint32_t end = shared_->interleaved_words();
		std::uint32_t word = index_ * block_words + random_() % block_words;

		word += random_() % (page_words / (block_words * writers)) * block_words * writers;
		for (; word < end; word += step)
			store_word(word);
	}

	const unsigned index_;
	std::mt19937 random_;
	shared_block *shared_;
	writer_slot *slot_;
	int fd_;
	volatile std::uint32_t *view_ = nullptr;
};

int reap(const char *mount_point)
{
	char c;

	/* The test ends, however: its end of the pipe closes. */
	while (read(3, &c, 1) < 0 && errno == EINTR)
		;
	while (umount2(mount_point, MNT_DETACH) == 0)
		;
	rmdir(mount_point);
	return 0;
}

int draw(const char *file, double seconds)
{
	struct stat st {
	};
	const int fd = open(file, O_RDWR);
	std::mt19937 random(12345);

	if (fd < 0 || fstat(fd, &st))
		die(file);
	const auto words = static_cast<std::uint32_t>(st.st_size / 4);
	void *p = mmap(nullptr, static_cast<std::size_t>(st.st_size), PROT_READ | PROT_WRITE,
		       MAP_SHARED, fd, 0);
	if (p == MAP_FAILED)
		die("mmap");
	auto *view = static_cast<volatile std::uint32_t *>(p);
	std::puts("drawing");
	std::fflush(stdout);

	const auto end = std::chrono::steady_clock::now() + std::chrono::duration<double>(seconds);
	std::uint64_t n = 0;
	while (std::chrono::steady_clock::now() < end)
		for (int i = 0; i < 100; i++, n++)
			view[random() % words] = random() & 0xffffffu;
	std::printf("drew %llu\n", static_cast<unsigned long long>(n));
	std::fflush(stdout);
	char c;
	while (read(0, &c, 1) > 0)
		;
	return 0;
}

} // namespace

int main(int argc, char **argv)
{
	const std::string what = argc > 1 ? argv[1] : "";

	if (what == "reap" && argc == 3)
		return reap(argv[2]);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() == 1)
		return 1;
	if (what == "write" && argc == 5) {
		writer(argv[2], static_cast<unsigned>(std::atoi(argv[3])),
		       static_cast<unsigned>(std::atoi(argv[4])))
			.run();
		return 0;
	}
	if (what == "draw" && argc == 4)
		return draw(argv[2], std::atof(argv[3]));
	std::fprintf(stderr, "e2e_helper: see the head of helper_main.cc\n");
	return 2;
}
