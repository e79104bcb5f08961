/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * xenfb_toolstack.cc - making and ending a framebuffer, as a toolstack does
 *
 *      create: both directories in one transaction -> the buses probe -> wait for Connected,
 *      Connected destroy: back end's state Closing -> both ends close -> directories removed ->
 *      both devices removed
 *
 * The toolstack belongs to dom0 and talks to the two ends through the store only; what it hands out
 * (fb_info, xenfb_back) it holds by reference, so that these stay valid until xenfb_destroy().
 *
 * T1: when create fails nothing of it is left: no node, no device, no memory.
 * T2: destroy waits for the watch threads to have done their work, not for a time.
 */
#include <kshim/machine.h>
#include <kshim/xen.h>
#include <linux/err.h>
#include <linux/errno.h>
#include <linux/jiffies.h>
#include <linux/kernel.h>
#include <linux/slab.h>
#include <linux/sprintf.h>

#include "backend/xenfb_back_private.h"
#include "video/fb_defio.h"
#include "video/xen_fbfront.h"

constexpr unsigned long XENFB_TIMEOUT = 60 * HZ;
constexpr unsigned int XENFB_DIR_LEN = 64;

struct xenfb {
	struct pv_machine *machine;
	struct fb_info *info;
	struct xenfb_back *back;
	char front_dir[XENFB_DIR_LEN];
	char back_dir[XENFB_DIR_LEN];
};

/* For create: wakes when a directory of the two changes. */
struct dir_watch {
	struct xenbus_watch watch;
	wait_queue_head_t *wq;
};

static void dir_changed(struct xenbus_watch *watch, const char *path)
{
	wake_up_all(container_of(watch, struct dir_watch, watch)->wq);
}

static int watch_dir(struct dir_watch *w, const char *dir, wait_queue_head_t *wq)
{
	w->wq = wq;
	w->watch.node = dir;
	w->watch.callback = dir_changed;
	w->watch.domain = xen_domain(XEN_DOM_BACK);
	return register_xenbus_watch(&w->watch);
}

static unsigned int new_id(struct pv_machine *m)
{
	guard(mutex)(&m->xenfb_back->lock);
	return m->xenfb_back->next_id++;
}

static int write_front(struct xenfb *x, const struct xenfb_config *c, struct xenbus_transaction t)
{
	const char *dir = x->front_dir;
	const struct {
		const char *node;
		u64 value;
	} numbers[] = {
		{"backend-id", XEN_DOM_BACK},
		{"width", c->width},
		{"height", c->height},
		{"depth", c->depth},
		{"line-length", c->line_length},
		{"mem-length", c->mem_length},
		{"offset", c->offset},
		{"refresh-us", c->refresh_us ? c->refresh_us : HZ / 60},
		{"state", XenbusStateInitialising},
	};
	int err = xenbus_write(t, dir, "backend", x->back_dir);

	for (unsigned int i = 0; !err && i < ARRAY_SIZE(numbers); i++)
		err = xenbus_printf(t, dir, numbers[i].node, "%llu",
				    (unsigned long long)numbers[i].value);
	return err;
}

static int write_back(struct xenfb *x, const struct xenfb_config *c, struct xenbus_transaction t)
{
	const char *dir = x->back_dir;
	u64 mem_length = c->mem_length ? c->mem_length : XENFB_MEM_MAX;
	int err = xenbus_write(t, dir, "frontend", x->front_dir);

	if (!err)
		err = xenbus_printf(t, dir, "frontend-id", "%u", XEN_DOM_FRONT);
	if (!err)
		err = xenbus_printf(t, dir, "videoram", "%llu",
				    (unsigned long long)(mem_length + 1023) / 1024);
	if (!err)
		err = xenbus_printf(t, dir, "state", "%d", XenbusStateInitialising);
	return err;
}

static int write_directories(struct xenfb *x, const struct xenfb_config *c)
{
	struct xenbus_transaction t;
	int err;

	do {
		err = xenbus_transaction_start(&t);
		if (err)
			return err;
		err = write_front(x, c, t);
		if (!err)
			err = write_back(x, c, t);
		if (err) {
			(void)xenbus_transaction_end(t, true);
			return err;
		}
		err = xenbus_transaction_end(t, false);
	} while (err == -EAGAIN);
	return err;
}

/* The state of the whole: 0 connected, an error, -EAGAIN not yet. */
static int connection_status(struct xenfb *x)
{
	enum xenbus_state front = xenbus_read_driver_state(x->front_dir);
	enum xenbus_state back = xenbus_read_driver_state(x->back_dir);
	int err = xenbus_read_error(x->front_dir);

	if (!err)
		err = xenbus_read_error(x->back_dir);
	if (err)
		return err;
	/* An end that closed and could not even write why. */
	if (front == XenbusStateClosing || front == XenbusStateClosed ||
	    back == XenbusStateClosing || back == XenbusStateClosed)
		return -EIO;
	return front == XenbusStateConnected && back == XenbusStateConnected ? 0 : -EAGAIN;
}

/*
 * Is there a driver for each end? The buses have looked when their threads' queues have been done.
 */
static int check_drivers(struct xenfb *x)
{
	xenbus_watch_flush(xen_domain(XEN_DOM_FRONT));
	xenbus_watch_flush(xen_domain(XEN_DOM_BACK));
	const char *const dirs[] = {x->front_dir, x->back_dir};

	for (const char *dir : dirs) {
		if (xenbus_read_driver_state(dir) != XenbusStateInitialising ||
		    xenbus_read_error(dir))
			continue;
		pr_err("%s: no driver took the device; its initcall is missing in this machine\n",
		       dir);
		return -ENODEV;
	}
	return 0;
}

static int wait_connected(struct xenfb *x)
{
	DECLARE_WAIT_QUEUE_HEAD_ONSTACK(wq);
	struct dir_watch front = {}, back = {};
	int err = watch_dir(&front, x->front_dir, &wq);

	if (!err)
		err = watch_dir(&back, x->back_dir, &wq);
	if (!err)
		err = check_drivers(x);
	if (!err &&
	    !wait_event_timeout(wq, (err = connection_status(x)) != -EAGAIN, XENFB_TIMEOUT)) {
		pr_err("%s: not connected after %lu s (front end %s, back end %s)\n", x->front_dir,
		       XENFB_TIMEOUT / HZ, xenbus_strstate(xenbus_read_driver_state(x->front_dir)),
		       xenbus_strstate(xenbus_read_driver_state(x->back_dir)));
		err = -ETIMEDOUT;
	}
	unregister_xenbus_watch(&front.watch);
	unregister_xenbus_watch(&back.watch);
	return err;
}

static void remove_directories(struct xenfb *x)
{
	xenbus_rm(XBT_NIL, x->front_dir, nullptr);
	xenbus_rm(XBT_NIL, x->back_dir, nullptr);
	xenbus_watch_flush(xen_domain(XEN_DOM_FRONT));
	xenbus_watch_flush(xen_domain(XEN_DOM_BACK));
}

/*
 * Lets both ends close in order; an end without driver stays as it is, and is removed all the same.
 */
static void close_both(struct xenfb *x)
{
	if (!xenbus_exists(XBT_NIL, x->back_dir, "state"))
		return;
	if (xenbus_printf(XBT_NIL, x->back_dir, "state", "%d", XenbusStateClosing))
		return;
	xenbus_watch_flush(xen_domain(XEN_DOM_FRONT));
	xenbus_watch_flush(xen_domain(XEN_DOM_BACK));
}

int xenfb_create(struct pv_machine *m, const struct xenfb_config *config, struct xenfb **out)
{
	machine_scope scope(m);
	struct xenfb_config c = *config;
	struct xenfb *x;
	unsigned int id;
	int err;

	if (!m->xenfb_back || !m->xenbus) {
		pr_err("xenfb: this machine has no back end driver\n");
		return -ENODEV;
	}
	x = kzalloc_obj(struct xenfb, GFP_KERNEL);
	if (!x) {
		pr_err("xenfb: out of memory\n");
		return -ENOMEM;
	}
	if (!c.line_length && c.width <= XENFB_MAX_EXTENT)
		c.line_length = c.width * (c.depth / 8);
	if (!c.mem_length)
		c.mem_length = c.offset + (u64)c.line_length * c.height;
	x->machine = m;
	id = new_id(m);
	snprintf(x->front_dir, sizeof(x->front_dir), "/local/domain/%u/device/vfb/%u",
		 XEN_DOM_FRONT, id);
	snprintf(x->back_dir, sizeof(x->back_dir), "/local/domain/%u/backend/vfb/%u/%u",
		 XEN_DOM_BACK, XEN_DOM_FRONT, id);
	err = write_directories(x, &c);
	if (err) {
		pr_err("xenfb: %s cannot be written to the store: error %d\n", x->front_dir, err);
		goto free;
	}
	err = wait_connected(x);
	if (err)
		goto remove;
	/* The front end has then seen Connected, and has sent its first picture. */
	xenbus_watch_flush(xen_domain(XEN_DOM_FRONT));
	xenbus_watch_flush(xen_domain(XEN_DOM_BACK));
	x->info = xenfb_front_find(x->front_dir);
	x->back = xenfb_back_get(x->back_dir, false);
	if (IS_ERR(x->info) || IS_ERR(x->back)) {
		/* Connected a moment ago: a driver was taken away meanwhile. */
		pr_err("%s: a driver went away while the device was made\n", x->front_dir);
		err = -ENODEV;
		goto put;
	}
	*out = x;
	return 0;

put:
	if (!IS_ERR(x->info))
		put_fb_info(x->info);
	if (!IS_ERR(x->back))
		xenfb_back_put(x->back);
remove:
	close_both(x);
	remove_directories(x);
free:
	kfree(x);
	return err;
}

void xenfb_destroy(struct xenfb *x)
{
	if (!x)
		return;
	machine_scope scope(x->machine);

	close_both(x);
	remove_directories(x);
	put_fb_info(x->info);
	xenfb_back_put(x->back);
	kfree(x);
}

struct fb_info *xenfb_info(struct xenfb *x)
{
	return x->info;
}

struct xenfb_back *xenfb_backend(struct xenfb *x)
{
	return x->back;
}

int xenfb_flush(struct xenfb *x)
{
	machine_scope scope(x->machine);
	u32 end;
	int err = fb_defio_flush(x->info);

	if (!err)
		err = xenfb_front_wait_sent(x->info, &end, XENFB_TIMEOUT);
	if (!err)
		err = xenfb_back_wait_drained(x->back, end, XENFB_TIMEOUT);
	return err;
}
