/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * xen_fbfront.cc - the virtual framebuffer's front end: the device and its life
 *
 *      probe: frame, fb_info, irq bound, nodes published   -> Initialised
 *      back end InitWait                                   -> Connected
 *      back end Connected: (Connected if InitWait was missed), features read, all of the screen
 *      sent back end Closing, Closed (either may be missed), gone: irq unbound  -> Closed
 *      back end Initialising, InitWait while Closed: it was restarted: published again ->
 *      Initialised remove: last picture sent, framebuffer unregistered, mappings zapped
 *
 * I1: the irq is bound, and the lock knows it, before the state says Initialised: a back end that
 *     connects at once finds everything in place.
 * I2: features are read only once the back end is Connected: it has written them by then.
 * I3: the framebuffer outlives connections: programs draw on while there is no back end, and the
 *     damage waits.
 * I4: feature_resize changes under info->lock (and front->lock): a resize asks for it and is made
 *     under info->lock, too, so none is made that the back end cannot be told.
 */
#include <kshim/machine.h>
#include <kshim/mutant.h>
#include <kshim/xen.h>
#include <linux/err.h>
#include <linux/errno.h>
#include <linux/kernel.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <xen/io/protocols.h>

#include "video/xen_fbfront_private.h"

static int write_nodes(struct xenfb_front *front, struct xenbus_transaction xbt)
{
	const char *dir = front->nodename;
	int err;

	err = xenbus_printf(xbt, dir, "page-ref", "%llu",
			    (unsigned long long)xen_frame_number(front->page_frame));
	if (!err)
		err = xenbus_printf(xbt, dir, "event-channel", "%u", front->port);
	if (!err)
		err = xenbus_write(xbt, dir, "protocol", XEN_IO_PROTO_ABI_NATIVE);
	if (!err)
		err = xenbus_write(xbt, dir, "feature-update", "1");
	return err;
}

static int publish_nodes(struct xenfb_front *front)
{
	struct xenbus_transaction xbt;
	int err;

	do {
		err = xenbus_transaction_start(&xbt);
		if (err)
			return err;
		err = write_nodes(front, xbt);
		if (err) {
			(void)xenbus_transaction_end(xbt, true);
			return err;
		}
		err = xenbus_transaction_end(xbt, false);
	} while (err == -EAGAIN);
	return err;
}

static int connect_backend(struct xenfb_front *front)
{
	int err;

	xenfb_front_page_reset(front);
	err = xenfb_front_bind_irq(front);
	if (err) {
		xenbus_dev_fatal(front->dev, err, "no event channel to the back end");
		return err;
	}
	err = publish_nodes(front);
	if (err) {
		xenbus_dev_fatal(front->dev, err, "the shared page cannot be published");
		goto unbind;
	}
	err = xenbus_switch_state(front->dev, XenbusStateInitialised);
	if (err)
		goto unbind;
	if (KSHIM_MUTANT(xenfb_irq_late)) {
		guard(mutex)(&front->lock);
		front->published = true;
	}
	return 0;
unbind:
	xenfb_front_unbind_irq(front);
	return err;
}

/* What a back end that just connected wants. */
struct features {
	bool update;
	bool resize;
};

enum class begun { NOT_PUBLISHED, LOST, SENDING };

static void let_resizers_in(struct fb_info *info) __must_hold(info->lock);
static enum begun begin_locked(struct xenfb_front *front, const struct features *f,
			       struct fb_geometry *g) __must_hold(front->info->lock);

/* For a mutant. */
static void let_resizers_in(struct fb_info *info)
{
	mutex_unlock(&info->lock);
	mutex_lock(&info->lock);
}

/*
 * Under info->lock, so that a resize which was accepted because the back end before could be told
 * is either seen here, or asks again (I4).
 */
static enum begun begin_locked(struct xenfb_front *front, const struct features *f,
			       struct fb_geometry *g)
{
	bool lost;

	fb_damage_geometry(front->info, g);
	/* Mutant: it comes in between, and is never told. Ours was so. */
	if (KSHIM_MUTANT(xenfb_feature_unlocked))
		let_resizers_in(front->info);
	guard(mutex)(&front->lock);
	if (!front->published)
		return begun::NOT_PUBLISHED;
	/* Connected again to the same page, all between unseen: it knows what the page says. */
	if (front->connected && f->resize)
		front->sent_generation = g->generation - 1;
	lost = !f->resize && g->generation != front->sent_generation;
	front->update_wanted = f->update;
	front->feature_resize = f->resize;
	front->connected = !lost;
	return lost ? begun::LOST : begun::SENDING;
}

/* The back end is Connected: learn what it wants, and begin. */
static void start_sending(struct xenfb_front *front)
{
	struct xenbus_device *dev = front->dev;
	const struct features f = {
		.update = xenbus_read_unsigned(dev->otherend, "request-update", 0) == 1,
		.resize = xenbus_read_unsigned(dev->otherend, "feature-resize", 0) == 1};
	struct fb_geometry g;
	enum begun begun;

	{
		guard(mutex)(&front->info->lock);
		begun = begin_locked(front, &f, &g);
	}
	switch (begun) {
	case begun::NOT_PUBLISHED:
		break;
	case begun::LOST:
		xenbus_dev_fatal(
			dev, -EOPNOTSUPP,
			"the picture begins at offset %u or was resized, and the back end has no "
			"feature-resize to be told",
			g.offset);
		break;
	case begun::SENDING:
		fb_damage_add_all(front->info);
		xenfb_front_send(front->info);
		break;
	}
}

static bool is_connected(struct xenfb_front *front)
{
	guard(mutex)(&front->lock);
	return front->connected;
}

static void disconnect_backend(struct xenfb_front *front)
{
	xenfb_front_unbind_irq(front);
	xenbus_frontend_closed(front->dev);
}

static void xenfb_backend_changed(struct xenbus_device *dev, enum xenbus_state backend_state)
{
	auto *front = static_cast<struct xenfb_front *>(dev_get_drvdata(dev));

	switch (backend_state) {
	case XenbusStateInitialising:
	case XenbusStateInitWait:
		/* Restarted: seen Closed, or not (then we were connected to what it was before). */
		if (is_connected(front))
			disconnect_backend(front);
		if (dev->state == XenbusStateClosed)
			connect_backend(front);
		if (backend_state == XenbusStateInitWait && dev->state == XenbusStateInitialised)
			xenbus_switch_state(dev, XenbusStateConnected);
		break;
	case XenbusStateConnected:
		/* It may have been InitWait only between two looks. */
		if (dev->state == XenbusStateInitialised)
			xenbus_switch_state(dev, XenbusStateConnected);
		if (dev->state != XenbusStateConnected)
			break;
		if (xenfb_front_ring_makes_sense(front)) {
			start_sending(front);
		} else {
			xenfb_front_unbind_irq(front);
			connect_backend(front);
		}
		break;
	case XenbusStateClosed:
		/* It closed before we published, and has yet to see that we did. */
		if (dev->state == XenbusStateInitialised && !KSHIM_MUTANT(xenfb_closes_too_soon))
			break;
		disconnect_backend(front);
		break;
	case XenbusStateClosing:
	case XenbusStateUnknown:
		disconnect_backend(front);
		break;
	default:
		break;
	}
}

static int xenfb_probe(struct xenbus_device *dev, const struct xenbus_device_id *id)
{
	struct xenfb_front_state *state = current_machine()->xenfb_front;
	struct fb_info *info = xenfb_front_alloc(dev);
	struct xenfb_front *front;
	int err;

	if (IS_ERR(info))
		return (int)PTR_ERR(info);
	front = xenfb_front_of(info);
	dev_set_drvdata(dev, front);
	err = fb_deferred_io_init(info);
	if (err) {
		xenbus_dev_fatal(dev, err, "no deferred I/O");
		goto release;
	}
	err = register_framebuffer(info);
	if (err) {
		xenbus_dev_fatal(dev, err, "the framebuffer cannot be registered");
		goto cleanup_defio;
	}
	err = connect_backend(front);
	if (err)
		goto unregister;
	{
		guard(mutex)(&state->lock);
		list_add_tail(&front->node, &state->fronts);
	}
	return 0;

unregister:
	unregister_framebuffer(info);
cleanup_defio:
	fb_deferred_io_cleanup(info);
release:
	framebuffer_release(info);
	return err;
}

static void xenfb_remove(struct xenbus_device *dev)
{
	struct xenfb_front_state *state = current_machine()->xenfb_front;
	auto *front = static_cast<struct xenfb_front *>(dev_get_drvdata(dev));
	struct fb_info *info = front->info;

	{
		guard(mutex)(&state->lock);
		list_del_init(&front->node);
	}
	unregister_framebuffer(info);
	/* Flushes: the back end still hears of the last picture. */
	fb_deferred_io_cleanup(info);
	xenfb_front_unbind_irq(front);
	xenbus_switch_state(dev, XenbusStateClosed);
	front->dev = nullptr;
	framebuffer_release(info);
}

static const struct xenbus_device_id xenfb_ids[] = {{"vfb"}, {""}};

static const struct xenbus_driver xenfb_driver = {
	.name = "xenfb",
	.ids = xenfb_ids,
	.probe = xenfb_probe,
	.otherend_changed = xenfb_backend_changed,
	.remove = xenfb_remove,
};

struct fb_info *xenfb_front_find(const char *nodename)
{
	struct xenfb_front_state *state = current_machine()->xenfb_front;
	struct xenfb_front *front;

	if (!state)
		return ERR_PTR(-ENODEV);
	guard(mutex)(&state->lock);
	list_for_each_entry (front, &state->fronts, node) {
		if (!strcmp(front->nodename, nodename)) {
			get_fb_info_ref(front->info);
			return front->info;
		}
	}
	return ERR_PTR(-ENODEV);
}

static int xenfb_front_init(struct pv_machine *m)
{
	auto *state = kzalloc_obj(struct xenfb_front_state, GFP_KERNEL);
	int err;

	if (!state)
		return -ENOMEM;
	mutex_init(&state->lock);
	INIT_LIST_HEAD(&state->fronts);
	m->xenfb_front = state;
	err = xenbus_register_frontend(&xenfb_driver);
	if (err) {
		m->xenfb_front = nullptr;
		kfree(state);
	}
	return err;
}

static void xenfb_front_exit(struct pv_machine *m)
{
	xenbus_unregister_driver(&xenfb_driver);
	kfree(m->xenfb_front);
	m->xenfb_front = nullptr;
}

const struct machine_initcall xenfb_initcall = {"xen_fbfront", xenfb_front_init, xenfb_front_exit};
