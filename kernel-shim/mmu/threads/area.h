/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * area.h - areas on the real MMU
 *
 *      area.cc         the calls of <kshim/mmu.h>, each a call of the area's range
 *      area_table.cc   addresses: which are free, whose they are; faults in flight
 *      host.cc         the machine's part: which ways to deliver faults there are
 *      handler.cc      the thread of HANDLER
 *      ../range.h      what is mapped at an area's addresses, and with which rights
 *
 * A1. An area's range is used with area->lock held. mmu_pte() reads a record with none.
 * Lock order: the locks of ops->fault() -> area->lock. host->lock, for the lists, is taken alone.
 * No fault happens with one of them held.
 */
#ifndef KSHIM_MMU_AREA_H
#define KSHIM_MMU_AREA_H

#include "../range.h"

#include <linux/atomic.h>
#include <linux/mutex.h>

struct mmu_area {
	struct mmu *mmu;
	const struct mmu_area_ops *ops;
	void *owner;
	unsigned long start, nr_pages;
	enum mmu_delivery delivery;
	unsigned int slot, nr_slots; /* area_table.cc */
	struct list_head node;       /* in mmu->host->areas, protected by its lock */

	struct mutex lock;
	struct mmu_range range __guarded_by(lock);
	u64 records[]; /* the range's */
};

/* The machine's part. */
struct mmu_host {
	int uffd_inline, uffd_handler; /* -1: not possible, and then why: */
	char inline_problem[160], handler_problem[160];

	struct mutex lock;
	struct list_head areas __guarded_by(lock);
	struct mmu_handler *handler __guarded_by(lock); /* null until the first area needs it */
};

/* host.cc */
void mmu_area_link(struct mmu_area *area);
void mmu_area_unlink(struct mmu_area *area);

/* handler.cc */
/* The machine's handler thread runs when this returns 0. */
[[nodiscard]] int mmu_handler_start(struct mmu *mmu);
void mmu_handler_stop(struct mmu *mmu);
/* Threads that wait for a page of an area whose addresses are gone find nothing there. */
void mmu_handler_let_go(const struct mmu_area *area);

/* area.cc: runs the owner's callback, bound to the area's machine. 0 or -errno. */
[[nodiscard]] int mmu_area_fault(struct mmu_area *area, unsigned long addr, bool write);
/* A fault of a thread in the kernel failed for good: make it fail. */
void mmu_area_refuse(struct mmu_area *area, unsigned long addr);

/*
 * area_table.cc: the addresses of all areas of the process. get/put count machines.
 * area_slots_take() gives the area an address range and its slots; area_slots_publish() lets faults
 * find it; area_slots_withdraw() ends that and waits for those in flight; area_slots_give() takes
 * the range back, which must have nothing in it but a reservation.
 */
[[nodiscard]] int area_table_get(struct mmu *mmu);
void area_table_put(void);
[[nodiscard]] int area_slots_take(struct mmu_area *area);
void area_slots_publish(struct mmu_area *area);
void area_slots_withdraw(struct mmu_area *area);
void area_slots_give(struct mmu_area *area);
/* The area at @addr, which stays until area_unpin(); null: nobody's. Signal handler safe. */
struct area_slot;
struct mmu_area *area_pin(unsigned long addr, struct area_slot **slot);
void area_unpin(struct area_slot *slot);

#endif
