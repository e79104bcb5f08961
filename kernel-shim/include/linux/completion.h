/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Completions: "it is done", said once or counted, possibly before anybody waits.
 * The waiter may free the completion as soon as wait_for_completion() returns.
 */
#ifndef KSHIM_LINUX_COMPLETION_H
#define KSHIM_LINUX_COMPLETION_H

#include <linux/wait.h>

struct completion {
	unsigned int done; /* protected by wait.lock; UINT_MAX after complete_all() */
	struct wait_queue_head wait;
};

#define DECLARE_COMPLETION_ONSTACK(name)                                                           \
	struct completion name;                                                                    \
	init_completion(&name)

void init_completion(struct completion *x);
#define init_completion(x) (init_completion)(kshim_named((x), #x))
/* Makes a completion that was used up (complete_all) usable again; nobody may be waiting. */
void reinit_completion(struct completion *x);
void complete(struct completion *x);
void complete_all(struct completion *x);
void wait_for_completion(struct completion *x);
/* Return: 0 when @timeout jiffies passed, else the jiffies left, at least 1. */
unsigned long wait_for_completion_timeout(struct completion *x, unsigned long timeout);
[[nodiscard]] bool try_wait_for_completion(struct completion *x);
bool completion_done(struct completion *x);

#endif
