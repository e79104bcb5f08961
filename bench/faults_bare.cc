// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * faults_bare.cc - the three bare ways: SIGBUS by userfaultfd, a thread by userfaultfd, SIGSEGV by
 * mprotect
 *
 *      minor             the PTE is missing: MADV_DONTNEED, or PROT_NONE
 *      write-protected   UFFDIO_WRITEPROTECT, or PROT_READ
 *
 * Their signal handlers know one region, `here`, which is whatever way was armed last: one way at a
 * time.
 */
#include "faults_bare.h"

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <thread>
#include <ucontext.h>
#include <unistd.h>

namespace faults
{

namespace
{

constexpr std::size_t page_size = 4096;

[[noreturn]] void die(const char *what)
{
	std::fprintf(stderr, "bench-faults: %s: %s\n", what, std::strerror(errno));
	std::exit(1);
}

/* Resolves one fault: a page becomes readable, or writable. */
void resolve_uffd(int fd, unsigned long addr, bool write_protected)
{
	if (write_protected) {
		struct uffdio_writeprotect wp = {};

		wp.range.start = addr & ~(page_size - 1);
		wp.range.len = page_size;
		if (ioctl(fd, UFFDIO_WRITEPROTECT, &wp))
			die("UFFDIO_WRITEPROTECT");
	} else {
		struct uffdio_continue cont = {};

		cont.range.start = addr & ~(page_size - 1);
		cont.range.len = page_size;
		if (ioctl(fd, UFFDIO_CONTINUE, &cont))
			die("UFFDIO_CONTINUE");
	}
}

int here_fd;
bool here_write_protected;

void on_sigbus(int, siginfo_t *info, void *)
{
	resolve_uffd(here_fd, (unsigned long)info->si_addr, here_write_protected);
}

void on_sigsegv(int, siginfo_t *info, void *)
{
	if (mprotect((void *)((unsigned long)info->si_addr & ~(page_size - 1)), page_size,
		     here_write_protected ? PROT_READ | PROT_WRITE : PROT_READ))
		die("mprotect");
}

class region : public way
{
public:
	explicit region(std::size_t pages) : bytes_(pages * page_size)
	{
		int fd = memfd_create("bench-faults", MFD_CLOEXEC);

		if (fd < 0 || ftruncate(fd, (off_t)bytes_))
			die("memfd");
		at_ = (char *)mmap(nullptr, bytes_, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
		if (at_ == MAP_FAILED)
			die("mmap");
		std::memset(at_, 1, bytes_);
		close(fd);
	}
	~region() override { munmap(at_, bytes_); }
	volatile unsigned *page(std::size_t n) override
	{
		return (volatile unsigned *)(at_ + n * page_size);
	}
	void pin_handler(int) override {}

protected:
	void set_handler(int sig, void (*handler)(int, siginfo_t *, void *))
	{
		struct sigaction action = {};

		action.sa_sigaction = handler;
		action.sa_flags = SA_SIGINFO | SA_NODEFER;
		if (sigaction(sig, &action, nullptr))
			die("sigaction");
	}

	std::size_t bytes_;
	char *at_;
};

class uffd_region : public region
{
public:
	uffd_region(std::size_t pages, bool sigbus) : region(pages)
	{
		struct uffdio_api api = {};
		struct uffdio_register reg = {};

		fd_ = (int)syscall(SYS_userfaultfd, O_CLOEXEC | UFFD_USER_MODE_ONLY);
		if (fd_ < 0) {
			problem_ = "userfaultfd cannot be opened";
			return;
		}
		api.api = UFFD_API;
		api.features = UFFD_FEATURE_MINOR_SHMEM | UFFD_FEATURE_WP_HUGETLBFS_SHMEM |
			       (sigbus ? UFFD_FEATURE_SIGBUS : 0);
		reg.range.start = (unsigned long)at_;
		reg.range.len = bytes_;
		reg.mode = UFFDIO_REGISTER_MODE_MINOR | UFFDIO_REGISTER_MODE_WP;
		if (ioctl(fd_, UFFDIO_API, &api) || ioctl(fd_, UFFDIO_REGISTER, &reg))
			problem_ = "this kernel's userfaultfd has no minor and write faults of a "
				   "memfd";
	}
	~uffd_region() override
	{
		if (fd_ >= 0)
			close(fd_);
	}
	const char *problem() const override { return problem_; }
	void arm_minor() override
	{
		prepare(false);
		if (madvise(at_, bytes_, MADV_DONTNEED))
			die("MADV_DONTNEED");
	}
	void arm_write_protected() override
	{
		struct uffdio_writeprotect wp = {};

		prepare(true);
		wp.range.start = (unsigned long)at_;
		wp.range.len = bytes_;
		wp.mode = UFFDIO_WRITEPROTECT_MODE_WP;
		if (ioctl(fd_, UFFDIO_WRITEPROTECT, &wp))
			die("UFFDIO_WRITEPROTECT");
	}

protected:
	virtual void prepare(bool write_protected) = 0;

	int fd_ = -1;
	const char *problem_ = nullptr;
};

class bare_sigbus : public uffd_region
{
public:
	explicit bare_sigbus(std::size_t pages) : uffd_region(pages, true) {}
	const char *name() const override { return "bare userfaultfd, SIGBUS in the thread"; }

private:
	void prepare(bool write_protected) override
	{
		here_fd = fd_;
		here_write_protected = write_protected;
		set_handler(SIGBUS, on_sigbus);
	}
};

class bare_thread : public uffd_region
{
public:
	explicit bare_thread(std::size_t pages) : uffd_region(pages, false)
	{
		if (!problem_)
			thread_ = std::thread([this] { serve(); });
	}
	~bare_thread() override
	{
		if (!thread_.joinable())
			return;
		/* The last fault: the answer is the thread's end. */
		stop_ = true;
		arm_minor();
		(void)*page(0);
		thread_.join();
	}
	const char *name() const override { return "bare userfaultfd, handler thread"; }
	void pin_handler(int cpu) override
	{
		while (!__atomic_load_n(&tid_, __ATOMIC_ACQUIRE))
			sched_yield();
		pin_thread(tid_, cpu);
	}

private:
	void prepare(bool) override {}
	void serve()
	{
		__atomic_store_n(&tid_, gettid(), __ATOMIC_RELEASE);
		for (;;) {
			struct uffd_msg msg;

			if (read(fd_, &msg, sizeof(msg)) != (ssize_t)sizeof(msg)) {
				if (errno == EINTR || errno == EAGAIN)
					continue;
				die("read of userfaultfd");
			}
			bool last = __atomic_load_n(&stop_, __ATOMIC_ACQUIRE);

			resolve_uffd(fd_, msg.arg.pagefault.address,
				     msg.arg.pagefault.flags & UFFD_PAGEFAULT_FLAG_WP);
			if (last)
				return;
		}
	}

	std::thread thread_;
	int tid_ = 0;
	bool stop_ = false;
};

class bare_mprotect : public region
{
public:
	explicit bare_mprotect(std::size_t pages) : region(pages) {}
	const char *name() const override { return "bare mprotect, SIGSEGV in the thread"; }
	void arm_minor() override { arm(PROT_NONE, false); }
	void arm_write_protected() override { arm(PROT_READ, true); }

private:
	void arm(int prot, bool write_protected)
	{
		here_write_protected = write_protected;
		set_handler(SIGSEGV, on_sigsegv);
		if (mprotect(at_, bytes_, prot))
			die("mprotect");
	}
};

} // namespace

void pin_thread(int tid, int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	if (cpu >= 0)
		CPU_SET(cpu, &set);
	else
		for (int i = 0; i < (int)sysconf(_SC_NPROCESSORS_CONF) && i < CPU_SETSIZE; i++)
			CPU_SET(i, &set);
	if (sched_setaffinity(tid, sizeof(set), &set))
		die("sched_setaffinity");
}

std::unique_ptr<way> make_bare_sigbus(std::size_t pages)
{
	return std::make_unique<bare_sigbus>(pages);
}

std::unique_ptr<way> make_bare_thread(std::size_t pages)
{
	return std::make_unique<bare_thread>(pages);
}

std::unique_ptr<way> make_bare_mprotect(std::size_t pages)
{
	return std::make_unique<bare_mprotect>(pages);
}

} // namespace faults
