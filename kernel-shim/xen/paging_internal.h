/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * paging_internal.h - what the files of paging share
 *
 *      paging_table.cc   every operation on every state
 *      paging.cc         the operations; vcpus that wait
 *      vm_event.cc       the ring between hypervisor and pager
 *      pager.cc          the pager: when, which, and the swap file
 *
 * Locks: vm_event.lock (spinlock) guards both of the ring's ends and the vcpus; a leaf. Nobody
 * waits for a slot of the ring while holding an entry.
 */
#ifndef KSHIM_XEN_PAGING_INTERNAL_H
#define KSHIM_XEN_PAGING_INTERNAL_H

#include <linux/spinlock.h>
#include <linux/wait.h>
#include <xen/paging.h>

#include "p2m_internal.h"

#define xen_mb() smp_mb()
#define xen_rmb() smp_rmb()
#define xen_wmb() smp_wmb()
#define __XEN_TOOLS__ 1
#include <xen/vm_event.h>

/* One page: 8 slots of 400 bytes. */
static_assert(sizeof(union vm_event_sring_entry) == 400);

struct vm_event {
	spinlock_t lock;
	vm_event_sring_t *sring; /* a page */
	unsigned int nr_slots;   /* in use; constant */

	/* Protected by lock. */
	vm_event_front_ring_t front; /* the hypervisor's end */
	vm_event_back_ring_t back;   /* the pager's */
	unsigned int claimed;        /* slots of producers who have not put yet */
	bool closed;
	u32 wakeups, wakeups_seen; /* of the pager, by somebody else than an event */

	wait_queue_head_t slots_wq; /* vcpus without a slot */
	wait_queue_head_t pager_wq;
};

[[nodiscard]] int vm_event_init(struct vm_event *ve, unsigned int nr_slots);
void vm_event_destroy(struct vm_event *ve);
/* Wakes everybody; whoever comes gets -ENODEV. */
void vm_event_close(struct vm_event *ve);

/*
 * A slot for one event. @guest: sleeps while there is none, first come, first served; others get
 * -EBUSY. -ENODEV: closed. Then vm_event_put() or vm_event_cancel().
 */
[[nodiscard]] int vm_event_claim(struct vm_event *ve, bool guest);
void vm_event_cancel(struct vm_event *ve);
void vm_event_put(struct vm_event *ve, const vm_event_request_t *request);
/*
 * The "black eye": a vcpu whose event left no slot for others goes on when there is one again, so
 * that one who does not wait for answers (drops) cannot outrun the pager.
 */
void vm_event_wait_room(struct vm_event *ve);

/* The pager's end. */
bool vm_event_get(struct vm_event *ve, vm_event_request_t *request);
void vm_event_respond(struct vm_event *ve, const vm_event_response_t *response);
/* The hypervisor's, after a response: false when there is none (or only of another version). */
bool vm_event_get_response(struct vm_event *ve, vm_event_response_t *response);

struct paging_vcpu {
	bool used;   /* protected by vm_event.lock */
	u32 waiting; /* answers that are to come before it goes on; atomic */
};

struct p2m_paging {
	struct p2m *p2m;
	struct vm_event ring;
	wait_queue_head_t vcpu_wq;  /* for an answer, for a vcpu number */
	wait_queue_head_t entry_wq; /* others, until an entry comes back */
	unsigned int nr_vcpus;
	struct paging_vcpu vcpus[];
};

#endif
