/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * event_fifo.cc - control blocks, the array of event words, and their end
 *
 *	init_control(vcpu 0)   the domain is FIFO from now on, with queues for all its vcpus
 *	expand_array, ...      1024 more words; what was missed for want of them is raised
 *	reset                  all ports closed; no control block, no word, 2-level again
 *
 * Pages are the guest's frames, referenced and mapped for as long as the hypervisor writes into
 * them. Senders come here with no lock but RCU, so a reset takes the struct away, waits for them
 * and then frees.
 */
#include <kshim/mmu.h>
#include <linux/err.h>
#include <linux/errno.h>
#include <linux/mm.h>
#include <linux/slab.h>

#include "event_fifo.h"

static int page_map(u64 gfn, struct fifo_page *frame)
{
	struct page *page = xen_frame_get(gfn);
	void *addr;

	if (!page)
		return -EINVAL;
	addr = page_address(page);
	if (!addr)
		addr = kernel_map_create(&page, 1, MMU_RW);
	if (IS_ERR(addr)) {
		put_page(page);
		return (int)PTR_ERR(addr);
	}
	*frame = {page, addr};
	return 0;
}

static void page_unmap(struct fifo_page *frame)
{
	if (!frame->page)
		return;
	if (frame->addr != page_address(frame->page))
		kernel_map_destroy(frame->addr);
	put_page(frame->page);
}

void evtchn_fifo_free(struct evtchn_fifo *fifo)
{
	for (unsigned int i = 0; i < fifo->domain->nr_vcpus; i++)
		page_unmap(&fifo->vcpus[i].frame);
	for (struct fifo_page &frame : fifo->frames)
		page_unmap(&frame);
	kfree(fifo);
}

/* Queues for every vcpu (XSA-107), also those that never call init_control. */
static struct evtchn_fifo *fifo_alloc(struct evtchn_domain *d)
{
	auto *fifo = static_cast<struct evtchn_fifo *>(
		kzalloc(sizeof(struct evtchn_fifo) + d->nr_vcpus * sizeof(struct evtchn_fifo_vcpu),
			GFP_KERNEL));

	if (!fifo)
		return nullptr;
	fifo->domain = d;
	fifo->policy = xen_evtchns()->policy;
	for (unsigned int i = 0; i < d->nr_vcpus; i++) {
		for (unsigned int q = 0; q < EVTCHN_FIFO_MAX_QUEUES; q++) {
			struct evtchn_fifo_queue *queue = &fifo->vcpus[i].queues[q];

			spin_lock_init(&queue->lock);
			queue->vcpu = (u8)i;
			queue->priority = (u8)q;
		}
	}
	return fifo;
}

int evtchn_op_init_control(struct evtchn_domain *d, struct evtchn_init_control *op)
{
	constexpr size_t size = sizeof(struct evtchn_fifo_control_block);
	struct evtchn_fifo *fifo;
	struct fifo_page frame;
	int err;

	if (op->vcpu >= d->nr_vcpus)
		return -ENOENT;
	if (op->offset > PAGE_SIZE - size || op->offset % 8)
		return -EINVAL;
	guard(mutex)(&xen_evtchns()->event_lock);
	fifo = d->fifo;
	if (fifo && fifo->vcpus[op->vcpu].control_block)
		return -EINVAL;
	err = page_map(op->control_gfn, &frame);
	if (err)
		return err;
	if (!fifo) {
		fifo = fifo_alloc(d);
		if (!fifo) {
			page_unmap(&frame);
			return -ENOMEM;
		}
	}
	struct evtchn_fifo_vcpu *v = &fifo->vcpus[op->vcpu];

	v->frame = frame;
	/* Last (XSA-358): who sees it uses the rest. */
	smp_store_release(&v->control_block,
			  (struct evtchn_fifo_control_block *)((char *)frame.addr + op->offset));
	if (!d->fifo) {
		/* The ports' numbers grow only when the words can be looked for (XSA-359). */
		rcu_assign_pointer(d->fifo, fifo);
		d->max = EVTCHN_FIFO_NR_CHANNELS;
	}
	op->link_bits = EVTCHN_FIFO_LINK_BITS;
	return 0;
}

/* What came for these ports while they had no word. event_lock keeps them from being closed. */
static void raise_missed(struct evtchn_domain *d, u32 first)
{
	guard(rcu)();
	for (evtchn_port_t port = first; port < first + EVTCHN_WORDS_PER_PAGE && port < d->valid;
	     port++) {
		struct evtchn *e = evtchn_lookup(d, port);

		/* A full barrier: pairs with that of note_missed(). */
		if (e && xchg(&e->missed, 0u))
			evtchn_set_pending(e);
	}
}

static int add_page(struct evtchn_domain *d, struct evtchn_fifo *fifo, u64 gfn)
{
	u32 first = fifo->nr_words;
	u32 n = first / EVTCHN_WORDS_PER_PAGE;
	int err;

	if (n == EVTCHN_MAX_PAGES)
		return -ENOSPC;
	err = page_map(gfn, &fifo->frames[n]);
	if (err)
		return err;
	WRITE_ONCE(fifo->pages[n], static_cast<event_word_t *>(fifo->frames[n].addr));
	/* Pairs with the load in fifo_word(). */
	smp_store_release(&fifo->nr_words, first + EVTCHN_WORDS_PER_PAGE);
	raise_missed(d, first);
	return 0;
}

int evtchn_op_expand_array(struct evtchn_domain *d, const struct evtchn_expand_array *op)
{
	/*
	 * Mutant (0e9d647aca, XSA-505): looked at without the lock: a reset in between frees it.
	 */
	struct evtchn_fifo *seen =
		KSHIM_MUTANT(evtchn_expand_looks_early) ? READ_ONCE(d->fifo) : nullptr;

	guard(mutex)(&xen_evtchns()->event_lock);
	struct evtchn_fifo *fifo = seen ? seen : d->fifo;

	if (!fifo)
		return -EOPNOTSUPP;
	return add_page(d, fifo, op->array_gfn);
}

/* Back to 2-level; what was where on which queue is forgotten, since the queues are. */
static void fifo_destroy(struct evtchn_domain *d, struct evtchn_fifo *fifo)
{
	rcu_assign_pointer(d->fifo, nullptr);
	d->max = EVTCHN_2L_NR_CHANNELS;
	/* Mutant: freed under senders that have just found it. */
	if (!KSHIM_MUTANT(evtchn_reset_does_not_wait))
		synchronize_rcu();
	evtchn_fifo_free(fifo);
	for (evtchn_port_t port = 1; port < d->valid; port++) {
		struct evtchn *e = evtchn_lookup(d, port);

		e->last = evtchn_where(0, 0);
		e->held = 0;
	}
}

int evtchn_op_reset(struct evtchn_domain *d)
{
	struct evtchn_state_of_xen *xen = xen_evtchns();

	guard(mutex)(&xen->event_lock);
	evtchn_close_all(xen, d);
	/* Mutant (400b3bd642): the queues stay, and the next kernel cannot have its own. */
	if (d->fifo && !KSHIM_MUTANT(evtchn_reset_keeps_fifo))
		fifo_destroy(d, d->fifo);
	return 0;
}
