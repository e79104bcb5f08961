// SPDX-License-Identifier: GPL-2.0-or-later
// A field is written under a lock that is only held for reading.
// expect: requires holding rwsem 's->sem' exclusively
#include <kshim/annotations.h>
#include <linux/rwsem.h>

struct shared {
	struct rw_semaphore sem;
	int value __guarded_by(sem);
};

void shared_set(struct shared *s)
{
#ifdef PVSHIM_RIGHT
	guard(rwsem_write)(&s->sem);
#else
	guard(rwsem_read)(&s->sem);
#endif
	s->value = 1;
}
