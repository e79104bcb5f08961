/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * page_lock.cc - the lock in every page
 *
 * Two bits of page->flags: PG_locked, and PG_waiters while somebody may sleep. A waiter sets
 * PG_waiters before it sleeps on the word; the unlocker clears both in one step and wakes all
 * when PG_waiters was there. Taking the lock synchronises with the unlock before it (acquire,
 * release).
 *
 * KSHIM: all waiters are woken, and those that lose set PG_waiters again. Contended page locks
 * are rare and have two or three waiters; a queue would cost every page its head. The lock has no
 * owner, so that the faulting thread may hand it on.
 */
#include <kshim/host.h>
#include <linux/atomic.h>
#include <linux/bug.h>
#include <linux/mm.h>

#include <limits.h>

static u32 flags_or(struct page *page, u32 bits, int order)
{
	kshim_point(KSHIM_RMW, &page->flags, sizeof(page->flags), order);
	return __atomic_fetch_or(&page->flags, bits, order);
}

static bool lock_if_free(struct page *page)
{
	return !(flags_or(page, PG_locked, __ATOMIC_ACQUIRE) & PG_locked);
}

bool trylock_page(struct page *page)
{
	return !kshim_fault(KSHIM_FAULT_TRYLOCK, "trylock_page") && lock_if_free(page);
}

void lock_page(struct page *page)
{
	while (!lock_if_free(page)) {
		u32 seen = flags_or(page, PG_waiters, __ATOMIC_RELAXED) | PG_waiters;

		if (seen & PG_locked)
			kshim_wait(&page->flags, seen, KSHIM_FOREVER, "page lock");
	}
}

void unlock_page(struct page *page)
{
	u32 before;

	kshim_point(KSHIM_RMW, &page->flags, sizeof(page->flags), __ATOMIC_RELEASE);
	before = __atomic_fetch_and(&page->flags, ~(u32)(PG_locked | PG_waiters), __ATOMIC_RELEASE);
	BUG_ON(!(before & PG_locked));
	if (before & PG_waiters)
		kshim_wake(&page->flags, INT_MAX);
}

bool PageLocked(const struct page *page)
{
	return READ_ONCE(page->flags) & PG_locked;
}
