/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * mm_holder.cc - a second owner of the address space; see mm_holder.h
 */
#include "mm_holder.h"

#include <cerrno>
#include <cstddef>

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

namespace fuse_fb
{

static constexpr std::size_t stack_bytes = 8192;

#if defined(__x86_64__) && defined(__linux__)

/* A system call without errno, which would be the one of the thread that made the holder. */
__attribute__((always_inline)) static inline long bare_call(long nr, long a, long b, long c)
{
	long result;

	asm volatile("syscall"
		     : "=a"(result)
		     : "a"(nr), "D"(a), "S"(b), "d"(c)
		     : "rcx", "r11", "memory");
	return result;
}

__attribute__((no_sanitize("address", "thread", "undefined"))) static int hold(void *arg)
{
	static const char name[] = "fb-mm-holder";
	const long pipe = reinterpret_cast<long>(arg);
	char byte;

	/* Not in the daemon's session: kill -9 of the group is for the daemon. */
	bare_call(SYS_setsid, 0, 0, 0);
	bare_call(SYS_prctl, PR_SET_NAME, reinterpret_cast<long>(name), 0);
	if (pipe > 0)
		bare_call(SYS_close_range, 0, pipe - 1, 0);
	bare_call(SYS_close_range, pipe + 1, ~0u, 0);
	while (bare_call(SYS_read, pipe, reinterpret_cast<long>(&byte), 1) == -EINTR)
		;
	bare_call(SYS_exit_group, 0, 0, 0);
	return 0;
}

mm_holder::mm_holder()
{
	sigset_t all, before;
	int ends[2] = {-1, -1};

	stack_ = mmap(nullptr, stack_bytes, PROT_READ | PROT_WRITE,
		      MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
	if (stack_ == MAP_FAILED)
		stack_ = nullptr;
	if (stack_ && pipe2(ends, O_CLOEXEC) == 0) {
		/* The holder keeps this mask: what ends the daemon is not for it. */
		sigfillset(&all);
		pthread_sigmask(SIG_BLOCK, &all, &before);
		pid_ = clone(hold, static_cast<char *>(stack_) + stack_bytes, CLONE_VM,
			     reinterpret_cast<void *>(static_cast<long>(ends[0])));
		error_ = errno;
		pthread_sigmask(SIG_SETMASK, &before, nullptr);
	} else {
		error_ = errno;
	}
	if (pid_ >= 0)
		error_ = 0;
	/* The holder has its own copy of the table: this end is its alone from here on. */
	if (ends[0] >= 0)
		close(ends[0]);
	lifeline_ = ends[1];
}

#else

mm_holder::mm_holder() = default;

#endif

mm_holder::~mm_holder()
{
	if (lifeline_ >= 0)
		close(lifeline_);
	while (pid_ > 0 && waitpid(pid_, nullptr, __WALL) < 0 && errno == EINTR)
		;
	if (stack_)
		munmap(stack_, stack_bytes);
}

} // namespace fuse_fb
