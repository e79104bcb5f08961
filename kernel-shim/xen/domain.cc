/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * domain.cc - the two domains of a machine, and the order in which this room starts and stops
 *
 * Start: locks and lists, store, threads. Stop: threads first, then what they worked on; whoever
 * uses a port, a watch or a mapping must have let go of it before (its exit runs earlier), and is
 * told if not.
 */
#include <linux/err.h>
#include <linux/errno.h>
#include <linux/kernel.h>
#include <linux/slab.h>

#include "xen_internal.h"

struct xen_domain *xen_domain(domid_t domid)
{
	return domid < XEN_NR_DOMAINS ? &current_xen()->domains[domid] : nullptr;
}

domid_t xen_domid(const struct xen_domain *domain)
{
	return domain->domid;
}

static void xen_exit(struct pv_machine *m)
{
	struct hypervisor *xen = m->hypervisor;

	for (auto &domain : xen->domains)
		xen_watches_stop(&domain);
	WARN(!list_empty(&xen->watches), "xenstore: a watch was left registered\n");
	if (xen->evtchns)
		xen_evtchn_exit(xen);
	xen_foreign_exit(xen);
	xen_store_exit(xen);
	m->hypervisor = nullptr;
	kfree(xen);
}

static int xen_init(struct pv_machine *m)
{
	auto *xen =
		static_cast<struct hypervisor *>(kzalloc(sizeof(struct hypervisor), GFP_KERNEL));
	int err;

	if (!xen)
		return -ENOMEM;
	spin_lock_init(&xen->watch_lock);
	mutex_init(&xen->store_lock);
	mutex_init(&xen->foreign_lock);
	INIT_LIST_HEAD(&xen->watches);
	INIT_LIST_HEAD(&xen->foreign_maps);
	err = xen_store_init(xen);
	if (err) {
		kfree(xen);
		return err;
	}
	m->hypervisor = xen;
	for (unsigned int i = 0; i < XEN_NR_DOMAINS && !err; i++) {
		struct xen_domain *domain = &xen->domains[i];

		domain->domid = (domid_t)i;
		domain->xen = xen;
		err = xen_watches_init(domain);
	}
	if (!err)
		err = xen_evtchn_init(xen);
	if (err)
		xen_exit(m);
	return err;
}

const struct machine_initcall xen_initcall = {"xen", xen_init, xen_exit};
