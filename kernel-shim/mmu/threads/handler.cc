// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * handler.cc - the thread that resolves faults of HANDLER areas
 *
 *      program or system call          handler thread
 *      touches the page, sleeps  -->   reads the message, ops->fault() -> mmu_map()
 *      goes on                   <--     wakes who waits for this page
 *
 * H1. Who sleeps on a page is woken after every message about it: it finds the page, or faults
 *     anew.
 * H2. A fault that failed for good becomes a page that fails (mmu_area_refuse()), then its sleepers
 *     are woken.
 *
 * The thread sleeps in read(2), with nothing beside: stopping it is a fault too, on a page of its
 * own, the bell. One thread a machine: a callback that sleeps delays the faults of others, as would
 * a busy processor.
 */
#include "../uffd.h"
#include "area.h"

#include <linux/err.h>
#include <linux/kernel.h>
#include <linux/slab.h>

#include <errno.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

struct mmu_handler {
	struct mmu *mmu;
	int uffd;
	char *bell; /* a page that is missing until the thread stops */
	struct kshim_thread *thread;
};

static void wake_page(const struct mmu_handler *handler, unsigned long addr)
{
	struct uffdio_range range;

	range.start = addr & PAGE_MASK;
	range.len = PAGE_SIZE;
	if (ioctl(handler->uffd, UFFDIO_WAKE, &range))
		kshim_violation("mmu: cannot wake who waits for %#lx: errno %d", addr, errno);
}

void mmu_handler_let_go(const struct mmu_area *area)
{
	struct uffdio_range range;

	range.start = area->start;
	range.len = area->nr_pages << PAGE_SHIFT;
	(void)ioctl(area->mmu->host->uffd_handler, UFFDIO_WAKE, &range);
}

static void handle(struct mmu_handler *handler, unsigned long addr, bool write)
{
	struct area_slot *slot;
	struct mmu_area *area = area_pin(addr, &slot);

	if (!area) {
		/* Being destroyed: it faults again until its addresses are gone. */
		wake_page(handler, addr);
		return;
	}
	if (mmu_area_fault(area, addr, write))
		mmu_area_refuse(area, addr);
	wake_page(handler, addr);
	area_unpin(slot);
}

static bool is_bell(const struct mmu_handler *handler, unsigned long addr)
{
	return (addr & PAGE_MASK) == (unsigned long)handler->bell;
}

static void handler_main(void *arg)
{
	struct mmu_handler *handler = (struct mmu_handler *)arg;
	machine_scope bound(handler->mmu->machine);

	for (;;) {
		struct uffd_msg msg;
		ssize_t n = read(handler->uffd, &msg, sizeof(msg));
		unsigned long addr;

		if (n < 0 && (errno == EINTR || errno == EAGAIN))
			continue;
		if (n != (ssize_t)sizeof(msg))
			kshim_violation("mmu: reading faults failed: %zd bytes, errno %d", n,
					errno);
		if (msg.event != UFFD_EVENT_PAGEFAULT)
			continue;
		addr = msg.arg.pagefault.address;
		if (is_bell(handler, addr))
			break;
		handle(handler, addr,
		       msg.arg.pagefault.flags &
			       (UFFD_PAGEFAULT_FLAG_WRITE | UFFD_PAGEFAULT_FLAG_WP));
	}

	struct uffdio_zeropage zero = {};

	zero.range.start = (unsigned long)handler->bell;
	zero.range.len = PAGE_SIZE;
	while (ioctl(handler->uffd, UFFDIO_ZEROPAGE, &zero)) {
		if (errno != EAGAIN)
			kshim_violation("mmu: the handler thread cannot answer its bell: errno %d",
					errno);
	}
}

static int make_bell(struct mmu_handler *handler)
{
	struct uffdio_register reg = {};
	void *bell = mmap(nullptr, PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
			  -1, 0);

	if (bell == MAP_FAILED)
		return -errno;
	reg.range.start = (unsigned long)bell;
	reg.range.len = PAGE_SIZE;
	reg.mode = UFFDIO_REGISTER_MODE_MISSING;
	if (ioctl(handler->uffd, UFFDIO_REGISTER, &reg)) {
		int err = -errno;

		munmap(bell, PAGE_SIZE);
		return err;
	}
	handler->bell = (char *)bell;
	return 0;
}

int mmu_handler_start(struct mmu *mmu)
{
	struct mmu_host *host = mmu->host;
	struct mmu_handler *handler;
	int err;

	guard(mutex)(&host->lock);
	if (host->handler)
		return 0;
	handler = kzalloc_obj(struct mmu_handler, GFP_KERNEL);
	if (!handler)
		return -ENOMEM;
	handler->mmu = mmu;
	handler->uffd = host->uffd_handler;
	err = make_bell(handler);
	if (err)
		goto free_handler;
	handler->thread = kshim_thread_start("mmu-faults", handler_main, handler);
	err = PTR_ERR_OR_ZERO(handler->thread);
	if (err)
		goto unmap_bell;
	host->handler = handler;
	return 0;

unmap_bell:
	munmap(handler->bell, PAGE_SIZE);
free_handler:
	kfree(handler);
	return err;
}

void mmu_handler_stop(struct mmu *mmu)
{
	struct mmu_host *host = mmu->host;
	struct mmu_handler *handler;

	guard(mutex)(&host->lock);
	handler = host->handler;
	if (!handler)
		return;
	/* Ring, and wait for the answer. */
	(void)*(volatile char *)handler->bell;
	if (kshim_thread_join(handler->thread))
		kshim_violation("mmu: the handler thread cannot be joined");
	munmap(handler->bell, PAGE_SIZE);
	kfree(handler);
	host->handler = nullptr;
}
