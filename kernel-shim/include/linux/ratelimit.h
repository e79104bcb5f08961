/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * "At most `burst` in `interval` jiffies": for lines in the log that the outside can provoke.
 * KSHIM: the state is a field of the object that complains; there is none per call site.
 */
#ifndef KSHIM_LINUX_RATELIMIT_H
#define KSHIM_LINUX_RATELIMIT_H

#include <linux/spinlock.h>

struct ratelimit_state {
	spinlock_t lock;
	unsigned long interval;
	unsigned int burst;
	unsigned int printed __guarded_by(lock);
	unsigned int missed __guarded_by(lock);
	unsigned long begin __guarded_by(lock);
};

void ratelimit_state_init(struct ratelimit_state *rs, unsigned long interval, unsigned int burst);
/* True: go on and print. The first line of a new interval says how many were left out. */
bool __ratelimit(struct ratelimit_state *rs);

#endif
