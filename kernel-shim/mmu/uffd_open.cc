// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * uffd_open.cc - userfaultfd: is it there, and can it do what we need?
 *
 * Found out by doing it: a descriptor with the features, a mapping registered, a PTE installed
 * write-protected. What does not work is one line of text.
 *
 *      of programs      needs no privilege (UFFD_USER_MODE_ONLY); refused accesses are SIGBUS
 *      of system calls  vm.unprivileged_userfaultfd=1, CAP_SYS_PTRACE or access to
 *                       /dev/userfaultfd; refused accesses are messages
 */
#include "range.h"
#include "uffd.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#define UFFD_FEATURES                                                                              \
	(UFFD_FEATURE_MINOR_SHMEM | UFFD_FEATURE_PAGEFAULT_FLAG_WP |                               \
	 UFFD_FEATURE_WP_HUGETLBFS_SHMEM | UFFD_FEATURE_EXACT_ADDRESS)

struct uffd_kind {
	const char *what;
	bool system_calls; /* must see the faults of system calls */
	__u64 features;
};

static const struct uffd_kind inline_kind = {"in the faulting thread", false,
					     UFFD_FEATURES | UFFD_FEATURE_SIGBUS};
static const struct uffd_kind handler_kind = {"by a handler thread", true, UFFD_FEATURES};

static int open_device(void)
{
	int device = open("/dev/userfaultfd", O_RDWR | O_CLOEXEC), fd = -1;

#ifdef USERFAULTFD_IOC_NEW
	if (device >= 0)
		fd = ioctl(device, USERFAULTFD_IOC_NEW, O_CLOEXEC);
#endif
	if (device >= 0)
		close(device);
	return fd;
}

static int open_kind(const struct uffd_kind *kind, char *problem, size_t size)
{
	int fd = (int)syscall(SYS_userfaultfd,
			      O_CLOEXEC | (kind->system_calls ? 0 : UFFD_USER_MODE_ONLY));
	int err = errno;

	if (fd < 0 && err == EPERM && kind->system_calls)
		fd = open_device();
	if (fd >= 0)
		return fd;
	if (err == EPERM && kind->system_calls)
		snprintf(problem, size,
			 "userfaultfd for system calls is not permitted; set "
			 "vm.unprivileged_userfaultfd=1 or "
			 "give access to /dev/userfaultfd");
	else
		snprintf(problem, size, "userfaultfd cannot be opened: %s%s", strerror(err),
			 err == ENOSYS || err == EPERM ? " (a container's filter?)" : "");
	return -1;
}

/* Does the kernel do all that uffd.cc asks for? On a page of the memfd, which must be there. */
static const char *try_page(int fd, char *page)
{
	struct uffdio_register reg = {};
	struct uffdio_continue cont = {};

	reg.range.start = (unsigned long)page;
	reg.range.len = PAGE_SIZE;
	reg.mode = UFFD_MODES;
	if (ioctl(fd, UFFDIO_REGISTER, &reg))
		return "a memfd cannot be registered for minor and write faults";
	cont.range = reg.range;
	cont.mode = UFFDIO_CONTINUE_MODE_WP;
	if (ioctl(fd, UFFDIO_CONTINUE, &cont))
		return "a page cannot be installed write-protected (that takes Linux 6.4)";
	return nullptr;
}

static bool can_do(struct mmu *mmu, int fd, const struct uffd_kind *kind, char *problem,
		   size_t size)
{
	struct uffdio_api api = {};
	const char *failed;
	void *page;

	api.api = UFFD_API;
	api.features = kind->features;
	if (ioctl(fd, UFFDIO_API, &api)) {
		snprintf(problem, size,
			 "this kernel's userfaultfd cannot deliver minor and write faults of a "
			 "memfd %s",
			 kind->what);
		return false;
	}
	if (mmu_populate(mmu, 0)) {
		snprintf(problem, size, "the host has no memory for one page");
		return false;
	}
	page = mmap(nullptr, PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, mmu->memfd, 0);
	if (page == MAP_FAILED) {
		snprintf(problem, size, "one page cannot be mapped: %s", strerror(errno));
		return false;
	}
	failed = try_page(fd, (char *)page);
	if (failed)
		snprintf(problem, size, "%s: %s", failed, strerror(errno));
	munmap(page, PAGE_SIZE);
	return !failed;
}

int uffd_open(struct mmu *mmu, bool system_calls, char *problem, size_t size)
{
	const struct uffd_kind *kind = system_calls ? &handler_kind : &inline_kind;
	int fd = open_kind(kind, problem, size);

	if (fd >= 0 && !can_do(mmu, fd, kind, problem, size)) {
		close(fd);
		fd = -1;
	}
	return fd;
}
