/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * xenfb_back.cc - the virtual framebuffer's back end: the device and its life
 *
 *      probe: feature-resize written                          -> InitWait
 *      front end Initialised or Connected: page and frame mapped, irq bound, request-update written
 *                                                             -> Connected
 *      front end Closing: last picture copied, all unmapped   -> Closing
 *      front end Closed, or gone (Closing may be missed)      -> Closed after a Closing, if not:
 *                                                                InitWait
 *      front end Initialising while Closed: it begins again   -> InitWait
 *      remove: as for Closed. The struct stays for who holds it; a new device of this name finds
 *      it.
 *
 * I1: features are in the store before any state from which a front end may read them.
 * I2: an event finds the page that its channel came with, or none: ring_lock is held from before
 *     the bind until the page is known.
 * I3: the state is Closed only where somebody has said Closing (frontend_gone()), or by remove.
 */
#include <string.h>

#include <kshim/machine.h>
#include <kshim/mutant.h>
#include <kshim/xen.h>
#include <linux/err.h>
#include <linux/errno.h>
#include <linux/jiffies.h>
#include <linux/kcsan-checks.h>
#include <linux/kernel.h>
#include <linux/slab.h>
#include <xen/events.h>

#include "backend/xenfb_back_private.h"

static struct xenfb_back *back_alloc(const char *nodename)
{
	auto *back = kzalloc_obj(struct xenfb_back, GFP_KERNEL);

	if (!back)
		return nullptr;
	back->nodename = kstrdup(nodename, GFP_KERNEL);
	if (!back->nodename) {
		kfree(back);
		return nullptr;
	}
	refcount_set(&back->count, 1);
	mutex_init(&back->ring_lock);
	mutex_init(&back->copy_lock);
	mutex_init(&back->sink_lock);
	spin_lock_init(&back->state_lock);
	init_waitqueue_head(&back->drained_wq);
	ratelimit_state_init(&back->complaints, 5 * HZ, 3);
	back->irq = -1;
	guard(mutex)(&back->sink_lock);
	INIT_LIST_HEAD(&back->sinks);
	return back;
}

struct xenfb_back *xenfb_back_get(const char *nodename, bool create)
{
	struct xenfb_back_state *state = current_machine()->xenfb_back;
	struct xenfb_back *back;

	guard(mutex)(&state->lock);
	list_for_each_entry (back, &state->backs, node) {
		if (!strcmp(back->nodename, nodename)) {
			refcount_inc(&back->count);
			return back;
		}
	}
	back = create ? back_alloc(nodename) : nullptr;
	if (!back)
		return create ? ERR_PTR(-ENOMEM) : ERR_PTR(-ENODEV);
	list_add_tail(&back->node, &state->backs);
	return back;
}

void xenfb_back_put(struct xenfb_back *back)
{
	struct xenfb_back_state *state = current_machine()->xenfb_back;

	{
		/* Under the lock, so that nobody finds it on the list with no reference left. */
		guard(mutex)(&state->lock);
		if (!refcount_dec_and_test(&back->count))
			return;
		list_del(&back->node);
	}
	{
		guard(mutex)(&back->copy_lock);
		kvfree(back->copy);
	}
	{
		guard(mutex)(&back->sink_lock);
		WARN(!list_empty(&back->sinks), "%s: a sink was left\n", back->nodename);
	}
	kfree(back->nodename);
	kfree(back);
}

static irqreturn_t back_event(int irq, void *data)
{
	/* Until the end of this the front end's next event waits: it cannot flood us. */
	u32 n = xenfb_back_drain(static_cast<struct xenfb_back *>(data), irq);

	xen_irq_lateeoi(irq, n ? 0 : XEN_EOI_FLAG_SPURIOUS);
	return IRQ_HANDLED;
}

static void disconnect(struct xenfb_back *back)
{
	struct xenfb_geometry geometry;
	struct xen_foreign *page, *frame;

	unbind_from_irqhandler(back->irq, back);
	back->irq = -1;
	/* What it has sent before it went is part of the last picture. */
	xenfb_back_drain(back, 0);
	{
		guard(mutex)(&back->ring_lock);
		page = back->page_map;
		back->page_map = nullptr;
		back->page = nullptr;
	}
	if (!page)
		return;
	if (xenfb_back_lock_copy(back, &geometry))
		xenfb_back_unlock_copy(back);
	{
		guard(mutex)(&back->copy_lock);
		frame = back->frame;
		back->frame = nullptr;
	}
	{
		guard(spinlock)(&back->state_lock);
		back->connected = false;
		kcsan_check_write(&back->stale.nr, sizeof(back->stale.nr));
		back->stale.nr = 0;
	}
	wake_up_all(&back->drained_wq);
	xen_foreign_unmap(frame);
	xen_foreign_unmap(page);
}

static int bind_irq(struct xenfb_back *back)
{
	struct xenbus_device *dev = back->dev;
	u64 port = xenbus_read_unsigned(dev->otherend, "event-channel", 0);
	int irq = -EINVAL;

	if (port <= 0xffffffff)
		irq = bind_interdomain_evtchn_to_irqhandler_lateeoi(dev->domain, dev->otherend_id,
								    (evtchn_port_t)port, back_event,
								    0, back->nodename, back);
	if (irq > 0) {
		back->irq = irq;
		return 0;
	}
	/*
	 * Not fatal: it may have closed the channel a moment ago, to begin again; then it says
	 * Initialised anew. Mutant: fatal; ours was so.
	 */
	if (KSHIM_MUTANT(xenfb_bind_fatal))
		xenbus_dev_fatal(dev, irq, "the front end's event channel cannot be bound");
	else
		xenbus_dev_error(dev, irq, "the front end's event channel %llu cannot be bound",
				 (unsigned long long)port);
	return irq;
}

static int attach(struct xenfb_back *back, struct xenfb_back_mapping *m)
	__must_hold(back->ring_lock);
static void let_events_in(struct xenfb_back *back) __must_hold(back->ring_lock);
static int begin_locked(struct xenfb_back *back) __must_hold(back->ring_lock);

/* For a mutant. */
static void let_events_in(struct xenfb_back *back)
{
	mutex_unlock(&back->ring_lock);
	mutex_lock(&back->ring_lock);
}

/*
 * The channel, then what the page says. A front end that begins again breaks the channel, and then
 * writes the page: what is read while the channel holds belongs to it.
 */
static int attach(struct xenfb_back *back, struct xenfb_back_mapping *m)
{
	/* Mutant: the page is read first, and may be that of the channel before. Ours was so. */
	const bool early = KSHIM_MUTANT(xenfb_page_read_early);
	int err;

	err = early ? xenfb_back_read_page(back->dev, m) : 0;
	if (!err)
		err = bind_irq(back);
	if (err)
		return err;
	/* Mutant: the first event is lost, since it comes before anybody knows the page. */
	if (KSHIM_MUTANT(xenfb_bind_unlocked))
		let_events_in(back);
	if (!early)
		err = xenfb_back_read_page(back->dev, m);
	if (err)
		return err;
	/* Its Initialised is still to come. Mutant: half of the old page is an error. */
	if (!evtchn_irq_connected(back->irq) && !KSHIM_MUTANT(xenfb_torn_page))
		return -EAGAIN;
	return xenfb_back_map_frame(back->dev, m);
}

static int begin_locked(struct xenfb_back *back)
{
	struct xenbus_device *dev = back->dev;
	struct xenfb_back_mapping m = {};
	bool feature_update = xenbus_read_unsigned(dev->otherend, "feature-update", 0) == 1;
	int err = xenfb_back_map_page(dev, &m);

	if (err)
		return err;
	err = attach(back, &m);
	if (err) {
		xen_foreign_unmap(m.page);
		return err;
	}
	back->page_map = m.page;
	back->page = static_cast<struct xenfb_page *>(xen_foreign_addr(m.page));
	back->mem_length = m.mem_length;
	back->out_cons = m.out_cons;
	{
		guard(mutex)(&back->copy_lock);
		back->frame = m.frame;
	}
	{
		guard(spinlock)(&back->state_lock);
		back->drained = m.out_cons;
		back->feature_update = feature_update;
		back->connected = true;
		back->stats.connects++;
	}
	xenfb_back_set_layout(back, &m.layout);
	return 0;
}

static void connect_frontend(struct xenfb_back *back)
{
	struct xenbus_device *dev = back->dev;
	int err;

	{
		/* The first event waits: it comes as soon as the irq is bound. */
		guard(mutex)(&back->ring_lock);
		err = begin_locked(back);
	}
	if (err)
		goto disconnect;
	err = xenbus_printf(XBT_NIL, dev->nodename, "request-update", "%d", 1);
	if (err) {
		xenbus_dev_fatal(dev, err, "node request-update cannot be written");
		goto disconnect;
	}
	if (!xenbus_switch_state(dev, XenbusStateConnected))
		return;
disconnect:
	disconnect(back);
}

/*
 * The front end is Closed, or has no state. Is it for good? Then somebody has said Closing: we (an
 * error), the front end, or the toolstack, in our own node. If nobody has, it was seen between two
 * lives. A back end that said Closed then would be taken for one that goes: the front end, by
 * now Initialised again, would close, and each end would wait for the other one to begin.
 *
 * KSHIM: other back ends answer Closed with Closed, and wait for Initialising; a front end of
 * theirs has to be probed again to get there. Ours begins again by itself, so one of the two must
 * know.
 */
static void frontend_gone(struct xenfb_back *back)
{
	struct xenbus_device *dev = back->dev;
	bool for_good = dev->state == XenbusStateClosing || dev->state == XenbusStateClosed ||
			xenbus_read_driver_state(dev->nodename) == XenbusStateClosing;

	/* Mutant: Closed for Closed. Ours was so. */
	if (KSHIM_MUTANT(xenfb_closed_for_closed) && dev->state == XenbusStateConnected)
		for_good = true;
	disconnect(back);
	xenbus_switch_state(dev, for_good ? XenbusStateClosed : XenbusStateInitWait);
}

static void xenfb_frontend_changed(struct xenbus_device *dev, enum xenbus_state frontend_state)
{
	auto *back = static_cast<struct xenfb_back *>(dev_get_drvdata(dev));

	switch (frontend_state) {
	case XenbusStateInitialising:
		if (dev->state == XenbusStateClosed)
			xenbus_switch_state(dev, XenbusStateInitWait);
		break;
	case XenbusStateInitialised:
	case XenbusStateConnected:
		/*
		 * It began again and its Closed was missed: the channel to what it was is broken.
		 * (A state alone says nothing: one may be seen twice.)
		 */
		if (dev->state == XenbusStateConnected && !evtchn_irq_connected(back->irq)) {
			disconnect(back);
			/*
			 * The store goes on saying Connected until a state is written over it. Not
			 * InitWait: a front end that takes the Connected for its own would begin
			 * once more.
			 */
			dev->state = KSHIM_MUTANT(xenfb_connected_left) ? XenbusStateInitWait
									: XenbusStateUnknown;
		}
		if (dev->state == XenbusStateInitWait || dev->state == XenbusStateClosed ||
		    dev->state == XenbusStateUnknown)
			connect_frontend(back);
		break;
	case XenbusStateClosing:
		disconnect(back);
		xenbus_switch_state(dev, XenbusStateClosing);
		break;
	case XenbusStateClosed:
	case XenbusStateUnknown:
		frontend_gone(back);
		break;
	default:
		break;
	}
}

static int xenfb_back_probe(struct xenbus_device *dev, const struct xenbus_device_id *id)
{
	struct xenfb_back *back = xenfb_back_get(dev->nodename, true);
	int err;

	if (IS_ERR(back)) {
		xenbus_dev_fatal(dev, -ENOMEM, "out of memory for the back end");
		return -ENOMEM;
	}
	dev_set_drvdata(dev, back);
	back->dev = dev;
	err = xenbus_printf(XBT_NIL, dev->nodename, "feature-resize", "%d", 1);
	if (!err)
		err = xenbus_switch_state(dev, XenbusStateInitWait);
	if (!err)
		return 0;
	xenbus_dev_fatal(dev, err, "node feature-resize or the state cannot be written");
	back->dev = nullptr;
	xenfb_back_put(back);
	return err;
}

static void xenfb_back_remove(struct xenbus_device *dev)
{
	auto *back = static_cast<struct xenfb_back *>(dev_get_drvdata(dev));

	disconnect(back);
	xenbus_switch_state(dev, XenbusStateClosed);
	back->dev = nullptr;
	xenfb_back_put(back);
}

static const struct xenbus_device_id xenfb_back_ids[] = {{"vfb"}, {""}};

static const struct xenbus_driver xenfb_back_driver = {
	.name = "xenfb_back",
	.ids = xenfb_back_ids,
	.probe = xenfb_back_probe,
	.otherend_changed = xenfb_frontend_changed,
	.remove = xenfb_back_remove,
};

static int xenfb_back_init(struct pv_machine *m)
{
	auto *state = kzalloc_obj(struct xenfb_back_state, GFP_KERNEL);
	int err;

	if (!state)
		return -ENOMEM;
	mutex_init(&state->lock);
	{
		guard(mutex)(&state->lock);
		INIT_LIST_HEAD(&state->backs);
	}
	m->xenfb_back = state;
	err = xenbus_register_backend(&xenfb_back_driver);
	if (err) {
		m->xenfb_back = nullptr;
		kfree(state);
	}
	return err;
}

static void xenfb_back_exit(struct pv_machine *m)
{
	xenbus_unregister_driver(&xenfb_back_driver);
	{
		guard(mutex)(&m->xenfb_back->lock);
		WARN(!list_empty(&m->xenfb_back->backs), "xenfb: a back end was left in use\n");
	}
	kfree(m->xenfb_back);
	m->xenfb_back = nullptr;
}

const struct machine_initcall xenfb_back_initcall = {"xenfb_back", xenfb_back_init,
						     xenfb_back_exit};
