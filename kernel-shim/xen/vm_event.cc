/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * vm_event.cc - the event ring between hypervisor and pager
 *
 *      producer   claim ---> (changes the entry) ---> put         free: nr_slots - requests that
 *                   |                             \-> cancel            are not answered - claimed
 *                   +-- none free: a vcpu sleeps, others -EBUSY
 *      pager      get ... respond
 *      hypervisor get_response: the slot is free again, the next vcpu gets it
 *
 * R1. free >= 0: a claim is made only when a slot is free, and its put finds that slot.
 * R2. A slot is free again when its answer was taken, not when its event was: the answer needs it.
 *
 * KSHIM: both ends are ours and share a lock; the ring is Xen's, by its own header.
 */
#include <kshim/mutant.h>
#include <linux/errno.h>
#include <linux/gfp.h>
#include <linux/kernel.h>
#include <linux/string.h>

#include "paging_internal.h"

static unsigned int free_slots_locked(const struct vm_event *ve)
{
	const unsigned int used = ve->front.req_prod_pvt - ve->front.rsp_cons + ve->claimed;

	return used < ve->nr_slots ? ve->nr_slots - used : 0;
}

/* -EBUSY: none is free. */
static int try_claim(struct vm_event *ve)
{
	guard(spinlock)(&ve->lock);
	if (ve->closed)
		return -ENODEV;
	if (!free_slots_locked(ve))
		return -EBUSY;
	ve->claimed++;
	return 0;
}

int vm_event_claim(struct vm_event *ve, bool guest)
{
	int err = try_claim(ve);

	if (err != -EBUSY || !guest)
		return err;
	/* Mutant: a vcpu's event is dropped when the ring is full, as it once was. */
	if (KSHIM_MUTANT(paging_event_lost))
		return 0;
	wait_event_exclusive(ve->slots_wq, (err = try_claim(ve)) != -EBUSY);
	return err;
}

/* Whoever is first in the queue. */
static void slot_is_free(struct vm_event *ve)
{
	wake_up(&ve->slots_wq);
}

void vm_event_cancel(struct vm_event *ve)
{
	scoped_guard (spinlock, &ve->lock)
		ve->claimed--;
	slot_is_free(ve);
}

void vm_event_put(struct vm_event *ve, const vm_event_request_t *request)
{
	scoped_guard (spinlock, &ve->lock) {
		if (KSHIM_MUTANT(paging_event_lost) && !ve->claimed)
			return;
		ve->claimed--;
		*RING_GET_REQUEST(&ve->front, ve->front.req_prod_pvt) = *request;
		ve->front.req_prod_pvt++;
		RING_PUSH_REQUESTS(&ve->front);
	}
	wake_up_all(&ve->pager_wq);
}

static bool has_room(struct vm_event *ve)
{
	guard(spinlock)(&ve->lock);
	return ve->closed || free_slots_locked(ve);
}

void vm_event_wait_room(struct vm_event *ve)
{
	if (!has_room(ve)) {
		wait_event_exclusive(ve->slots_wq, has_room(ve));
		/* It was our turn; the slot is for the next one. */
		slot_is_free(ve);
	}
}

bool vm_event_get(struct vm_event *ve, vm_event_request_t *request)
{
	guard(spinlock)(&ve->lock);
	if (!RING_HAS_UNCONSUMED_REQUESTS(&ve->back))
		return false;
	*request = *RING_GET_REQUEST(&ve->back, ve->back.req_cons);
	ve->back.req_cons++;
	return true;
}

void vm_event_respond(struct vm_event *ve, const vm_event_response_t *response)
{
	guard(spinlock)(&ve->lock);
	*RING_GET_RESPONSE(&ve->back, ve->back.rsp_prod_pvt) = *response;
	ve->back.rsp_prod_pvt++;
	RING_PUSH_RESPONSES(&ve->back);
}

bool vm_event_get_response(struct vm_event *ve, vm_event_response_t *response)
{
	bool ours = false;

	scoped_guard (spinlock, &ve->lock) {
		while (!ours && RING_HAS_UNCONSUMED_RESPONSES(&ve->front)) {
			*response = *RING_GET_RESPONSE(&ve->front, ve->front.rsp_cons);
			ve->front.rsp_cons++;
			ours = response->version == VM_EVENT_INTERFACE_VERSION;
		}
	}
	slot_is_free(ve);
	return ours;
}

int vm_event_init(struct vm_event *ve, unsigned int nr_slots)
{
	ve->sring = (vm_event_sring_t *)get_zeroed_page(GFP_KERNEL);
	if (!ve->sring)
		return -ENOMEM;
	spin_lock_init(&ve->lock);
	init_waitqueue_head(&ve->slots_wq);
	init_waitqueue_head(&ve->pager_wq);
	SHARED_RING_INIT(ve->sring);
	FRONT_RING_INIT(&ve->front, ve->sring, PAGE_SIZE);
	BACK_RING_INIT(&ve->back, ve->sring, PAGE_SIZE);
	ve->nr_slots = RING_SIZE(&ve->front);
	if (nr_slots && nr_slots < ve->nr_slots)
		ve->nr_slots = nr_slots;
	return 0;
}

void vm_event_close(struct vm_event *ve)
{
	scoped_guard (spinlock, &ve->lock)
		ve->closed = true;
	wake_up_all(&ve->slots_wq);
	wake_up_all(&ve->pager_wq);
}

void vm_event_destroy(struct vm_event *ve)
{
	free_page((unsigned long)ve->sring);
}
