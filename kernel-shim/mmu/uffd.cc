// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * uffd.cc - rights by userfaultfd on the memfd
 *
 *      nothing    anonymous, registered for MISSING: an access is a fault
 *      bound      the frame, registered for MINOR and MISSING: no PTE, so an access is a fault
 *      RO         a PTE, write-protected by userfaultfd
 *      RW         a PTE
 *      refused    PROT_NONE
 *
 * UFFDIO_CONTINUE installs the PTE of the page that the file has at this place, so "which frame" is
 * a matter of the host mapping (bind), and only rights change afterwards: no host mapping is split,
 * and one ioctl is all.
 *
 * Binding cannot be one step: a new mapping is not registered. It is made PROT_NONE, registered,
 * and only then opened; who comes between gets SIGSEGV, which is resolved like any fault (and a
 * system call EFAULT, mmu_map()).
 *
 * Nothing here wakes threads that wait for a page (HANDLER): the handler thread does, once the
 * record agrees.
 */
#include "uffd.h"
#include "range.h"

#include <linux/err.h>

#include <errno.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

static struct uffdio_range range_of(const struct mmu_range &range, unsigned long first,
				    unsigned long nr)
{
	struct uffdio_range pages;

	pages.start = range_addr(range, first);
	pages.len = nr << PAGE_SHIFT;
	return pages;
}

static int uffd_register(const struct mmu_range &range, unsigned long first, unsigned long nr,
			 __u64 modes)
{
	struct uffdio_register reg = {};

	reg.range = range_of(range, first, nr);
	reg.mode = modes;
	return mmu_host_ioctl(range.mmu, range.uffd, UFFDIO_REGISTER, &reg);
}

/* A new mapping of @what, registered before anybody can touch it unseen. */
static int map_registered(const struct mmu_range &range, const struct mmu_mapping &what,
			  __u64 modes)
{
	unsigned long first = (what.addr - range.start) >> PAGE_SHIFT;
	int err = PTR_ERR_OR_ZERO(mmu_host_mmap(range.mmu, what));

	if (err)
		return err;
	err = uffd_register(range, first, what.bytes >> PAGE_SHIFT, modes);
	if (err)
		return err;
	return mmu_host_mprotect(range.mmu, what.addr, what.bytes, PROT_READ | PROT_WRITE);
}

static struct mmu_mapping anonymous(const struct mmu_range &range, unsigned long first,
				    unsigned long nr)
{
	return {.addr = range_addr(range, first),
		.bytes = nr << PAGE_SHIFT,
		.prot = PROT_NONE,
		.flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED,
		.fd = -1,
		.offset = 0};
}

static int uffd_clear(const struct mmu_range &range, unsigned long first, unsigned long nr)
{
	return map_registered(range, anonymous(range, first, nr),
			      UFFDIO_REGISTER_MODE_MISSING | UFFDIO_REGISTER_MODE_WP);
}

static int uffd_refuse(const struct mmu_range &range, unsigned long first)
{
	return PTR_ERR_OR_ZERO(mmu_host_mmap(range.mmu, anonymous(range, first, 1)));
}

static int uffd_bind(const struct mmu_range &range, unsigned long first, unsigned long nr,
		     unsigned long pfn)
{
	return map_registered(range,
			      {.addr = range_addr(range, first),
			       .bytes = nr << PAGE_SHIFT,
			       .prot = PROT_NONE,
			       .flags = MAP_SHARED | MAP_FIXED,
			       .fd = range.mmu->memfd,
			       .offset = (u64)pfn << PAGE_SHIFT},
			      UFFD_MODES);
}

static int uffd_protect(const struct mmu_range &range, unsigned long first, unsigned long nr,
			enum mmu_prot prot)
{
	struct uffdio_writeprotect wp;
	int err;

	wp.range = range_of(range, first, nr);
	wp.mode = prot == MMU_RO ? UFFDIO_WRITEPROTECT_MODE_WP : 0;
	if (prot == MMU_RW)
		wp.mode |= UFFDIO_WRITEPROTECT_MODE_DONTWAKE;
	/* EAGAIN: another thread is changing the process's mappings. */
	do {
		err = mmu_host_ioctl(range.mmu, range.uffd, UFFDIO_WRITEPROTECT, &wp);
	} while (err == -EAGAIN);
	return err;
}

static int uffd_install(const struct mmu_range &range, unsigned long index, enum mmu_prot prot)
{
	struct uffdio_continue cont;
	bool populated = false;
	int err;

	for (;;) {
		cont.range = range_of(range, index, 1);
		cont.mode = UFFDIO_CONTINUE_MODE_DONTWAKE;
		if (prot == MMU_RO)
			cont.mode |= UFFDIO_CONTINUE_MODE_WP;
		cont.mapped = 0;
		err = mmu_host_ioctl(range.mmu, range.uffd, UFFDIO_CONTINUE, &cont);
		if (err == -EAGAIN)
			continue;
		/* The host has no memory for this frame yet. */
		if (err != -EFAULT || populated)
			break;
		populated = true;
		err = mmu_populate(range.mmu, record_pfn(record_get(range.records, index)));
		if (err)
			return err;
	}
	/* A PTE that our record does not know of. Whatever its rights: now these. */
	if (err == -EEXIST)
		return uffd_protect(range, index, 1, prot);
	return err;
}

static int uffd_zap(const struct mmu_range &range, unsigned long first, unsigned long nr)
{
	return mmu_host_madvise(range.mmu, range_addr(range, first), nr << PAGE_SHIFT,
				MADV_DONTNEED);
}

const struct range_backend uffd_backend = {
	.clear = uffd_clear,
	.refuse = uffd_refuse,
	.bind = uffd_bind,
	.install = uffd_install,
	.protect = uffd_protect,
	.zap = uffd_zap,
	.rights_split = false,
};
