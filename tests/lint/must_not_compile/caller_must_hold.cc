// SPDX-License-Identifier: GPL-2.0-or-later
// A function that its callers may only call with the lock held, called without it.
// expect: calling function 'counter_bump_locked' requires holding spinlock 'c->lock'
#include <kshim/annotations.h>
#include <linux/spinlock.h>

struct counter {
	spinlock_t lock;
	int value __guarded_by(lock);
};

void counter_bump_locked(struct counter *c) __must_hold(c->lock);

void counter_bump(struct counter *c)
{
#ifdef PVSHIM_RIGHT
	guard(spinlock)(&c->lock);
#endif
	counter_bump_locked(c);
}
