/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * kshim/xen.h - the hypervisor below the drivers: domains, the store, foreign mappings
 *
 * One machine holds both ends of every split device. Each end belongs to a domain:
 *
 *      XEN_DOM_BACK 0 (dom0)                        XEN_DOM_FRONT 1 (the guest)
 *      event thread, watch thread                   event thread, watch thread
 *              \______ event channels, xenstore, guest frames ______/
 *
 * The guest's frames are the machine's frames; dom0 reaches them only by a foreign mapping and
 * keeps its own data elsewhere (kmalloc). Event channels are in <xen/events.h>, the store's client
 * side in <xen/xenbus.h>.
 *
 * I1: a foreign mapping holds a reference to every frame that can be reached by it, so the frames
 *     cannot be reused under it. It may be revoked at any time: <xen/p2m.h>.
 * I2: what a foreign mapping is asked for comes from the other domain and is checked: a number that
 *     is no frame, or a frame that nobody owns, fails with -EINVAL and maps nothing.
 *
 * KSHIM: in Xen the calling domain is implied by the vcpu that makes the hypercall. Here both
 * domains are threads of one process, so the calls name the domain (struct xen_domain).
 */
#pragma once

#include <linux/types.h>
#include <xen/p2m.h>
#include <xen/xen.h>

struct machine_initcall;
struct page;
struct pv_machine;
struct xen_domain;

constexpr domid_t XEN_DOM_BACK = 0;
constexpr domid_t XEN_DOM_FRONT = 1;

/* Starts both domains' event and watch threads and an empty store. Needs core and mm. */
extern const struct machine_initcall xen_initcall;

/* The domain of the current machine with this number, or null. Lives as long as the machine. */
struct xen_domain *xen_domain(domid_t domid);
domid_t xen_domid(const struct xen_domain *domain);

/* The number under which the guest publishes a frame of its own. */
u64 xen_frame_number(const struct page *page);

/* The guest's. As long as the machine. */
struct p2m *xen_p2m(void);

/**
 * xen_foreign_map - map frames of the guest, side by side
 * @frames: guest frame numbers as the guest published them; copied before they are checked
 * @nr: how many, at least 1
 * @config: null: read-only (the way a back end must map pixels), and nobody is told
 *
 * p2m_foreign_map() of the guest's p2m: <xen/p2m.h> says how it is used and ended. Context: may
 * sleep. Return: ERR_PTR(-EINVAL): a number which is no owned frame, or nr is 0; -ENOMEM.
 */
struct xen_foreign *xen_foreign_map(const u64 *frames, unsigned int nr,
				    const struct xen_foreign_config *config);

/* Foreign mappings that exist now, and frames in them: for tests and for the leak check at exit. */
struct xen_foreign_stats {
	unsigned int mappings;
	u64 frames;
};
void xen_foreign_stats(struct xen_foreign_stats *stats);
