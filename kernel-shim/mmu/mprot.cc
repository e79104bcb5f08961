// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * mprot.cc - rights by mprotect(2), for hosts without userfaultfd and to compare with
 *
 *      nothing, refused   PROT_NONE, anonymous
 *      bound              PROT_NONE, the frame
 *      RO, RW             PROT_READ, PROT_READ|PROT_WRITE, the frame
 *
 * A refused access is SIGSEGV in the thread itself. A system call gets EFAULT where a program would
 * fault. Rights are a property of host mappings, so each change of right between neighbours costs
 * one.
 */
#include "range.h"

#include <linux/err.h>

#include <sys/mman.h>

static int mprot_clear(const struct mmu_range &range, unsigned long first, unsigned long nr)
{
	const struct mmu_mapping nothing = {.addr = range_addr(range, first),
					    .bytes = nr << PAGE_SHIFT,
					    .prot = PROT_NONE,
					    .flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE |
						     MAP_FIXED,
					    .fd = -1,
					    .offset = 0};

	return PTR_ERR_OR_ZERO(mmu_host_mmap(range.mmu, nothing));
}

static int mprot_refuse(const struct mmu_range &range, unsigned long first)
{
	return mprot_clear(range, first, 1);
}

static int mprot_bind(const struct mmu_range &range, unsigned long first, unsigned long nr,
		      unsigned long pfn)
{
	const struct mmu_mapping frames = {.addr = range_addr(range, first),
					   .bytes = nr << PAGE_SHIFT,
					   .prot = PROT_NONE,
					   .flags = MAP_SHARED | MAP_FIXED,
					   .fd = range.mmu->memfd,
					   .offset = (u64)pfn << PAGE_SHIFT};

	return PTR_ERR_OR_ZERO(mmu_host_mmap(range.mmu, frames));
}

static int mprot_install(const struct mmu_range &range, unsigned long index, enum mmu_prot prot)
{
	return mmu_host_mprotect(range.mmu, range_addr(range, index), PAGE_SIZE,
				 mmu_host_prot(prot));
}

static bool is_present(const struct mmu_range &range, unsigned long index)
{
	return record_get(range.records, index) & RECORD_PRESENT;
}

/* One call for each run of pages that are present: the others must stay as they are. */
static int mprotect_present(const struct mmu_range &range, unsigned long first, unsigned long nr,
			    int prot)
{
	for (unsigned long i = first; i < first + nr;) {
		unsigned long n = 1;
		int err;

		if (!is_present(range, i)) {
			i++;
			continue;
		}
		while (i + n < first + nr && is_present(range, i + n))
			n++;
		err = mmu_host_mprotect(range.mmu, range_addr(range, i), n << PAGE_SHIFT, prot);
		if (err)
			return err;
		i += n;
	}
	return 0;
}

static int mprot_protect(const struct mmu_range &range, unsigned long first, unsigned long nr,
			 enum mmu_prot prot)
{
	return mprotect_present(range, first, nr, mmu_host_prot(prot));
}

static int mprot_zap(const struct mmu_range &range, unsigned long first, unsigned long nr)
{
	return mprotect_present(range, first, nr, PROT_NONE);
}

const struct range_backend mprot_backend = {
	.clear = mprot_clear,
	.refuse = mprot_refuse,
	.bind = mprot_bind,
	.install = mprot_install,
	.protect = mprot_protect,
	.zap = mprot_zap,
	.rights_split = true,
};
