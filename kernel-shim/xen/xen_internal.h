/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * xen_internal.h - what the files of this room share
 *
 *      struct hypervisor (pv_machine::hypervisor)
 *        domains[2] --- watch thread <- fired watches <- store writes    watch_lock
 *        evtchns: ports, queues, vcpus                                   event_channel.h
 *        store: tree, transactions                                       store_lock
 *        p2m (p2m_internal.h), foreign mappings
 *
 * Locks: store_lock (mutex) -> watch_lock (spinlock). No callback is called with any of them held.
 * The p2m's are in p2m_internal.h.
 */
#ifndef KSHIM_XEN_INTERNAL_H
#define KSHIM_XEN_INTERNAL_H

#include <kshim/machine.h>
#include <kshim/xen.h>
#include <linux/list.h>
#include <linux/mutex.h>
#include <linux/sched.h>
#include <linux/spinlock.h>
#include <linux/types.h>
#include <linux/wait.h>
#include <xen/event_channel.h>
#include <xen/xenbus.h>

constexpr unsigned int XEN_NR_DOMAINS = 2;

struct evtchn_state_of_xen;
struct xs_node;

struct xen_domain {
	domid_t domid;
	struct hypervisor *xen;

	/* Protected by xen->watch_lock. */
	struct list_head fired_watches;
	struct xenbus_watch *calling; /* whose callback the watch thread is in */
	wait_queue_head_t watch_wq;
	wait_queue_head_t watch_idle_wq;
	struct task_struct *watch_thread;
};

struct hypervisor {
	struct xen_domain domains[XEN_NR_DOMAINS];

	struct evtchn_state_of_xen *evtchns;

	struct mutex store_lock;
	struct xs_node *store_root; /* protected by store_lock, as the next three */
	struct list_head transactions;
	u32 next_transaction;
	u64 store_generation;

	spinlock_t watch_lock;
	struct list_head watches; /* protected by watch_lock */

	struct p2m *p2m; /* the guest's */
};

static inline struct hypervisor *current_xen(void)
{
	return current_machine()->hypervisor;
}

/*
 * domain.cc calls these; the counterparts undo a successful init and report what was left behind.
 */
[[nodiscard]] int xen_evtchn_init(struct hypervisor *xen);
void xen_evtchn_exit(struct hypervisor *xen);
[[nodiscard]] int xen_watches_init(struct xen_domain *domain);
void xen_watches_stop(struct xen_domain *domain); /* after it no callback runs */
[[nodiscard]] int xen_store_init(struct hypervisor *xen);
void xen_store_exit(struct hypervisor *xen);

/* The guest's frame of this number, with a reference; null: it is none, or nobody owns it. */
struct page *xen_frame_get(u64 frame);

/*
 * Fires every watch that a change of @path concerns; @removed: the node and all below it are gone.
 */
void xen_watches_path_changed(struct hypervisor *xen, const char *path, bool removed);

#endif
