// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * swap_file.cc - pages in a file of the host: <kshim/swap.h>
 */
#include <kshim/swap.h>

#include <asm/page.h>
#include <linux/atomic.h>
#include <linux/err.h>
#include <linux/kernel.h>
#include <linux/slab.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

struct host_swap {
	struct swap_file swap; /* first */
	int fd;
	u32 fail_per_mille;
	atomic64_t random;
};

enum failure {
	WORKS,
	NO_SPACE,
	IO_ERROR,
	HALF_A_PAGE,
};

static struct host_swap *host_of(struct swap_file *swap)
{
	return container_of(swap, struct host_swap, swap);
}

/* Splitmix64: a good bit of chance for a counter. */
static enum failure chance(struct host_swap *host)
{
	const u32 per_mille = READ_ONCE(host->fail_per_mille);
	u64 x;

	if (likely(!per_mille))
		return WORKS;
	x = (u64)atomic64_fetch_add((s64)0x9e3779b97f4a7c15ull, &host->random);
	x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ull;
	x = (x ^ (x >> 27)) * 0x94d049bb133111ebull;
	x ^= x >> 31;
	if (x % 1000 >= per_mille)
		return WORKS;
	return (enum failure)(NO_SPACE + (x >> 32) % 3);
}

/* Moves the slot's bytes one way or the other, as far as @failure lets it. 0 or -errno. */
template <typename move_fn>
static int transfer(unsigned long slot, enum failure failure, const move_fn &move)
{
	const size_t bytes = failure == HALF_A_PAGE ? PAGE_SIZE / 2 : PAGE_SIZE;
	size_t done = 0;

	if (failure == NO_SPACE)
		return -ENOSPC;
	if (failure == IO_ERROR)
		return -EIO;
	while (done < bytes) {
		const ssize_t n = move(done, bytes - done, (off_t)(slot * PAGE_SIZE + done));

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			return -EIO;
		done += (size_t)n;
	}
	return failure == HALF_A_PAGE ? -EIO : 0;
}

static int write_slot(struct swap_file *swap, unsigned long slot, const void *page)
{
	struct host_swap *host = host_of(swap);

	return transfer(slot, chance(host), [&](size_t done, size_t bytes, off_t at) {
		return pwrite(host->fd, (const char *)page + done, bytes, at);
	});
}

static int read_slot(struct swap_file *swap, unsigned long slot, void *page)
{
	struct host_swap *host = host_of(swap);
	const enum failure failure = chance(host);

	/* Reading needs no space. */
	return transfer(slot, failure == NO_SPACE ? IO_ERROR : failure,
			[&](size_t done, size_t bytes, off_t at) {
				return pread(host->fd, (char *)page + done, bytes, at);
			});
}

static int open_unnamed(void)
{
	const char *dir = getenv("TMPDIR");
	char path[4096];
	int fd;

	if (!dir || !*dir)
		dir = "/tmp";
	fd = open(dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	if (fd >= 0)
		return fd;
	/* A file system that has no such files. */
	if (snprintf(path, sizeof(path), "%s/pvshim-swap-XXXXXX", dir) >= (int)sizeof(path))
		return -ENAMETOOLONG;
	fd = mkostemp(path, O_CLOEXEC);
	if (fd < 0)
		return -errno;
	unlink(path);
	return fd;
}

struct swap_file *swap_file_open(const char *path, unsigned long nr_slots)
{
	static const struct swap_ops ops = {.write = write_slot, .read = read_slot};
	auto *host = kzalloc_obj(struct host_swap, GFP_KERNEL);

	if (!host)
		return (struct swap_file *)ERR_PTR(-ENOMEM);
	host->swap = {.ops = &ops, .nr_slots = nr_slots};
	host->fd = path ? open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600) : open_unnamed();
	if (host->fd < 0) {
		const int err = path ? -errno : host->fd;

		pr_err("swap: %s cannot be opened: error %d\n",
		       path ? path : "a temporary file (TMPDIR)", err);
		kfree(host);
		return (struct swap_file *)ERR_PTR(err);
	}
	return &host->swap;
}

void swap_file_close(struct swap_file *swap)
{
	if (IS_ERR_OR_NULL(swap))
		return;
	close(host_of(swap)->fd);
	kfree(host_of(swap));
}

u64 swap_file_bytes(const struct swap_file *swap)
{
	const auto *host = container_of(swap, const struct host_swap, swap);
	struct stat st;

	return fstat(host->fd, &st) ? 0 : (u64)st.st_blocks * 512;
}

void swap_file_fail(struct swap_file *swap, unsigned int per_mille, u64 seed)
{
	struct host_swap *host = host_of(swap);

	atomic64_set(&host->random, (s64)seed);
	WRITE_ONCE(host->fail_per_mille, per_mille);
}
