/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * xs_watch.cc - watches, and the thread of each domain that calls them back
 *
 *      change of /a/b -> every watch on /, /a, /a/b (and on what was below it, if it was removed)
 *                     -> its domain's queue (once) -> watch thread -> callback
 *
 * A watch is its own queue entry. It leaves the queue before its callback begins, so a change
 * during the callback queues it again.
 *
 * I1: a watch is on a queue exactly when it is registered and fired.
 * I2: a callback runs without any lock of ours.
 * Locks: watch_lock guards the list, the queues and the watches' own fields.
 */
#include <string.h>

#include <linux/err.h>
#include <linux/errno.h>
#include <linux/kernel.h>
#include <linux/kthread.h>

#include "xen_internal.h"

/* Is @path the node @above or below it? */
static bool path_within(const char *path, const char *above)
{
	size_t length = strlen(above);

	if (length == 1)
		return true;
	return !strncmp(path, above, length) && (!path[length] || path[length] == '/');
}

/* Caller holds watch_lock. */
static void watch_fire_locked(struct xenbus_watch *watch)
{
	if (watch->fired)
		return;
	watch->fired = true;
	list_add_tail(&watch->queue, &watch->domain->fired_watches);
	wake_up(&watch->domain->watch_wq);
}

void xen_watches_path_changed(struct hypervisor *xen, const char *path, bool removed)
{
	struct xenbus_watch *watch;

	guard(spinlock_irqsave)(&xen->watch_lock);
	list_for_each_entry (watch, &xen->watches, list) {
		if (path_within(path, watch->node) || (removed && path_within(watch->node, path)))
			watch_fire_locked(watch);
	}
}

int register_xenbus_watch(struct xenbus_watch *watch)
{
	struct hypervisor *xen = current_xen();

	if (!watch->node || watch->node[0] != '/' || !watch->callback || !watch->domain)
		return -EINVAL;
	guard(spinlock_irqsave)(&xen->watch_lock);
	if (watch->registered)
		return -EEXIST;
	watch->registered = true;
	watch->fired = false;
	list_add_tail(&watch->list, &xen->watches);
	watch_fire_locked(watch);
	return 0;
}

static bool watch_is_called(struct xen_domain *domain, struct xenbus_watch *watch)
{
	guard(spinlock_irqsave)(&domain->xen->watch_lock);
	return domain->calling == watch;
}

void unregister_xenbus_watch(struct xenbus_watch *watch)
{
	struct hypervisor *xen = current_xen();
	struct xen_domain *domain = watch->domain;

	{
		guard(spinlock_irqsave)(&xen->watch_lock);
		if (!watch->registered)
			return;
		watch->registered = false;
		list_del(&watch->list);
		if (watch->fired)
			list_del(&watch->queue);
		watch->fired = false;
		/* Its own callback: the watch thread looks at the watch no more. */
		if (domain->calling == watch && current == domain->watch_thread)
			domain->calling = nullptr;
	}
	wait_event(domain->watch_idle_wq, !watch_is_called(domain, watch));
}

void xenbus_watch_fire(struct xenbus_watch *watch)
{
	guard(spinlock_irqsave)(&current_xen()->watch_lock);
	if (watch->registered)
		watch_fire_locked(watch);
}

struct flush_watch {
	struct xenbus_watch watch;
	struct completion called;
};

static void flush_called(struct xenbus_watch *watch, const char *path)
{
	complete(&container_of(watch, struct flush_watch, watch)->called);
}

/* The queue is in order: when a watch of our own is called, what was fired before it has been. */
void xenbus_watch_flush(struct xen_domain *domain)
{
	struct flush_watch flush = {};

	init_completion(&flush.called);
	/* No path that anybody writes is below it. */
	flush.watch.node = "/@flush";
	flush.watch.callback = flush_called;
	flush.watch.domain = domain;
	if (WARN_ON(register_xenbus_watch(&flush.watch)))
		return;
	wait_for_completion(&flush.called);
	unregister_xenbus_watch(&flush.watch);
}

static bool watch_pending(struct xen_domain *domain)
{
	guard(spinlock_irqsave)(&domain->xen->watch_lock);
	return !list_empty(&domain->fired_watches);
}

static bool watch_deliver(struct xen_domain *domain)
{
	struct xenbus_watch *watch;

	{
		guard(spinlock_irqsave)(&domain->xen->watch_lock);
		if (list_empty(&domain->fired_watches))
			return false;
		watch = list_first_entry(&domain->fired_watches, struct xenbus_watch, queue);
		list_del(&watch->queue);
		watch->fired = false;
		domain->calling = watch;
	}
	watch->callback(watch, watch->node);
	{
		guard(spinlock_irqsave)(&domain->xen->watch_lock);
		domain->calling = nullptr;
	}
	wake_up_all(&domain->watch_idle_wq);
	return true;
}

static int watch_thread(void *data)
{
	auto *domain = static_cast<struct xen_domain *>(data);

	while (!kthread_should_stop()) {
		wait_event_interruptible(domain->watch_wq,
					 watch_pending(domain) || kthread_should_stop());
		while (!kthread_should_stop() && watch_deliver(domain))
			;
	}
	return 0;
}

int xen_watches_init(struct xen_domain *domain)
{
	INIT_LIST_HEAD(&domain->fired_watches);
	init_waitqueue_head(&domain->watch_wq);
	init_waitqueue_head(&domain->watch_idle_wq);
	struct task_struct *task = kthread_run(watch_thread, domain, "xen-watch/%u", domain->domid);

	if (IS_ERR(task))
		return (int)PTR_ERR(task);
	domain->watch_thread = task;
	return 0;
}

void xen_watches_stop(struct xen_domain *domain)
{
	if (domain->watch_thread)
		kthread_stop(domain->watch_thread);
	domain->watch_thread = nullptr;
}
