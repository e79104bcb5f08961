/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * domain.cc - the two domains of a machine, and the order in which this room starts and stops
 *
 * Start: locks and lists, store, threads. Stop: threads first, then what they worked on; whoever
 * uses a port, a watch or a mapping must have let go of it before (its exit runs earlier), and is
 * told if not.
 */
#include <kshim/mmu.h>
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

struct p2m *xen_p2m(void)
{
	return current_xen()->p2m;
}

u64 xen_frame_number(const struct page *page)
{
	return page_to_pfn(page);
}

struct page *xen_frame_get(u64 frame)
{
	return get_page_from_gfn(xen_p2m(), _gfn(frame), nullptr);
}

struct xen_foreign *xen_foreign_map(const u64 *frames, unsigned int nr,
				    const struct xen_foreign_config *config)
{
	static const struct xen_foreign_config read_only = {};

	return p2m_foreign_map(xen_p2m(), frames, nr, config ? config : &read_only);
}

void xen_foreign_stats(struct xen_foreign_stats *stats)
{
	struct p2m_stats p2m;

	p2m_stats(xen_p2m(), &p2m);
	*stats = {.mappings = (unsigned int)p2m.foreign_maps, .frames = p2m.foreign_frames};
}

/*
 * A PV guest's frames are the machine's, by the same numbers, and their owner is its allocator. A
 * machine without memory (no mmu_initcall) has no frames, and a store and ports all the same.
 */
static int make_p2m(struct pv_machine *m, struct hypervisor *xen)
{
	struct p2m_config config;

	if (!m->mmu)
		return 0;
	mmu_page_array(&config.nr_gfns);
	config.nr_identity = config.nr_gfns;
	xen->p2m = p2m_create(&config);
	return PTR_ERR_OR_ZERO(xen->p2m);
}

static void xen_exit(struct pv_machine *m)
{
	struct hypervisor *xen = m->hypervisor;

	for (auto &domain : xen->domains)
		xen_watches_stop(&domain);
	WARN(!list_empty(&xen->watches), "xenstore: a watch was left registered\n");
	if (xen->evtchns)
		xen_evtchn_exit(xen);
	p2m_destroy(xen->p2m);
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
	INIT_LIST_HEAD(&xen->watches);
	err = make_p2m(m, xen);
	if (err)
		goto free_xen;
	err = xen_store_init(xen);
	if (err)
		goto destroy_p2m;
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

destroy_p2m:
	p2m_destroy(xen->p2m);
free_xen:
	kfree(xen);
	return err;
}

const struct machine_initcall xen_initcall = {"xen", xen_init, xen_exit};
