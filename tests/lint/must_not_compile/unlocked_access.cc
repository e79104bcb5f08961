// SPDX-License-Identifier: GPL-2.0-or-later
// A guarded field is touched without its lock.
// expect: requires holding mutex 'c->lock'
#include <kshim/annotations.h>
#include <linux/mutex.h>

struct counter {
	struct mutex lock;
	int value __guarded_by(lock);
};

void counter_bump(struct counter *c)
{
#ifdef PVSHIM_RIGHT
	guard(mutex)(&c->lock);
#endif
	c->value++;
}
