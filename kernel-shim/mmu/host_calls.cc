// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * host_calls.cc - the mmu's system calls
 *
 * In one place, so that a test can make the nth of them fail and look for leaks, and so that the
 * host's limit of mappings (vm.max_map_count) is met here, by a clear refusal, before the process
 * meets it somewhere else.
 *
 * KSHIM: the budget is a machine's, the host's limit is the process's. The reserve leaves room for
 * everything else; two machines that both fill theirs would meet the host's limit, as -ENOMEM too.
 */
#include "mmu_internal.h"

#include <linux/err.h>
#include <linux/printk.h>

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

static bool call_must_fail(struct mmu *mmu)
{
	if (likely(__atomic_load_n(&mmu->fail_call, __ATOMIC_RELAXED) == 0))
		return false;
	return __atomic_sub_fetch(&mmu->fail_call, 1, __ATOMIC_RELAXED) == 0;
}

long mmu_fail_call(struct pv_machine *m, long nth)
{
	long left = __atomic_exchange_n(&m->mmu->fail_call, nth, __ATOMIC_RELAXED);

	return left > 0 ? left : 0;
}

void *mmu_host_mmap(struct mmu *mmu, const struct mmu_mapping &what)
{
	void *addr;

	if (call_must_fail(mmu))
		return ERR_PTR(-ENOMEM);
	addr = mmap((void *)what.addr, what.bytes, what.prot, what.flags, what.fd,
		    (off_t)what.offset);
	if (addr == MAP_FAILED)
		return ERR_PTR(-errno);
	return addr;
}

int mmu_host_mprotect(struct mmu *mmu, unsigned long addr, size_t bytes, int prot)
{
	if (call_must_fail(mmu))
		return -ENOMEM;
	return mprotect((void *)addr, bytes, prot) ? -errno : 0;
}

int mmu_host_madvise(struct mmu *mmu, unsigned long addr, size_t bytes, int advice)
{
	if (call_must_fail(mmu))
		return -ENOMEM;
	return madvise((void *)addr, bytes, advice) ? -errno : 0;
}

int mmu_host_ioctl(struct mmu *mmu, int fd, unsigned long request, void *arg)
{
	if (call_must_fail(mmu))
		return -ENOMEM;
	return ioctl(fd, request, arg) ? -errno : 0;
}

void mmu_host_munmap(unsigned long addr, size_t bytes)
{
	if (munmap((void *)addr, bytes))
		kshim_violation("munmap of %zu bytes at %#lx failed: errno %d", bytes, addr, errno);
}

bool mmu_try_charge(struct mmu *mmu, s64 n)
{
	s64 now = __atomic_add_fetch(&mmu->host_mappings, n, __ATOMIC_RELAXED);

	if (likely(n <= 0 || now <= __atomic_load_n(&mmu->mapping_budget, __ATOMIC_RELAXED)))
		return true;
	mmu_uncharge(mmu, n);
	return false;
}

int mmu_charge(struct mmu *mmu, s64 n)
{
	if (mmu_try_charge(mmu, n))
		return 0;
	pr_err("mmu: %lld more host mappings would be %lld, more than %lld; raise vm.max_map_count "
	       "or map contiguous pages\n",
	       (long long)n,
	       (long long)(__atomic_load_n(&mmu->host_mappings, __ATOMIC_RELAXED) + n),
	       (long long)__atomic_load_n(&mmu->mapping_budget, __ATOMIC_RELAXED));
	return -ENOMEM;
}

void mmu_uncharge(struct mmu *mmu, s64 n)
{
	__atomic_sub_fetch(&mmu->host_mappings, n, __ATOMIC_RELAXED);
}

void mmu_set_mapping_budget(struct pv_machine *m, u64 mappings)
{
	__atomic_store_n(&m->mmu->mapping_budget, (s64)mappings, __ATOMIC_RELAXED);
}

s64 mmu_default_budget(void)
{
	char text[32] = {};
	s64 limit = 65530; /* the kernel's default, when it does not say */
	/* Worlds are the same on all hosts. */
	int fd = KSHIM_EXPLORE ? -1 : open("/proc/sys/vm/max_map_count", O_RDONLY | O_CLOEXEC);

	if (fd >= 0) {
		if (read(fd, text, sizeof(text) - 1) > 0 && atoll(text) > 0)
			limit = atoll(text);
		close(fd);
	}
	return limit - limit / 8;
}
