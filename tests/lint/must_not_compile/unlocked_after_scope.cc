// SPDX-License-Identifier: GPL-2.0-or-later
// A field is touched after the scoped_guard of its lock has ended.
// expect: requires holding spinlock 'q->lock'
#include <kshim/annotations.h>
#include <linux/spinlock.h>

struct queue {
	spinlock_t lock;
	int length __guarded_by(lock);
};

int queue_take(struct queue *q)
{
	int length = 0;

	scoped_guard (spinlock, &q->lock) {
		length = --q->length;
	}
#ifndef PVSHIM_RIGHT
	q->length = 0;
#endif
	return length;
}
