/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * event_channel.cc - ports: found, taken, closed, looked at; and the table of operations
 *
 * A port is given out again as soon as it is closed, unless its word is still LINKED: the guest has
 * not taken the event off its queue yet, and a new user's event must not be on the old one's queue.
 * So such a port is passed over until it has.
 */
#include <asm/xen/hypercall.h>
#include <linux/errno.h>
#include <linux/kernel.h>
#include <linux/moduleparam.h>
#include <linux/slab.h>
#include <linux/string.h>

#include "event_fifo.h"

/* In the order of addresses; @b may be null. Conditional, so the analysis cannot follow. */
void evtchn_write_lock(struct evtchn *a, struct evtchn *b) __no_thread_safety_analysis
{
	if (b && b < a)
		down_write(&b->lock);
	down_write(&a->lock);
	if (b && b > a)
		down_write(&b->lock);
}

void evtchn_write_unlock(struct evtchn *a, struct evtchn *b) __no_thread_safety_analysis
{
	up_write(&a->lock);
	if (b && b != a)
		up_write(&b->lock);
}

/* The event word of a port, or null. event_lock keeps the pages. */
static event_word_t *port_word(struct evtchn *e)
{
	struct evtchn_fifo *fifo = READ_ONCE(e->domain->fifo);

	return fifo ? fifo_word(fifo, e->port) : nullptr;
}

static bool port_is_busy(struct evtchn *e)
{
	event_word_t *word = port_word(e);

	/* Mutant (78e24c269b): given out while it is linked: the new event is on the old queue. */
	return word && (READ_ONCE(*word) & FIFO_LINKED) && !KSHIM_MUTANT(evtchn_reuses_linked);
}

static int bucket_add(struct evtchn_state_of_xen *xen, struct evtchn_domain *d)
	__must_hold(xen->event_lock);

static int bucket_add(struct evtchn_state_of_xen *xen, struct evtchn_domain *d)
{
	u32 first = d->valid;
	auto *bucket = static_cast<struct evtchn *>(kmem_cache_zalloc(xen->buckets, GFP_KERNEL));

	if (!bucket)
		return -ENOMEM;
	for (u32 i = 0; i < EVTCHNS_PER_BUCKET; i++) {
		init_rwsem(&bucket[i].lock);
		spin_lock_init(&bucket[i].lock_of_event);
		bucket[i].domain = d;
		bucket[i].port = first + i;
		bucket[i].where = evtchn_where(0, EVTCHN_FIFO_PRIORITY_DEFAULT);
	}
	if (!first)
		bucket[0].state = ECS_RESERVED;
	/*
	 * Mutant (e7719a0dfa, XSA-221; 112992b05b, XSA-340): the ports are valid before they are
	 * there.
	 */
	if (KSHIM_MUTANT(evtchn_valid_too_early))
		smp_store_release(&d->valid, first + EVTCHNS_PER_BUCKET);
	WRITE_ONCE(d->buckets[first / EVTCHNS_PER_BUCKET], bucket);
	/* Pairs with the load in evtchn_lookup(). */
	smp_store_release(&d->valid, first + EVTCHNS_PER_BUCKET);
	return 0;
}

/* A free port, with the defaults of a new one; its state is still FREE. */
int evtchn_alloc_port(struct evtchn_state_of_xen *xen, struct evtchn_domain *d,
		      struct evtchn **found)
{
	bool first_free = true;

	for (evtchn_port_t port = d->free_hint; port < d->max; port++) {
		int err = port < d->valid ? 0 : bucket_add(xen, d);

		if (err)
			return err;
		struct evtchn *e =
			&d->buckets[port / EVTCHNS_PER_BUCKET][port % EVTCHNS_PER_BUCKET];

		if (e->state != ECS_FREE)
			continue;
		if (first_free)
			d->free_hint = port;
		first_free = false;
		if (port_is_busy(e))
			continue;
		/* Mutant (470a160402): a port that is used again keeps its old priority. */
		if (!KSHIM_MUTANT(evtchn_keeps_priority))
			WRITE_ONCE(e->where, evtchn_where(0, EVTCHN_FIFO_PRIORITY_DEFAULT));
		*found = e;
		return 0;
	}
	return -ENOSPC;
}

/* The channel's locks are held, for writing. */
static void disconnect(struct evtchn *e, struct evtchn *peer)
{
	/* A global one is vcpu 0's, whichever it notifies. */
	if (e->state == ECS_VIRQ)
		for (unsigned int i = 0; i < e->domain->nr_vcpus; i++)
			if (e->domain->virqs[i][e->virq] == e->port)
				WRITE_ONCE(e->domain->virqs[i][e->virq], 0);
	e->state = ECS_FREE;
	WRITE_ONCE(e->peer, 0);
	if (!peer)
		return;
	peer->state = ECS_UNBOUND;
	peer->remote = e->domain->domain->domid;
	WRITE_ONCE(peer->peer, 0);
}

struct evtchn *evtchn_of_peer(struct hypervisor *xen, u64 peer)
{
	return peer ? evtchn_lookup(&xen->evtchns->domains[peer >> 32], (evtchn_port_t)peer)
		    : nullptr;
}

/* Caller holds event_lock. */
static void close_port(struct evtchn *e)
{
	struct evtchn *peer = evtchn_of_peer(e->domain->domain->xen, e->peer);
	event_word_t *word;

	evtchn_write_lock(e, peer);
	disconnect(e, peer);
	evtchn_write_unlock(e, peer);
	/* Nobody raises it any more: what it had is not the next user's. */
	(void)xchg(&e->missed, 0u);
	word = port_word(e);
	if (word)
		sync_clear_bit(EVTCHN_FIFO_PENDING, word);
	if (e->port < e->domain->free_hint)
		e->domain->free_hint = e->port;
}

int evtchn_op_close(struct evtchn_domain *d, evtchn_port_t port)
{
	struct evtchn_state_of_xen *xen = xen_evtchns();

	guard(mutex)(&xen->event_lock);
	struct evtchn *e = evtchn_lookup(d, port);

	if (!e || e->state == ECS_FREE)
		return -EINVAL;
	close_port(e);
	return 0;
}

void evtchn_close_all(struct evtchn_state_of_xen *xen, struct evtchn_domain *d)
{
	for (evtchn_port_t port = 1; port < d->valid; port++) {
		struct evtchn *e = evtchn_lookup(d, port);

		if (e->state != ECS_FREE)
			close_port(e);
	}
}

static struct evtchn_domain *domain_for(struct evtchn_domain *self, domid_t domid, int *err)
{
	struct xen_domain *domain = domid == DOMID_SELF ? self->domain : xen_domain(domid);

	*err = !domain ? -ESRCH : domain != self->domain && self->domain->domid ? -EPERM : 0;
	return *err ? nullptr : evtchn_domain_of(domain);
}

static int op_status(struct evtchn_domain *self, struct evtchn_status *op)
{
	struct evtchn_state_of_xen *xen = xen_evtchns();
	int err;
	struct evtchn_domain *d = domain_for(self, op->dom, &err);

	if (err)
		return err;
	guard(mutex)(&xen->event_lock);
	struct evtchn *e = evtchn_lookup(d, op->port);

	if (!e)
		return -EINVAL;
	op->vcpu = READ_ONCE(e->where) >> 8;
	switch (e->state) {
	case ECS_FREE:
	case ECS_RESERVED:
		op->status = EVTCHNSTAT_closed;
		break;
	case ECS_UNBOUND:
		op->status = EVTCHNSTAT_unbound;
		op->u.unbound.dom = e->remote;
		break;
	case ECS_INTERDOMAIN:
		op->status = EVTCHNSTAT_interdomain;
		op->u.interdomain.dom = (domid_t)(e->peer >> 32);
		op->u.interdomain.port = (evtchn_port_t)e->peer;
		break;
	case ECS_VIRQ:
		op->status = EVTCHNSTAT_virq;
		op->u.virq = e->virq;
		break;
	case ECS_IPI:
		op->status = EVTCHNSTAT_ipi;
		break;
	}
	return 0;
}

static int op_alloc_unbound(struct evtchn_domain *self, struct evtchn_alloc_unbound *op)
{
	int err;
	struct evtchn_domain *d = domain_for(self, op->dom, &err);

	return err ? err : evtchn_op_alloc_unbound(d, op);
}

static int op_reset(struct evtchn_domain *self, const struct evtchn_reset *op)
{
	int err;
	struct evtchn_domain *d = domain_for(self, op->dom, &err);

	return err ? err : evtchn_op_reset(d);
}

int HYPERVISOR_event_channel_op(struct xen_domain *self, int cmd, void *arg)
{
	struct evtchn_domain *d = evtchn_domain_of(self);

	switch (cmd) {
	case EVTCHNOP_send:
		return evtchn_op_send(d, static_cast<struct evtchn_send *>(arg)->port);
	case EVTCHNOP_unmask:
		return evtchn_op_unmask(d, static_cast<struct evtchn_unmask *>(arg)->port);
	case EVTCHNOP_alloc_unbound:
		return op_alloc_unbound(d, static_cast<struct evtchn_alloc_unbound *>(arg));
	case EVTCHNOP_bind_interdomain:
		return evtchn_op_bind_interdomain(
			d, static_cast<struct evtchn_bind_interdomain *>(arg));
	case EVTCHNOP_bind_virq:
		return evtchn_op_bind_virq(d, static_cast<struct evtchn_bind_virq *>(arg));
	case EVTCHNOP_bind_ipi:
		return evtchn_op_bind_ipi(d, static_cast<struct evtchn_bind_ipi *>(arg));
	case EVTCHNOP_bind_pirq:
		/* Nobody here may have a physical interrupt. */
		return -EPERM;
	case EVTCHNOP_close:
		return evtchn_op_close(d, static_cast<struct evtchn_close *>(arg)->port);
	case EVTCHNOP_status:
		return op_status(d, static_cast<struct evtchn_status *>(arg));
	case EVTCHNOP_bind_vcpu:
		return evtchn_op_bind_vcpu(d, static_cast<struct evtchn_bind_vcpu *>(arg));
	case EVTCHNOP_reset:
		return op_reset(d, static_cast<struct evtchn_reset *>(arg));
	case EVTCHNOP_init_control:
		return evtchn_op_init_control(d, static_cast<struct evtchn_init_control *>(arg));
	case EVTCHNOP_expand_array:
		return evtchn_op_expand_array(d, static_cast<struct evtchn_expand_array *>(arg));
	case EVTCHNOP_set_priority:
		return evtchn_op_set_priority(d, static_cast<struct evtchn_set_priority *>(arg));
	default:
		return -ENOSYS;
	}
}

void xen_event_stats(struct xen_domain *domain, struct xen_event_stats *stats)
{
	struct evtchn_domain *d = evtchn_domain_of(domain);

	*stats = {};
	for (evtchn_port_t port = 1; port < smp_load_acquire(&d->valid); port++) {
		const struct evtchn *e = evtchn_lookup(d, port);

		stats->sent += READ_ONCE(e->sent);
		stats->raised += READ_ONCE(e->raised);
	}
	for (unsigned int i = 0; i < d->nr_vcpus; i++) {
		stats->upcalls += READ_ONCE(d->vcpus[i].upcalls);
		stats->wakes += READ_ONCE(d->vcpus[i].wakes);
	}
	stats->dropped = READ_ONCE(d->dropped);
	stats->lock_tries = READ_ONCE(d->lock_tries);
	stats->link_tries = READ_ONCE(d->link_tries);
}

/* The beginning and the end of it all. */

struct evtchn_params {
	const struct evtchn_fifo_policy *policy;
	unsigned long vcpus;
};

static int param_set_policy(const char *value, void *field)
{
	static const struct evtchn_fifo_policy *const policies[] = {
		&fifo_event_lock, &fifo_old_queue_recheck, &fifo_two_queue_locks, &fifo_lock_free};

	for (const struct evtchn_fifo_policy *policy : policies) {
		if (strcmp(policy->name, value) != 0)
			continue;
		*static_cast<const struct evtchn_fifo_policy **>(field) = policy;
		return 0;
	}
	return -EINVAL;
}

static int param_set_vcpus(const char *value, void *field)
{
	unsigned long nr;
	int err = param_set_ulong(value, &nr);

	if (err)
		return err;
	if (nr < 1 || nr > XEN_MAX_VCPUS)
		return -ERANGE;
	*static_cast<unsigned long *>(field) = nr;
	return 0;
}

static const struct kernel_param evtchn_params[] = {
	{"policy", param_set_policy, offsetof(struct evtchn_params, policy),
	 "how events are linked: event-lock, old-queue-recheck, two-queue-locks, lock-free"},
	{"vcpus", param_set_vcpus, offsetof(struct evtchn_params, vcpus),
	 "virtual processors of each domain, 1 to 8"},
};

static int domain_init(struct evtchn_domain *d, struct xen_domain *domain, unsigned int vcpus)
{
	d->domain = domain;
	d->max = EVTCHN_2L_NR_CHANNELS;
	d->free_hint = 1;
	d->nr_vcpus = vcpus;
	d->vcpus = static_cast<struct xen_vcpu *>(kcalloc(vcpus, sizeof(*d->vcpus), GFP_KERNEL));
	if (!d->vcpus)
		return -ENOMEM;
	for (unsigned int i = 0; i < vcpus; i++) {
		d->vcpus[i].domain = d;
		d->vcpus[i].id = i;
	}
	return 0;
}

int xen_evtchn_init(struct hypervisor *xen)
{
	struct evtchn_params params = {.policy = &fifo_lock_free, .vcpus = 1};
	auto *evtchns = kzalloc_obj(struct evtchn_state_of_xen, GFP_KERNEL);
	int err;

	if (!evtchns)
		return -ENOMEM;
	xen->evtchns = evtchns;
	mutex_init(&evtchns->event_lock);
	err = parse_params("evtchn", evtchn_params, ARRAY_SIZE(evtchn_params), &params);
	evtchns->policy = params.policy;
	if (!err) {
		evtchns->buckets = kmem_cache_create("evtchn_bucket",
						     EVTCHNS_PER_BUCKET * sizeof(struct evtchn),
						     alignof(struct evtchn), 0, nullptr);
		err = evtchns->buckets ? 0 : -ENOMEM;
	}
	for (unsigned int i = 0; i < XEN_NR_DOMAINS && !err; i++)
		err = domain_init(&evtchns->domains[i], &xen->domains[i],
				  (unsigned int)params.vcpus);
	if (err)
		xen_evtchn_exit(xen);
	return err;
}

void xen_evtchn_exit(struct hypervisor *xen)
{
	struct evtchn_state_of_xen *evtchns = xen->evtchns;
	unsigned int left = 0;

	for (struct evtchn_domain &d : evtchns->domains) {
		for (evtchn_port_t port = 1; port < d.valid; port++)
			left += evtchn_lookup(&d, port)->state != ECS_FREE;
		if (d.fifo)
			evtchn_fifo_free(d.fifo);
		for (u32 i = 0; i < d.valid / EVTCHNS_PER_BUCKET; i++)
			kmem_cache_free(evtchns->buckets, d.buckets[i]);
		kfree(d.vcpus);
	}
	WARN(left, "xen: %u event channels were left open\n", left);
	if (evtchns->buckets)
		kmem_cache_destroy(evtchns->buckets);
	kfree(evtchns);
	xen->evtchns = nullptr;
}
