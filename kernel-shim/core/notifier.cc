// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Chains of functions that want to be told (<linux/notifier.h>).
 */
#include <linux/errno.h>
#include <linux/notifier.h>

int blocking_notifier_chain_register(struct blocking_notifier_head *chain,
				     struct notifier_block *nb)
{
	struct notifier_block **link;

	guard(rwsem_write)(&chain->rwsem);
	for (link = &chain->head; *link; link = &(*link)->next) {
		if (*link == nb)
			return -EEXIST;
		if ((*link)->priority < nb->priority)
			break;
	}
	nb->next = *link;
	*link = nb;
	return 0;
}

int blocking_notifier_chain_unregister(struct blocking_notifier_head *chain,
				       struct notifier_block *nb)
{
	struct notifier_block **link;

	guard(rwsem_write)(&chain->rwsem);
	for (link = &chain->head; *link; link = &(*link)->next) {
		if (*link == nb) {
			*link = nb->next;
			return 0;
		}
	}
	return -ENOENT;
}

int blocking_notifier_call_chain(struct blocking_notifier_head *chain, unsigned long action,
				 void *data)
{
	int ret = NOTIFY_DONE;

	guard(rwsem_read)(&chain->rwsem);
	for (struct notifier_block *nb = chain->head; nb; nb = nb->next) {
		ret = nb->notifier_call(nb, action, data);
		if (ret & NOTIFY_STOP_MASK)
			break;
	}
	return ret;
}
