/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * linux/notifier.h - functions that want to be told, in the order of their priorities
 *
 * A blocking chain's functions run under its rwsem (read) and may sleep; they must not register or
 * unregister on the same chain.
 */
#ifndef KSHIM_LINUX_NOTIFIER_H
#define KSHIM_LINUX_NOTIFIER_H

#include <linux/rwsem.h>

struct notifier_block {
	int (*notifier_call)(struct notifier_block *nb, unsigned long action, void *data);
	struct notifier_block *next;
	int priority; /* higher ones first */
};

struct blocking_notifier_head {
	struct rw_semaphore rwsem;
	struct notifier_block *head __guarded_by(rwsem);
};

#define NOTIFY_DONE 0x0000
#define NOTIFY_OK 0x0001
#define NOTIFY_STOP_MASK 0x8000
#define NOTIFY_STOP (NOTIFY_OK | NOTIFY_STOP_MASK)

static inline void BLOCKING_INIT_NOTIFIER_HEAD(struct blocking_notifier_head *chain)
{
	init_rwsem(&chain->rwsem);
	guard(rwsem_write)(&chain->rwsem);
	chain->head = nullptr;
}

/* Return: 0; -EEXIST when @nb is on the chain; -ENOENT when it is not. */
int blocking_notifier_chain_register(struct blocking_notifier_head *chain,
				     struct notifier_block *nb);
int blocking_notifier_chain_unregister(struct blocking_notifier_head *chain,
				       struct notifier_block *nb);

/* Return: the last function's answer; one with NOTIFY_STOP_MASK ends the round. */
int blocking_notifier_call_chain(struct blocking_notifier_head *chain, unsigned long action,
				 void *data);

#endif
