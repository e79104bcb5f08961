/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * area.h - areas on the real MMU
 *
 *      area.cc         the record of every page, and the calls of <kshim/mmu.h>
 *      area_table.cc   addresses: which are free, whose they are; faults in flight
 *      uffd.cc         rights by userfaultfd (INLINE, HANDLER)
 *      mprot.cc        rights by mprotect (MPROTECT)
 *      host.cc         the machine's part: descriptors, probing
 *      handler.cc      the thread of HANDLER
 *
 * An area's page is in one of these states, kept in its record:
 *
 *      nothing --bind--> bound --install--> present, RO or RW --zap--> bound
 *      refused: its last fault failed; for system calls it stays failed until it is bound again
 *
 * A1. A record changes with area->lock held, together with the host's mapping. mmu_pte() reads it
 *     with none.
 * A2. The order inside: the host's mapping first, then the record.
 * Lock order: the locks of ops->fault() -> area->lock. host->lock, for the lists, is taken alone.
 * No fault happens with one of them held.
 */
#ifndef KSHIM_MMU_AREA_H
#define KSHIM_MMU_AREA_H

#include "../mmu_internal.h"

#include <linux/atomic.h>
#include <linux/mutex.h>

/* The record of a page: bits 0 and 1, and above them what is bound: a frame's number plus one. */
#define RECORD_PRESENT 1ul
#define RECORD_WRITABLE 2ul
#define RECORD_RIGHTS 3ul
#define RECORD_NOTHING 0ul
#define RECORD_REFUSED (~3ul)

static inline u64 record_of(unsigned long pfn)
{
	return ((u64)pfn + 1) << 2;
}

static inline bool record_is_bound(u64 record)
{
	u64 what = record & ~RECORD_RIGHTS;

	return what != RECORD_NOTHING && what != RECORD_REFUSED;
}

static inline unsigned long record_pfn(u64 record)
{
	return (unsigned long)(record >> 2) - 1;
}

struct mmu_area;

/*
 * How an area's rights are made. Pages are numbers in the area. All are called with area->lock held
 * and return 0 or -errno, and after an error the page may be anything that faults.
 */
struct area_backend {
	/* Nothing there; accesses fault. */
	int (*clear)(struct mmu_area *area, unsigned long first, unsigned long nr);
	/* Accesses fail, also those of system calls, until bind or clear. */
	int (*refuse)(struct mmu_area *area, unsigned long first);
	/* @nr contiguous frames become what install() will install. */
	int (*bind)(struct mmu_area *area, unsigned long first, unsigned long nr,
		    unsigned long pfn);
	/* A bound page becomes present. */
	int (*install)(struct mmu_area *area, unsigned long index, enum mmu_prot prot);
	/* Changes the right to store in the present ones of these pages. */
	int (*protect)(struct mmu_area *area, unsigned long first, unsigned long nr,
		       enum mmu_prot prot);
	int (*zap)(struct mmu_area *area, unsigned long first, unsigned long nr);
	/* After the addresses are gone: let go of threads that wait in the kernel. */
	void (*gone)(struct mmu_area *area);
	/* Do rights split host mappings? */
	bool rights_split;
};

struct mmu_area {
	struct mmu *mmu;
	const struct mmu_area_ops *ops;
	void *owner;
	unsigned long start, nr_pages;
	enum mmu_delivery delivery;
	const struct area_backend *backend;
	int uffd;                    /* -1: MPROTECT */
	unsigned int slot, nr_slots; /* area_table.cc */
	struct list_head node;       /* in mmu->host->areas, protected by its lock */

	struct mutex lock;
	s64 charged __guarded_by(lock); /* host mappings */
	u64 records[];                  /* written under lock, read at any time: atomic */
};

static inline unsigned long area_addr(const struct mmu_area *area, unsigned long index)
{
	return area->start + (index << PAGE_SHIFT);
}

/* The machine's part. */
struct mmu_host {
	int uffd_inline, uffd_handler; /* -1: not possible, and then why: */
	char inline_problem[160], handler_problem[160];

	struct mutex lock;
	struct list_head areas __guarded_by(lock);
	struct mmu_handler *handler __guarded_by(lock); /* null until the first area needs it */
};

/* uffd.cc, mprot.cc */
extern const struct area_backend uffd_backend, mprot_backend;

/* host.cc */
void mmu_area_link(struct mmu_area *area);
void mmu_area_unlink(struct mmu_area *area);

/* handler.cc */
/* The machine's handler thread runs when this returns 0. */
[[nodiscard]] int mmu_handler_start(struct mmu *mmu);
void mmu_handler_stop(struct mmu *mmu);

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
