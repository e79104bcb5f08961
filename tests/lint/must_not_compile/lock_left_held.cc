// SPDX-License-Identifier: GPL-2.0-or-later
// One way out of a function forgets to unlock.
// expect: mutex 'c->lock' is not held on every path through here
#include <kshim/annotations.h>
#include <linux/mutex.h>

struct counter {
	struct mutex lock;
	int value __guarded_by(lock);
};

int counter_take(struct counter *c)
{
	mutex_lock(&c->lock);
	if (c->value == 0) {
#ifdef PVSHIM_RIGHT
		mutex_unlock(&c->lock);
#endif
		return -1;
	}
	c->value--;
	mutex_unlock(&c->lock);
	return 0;
}
