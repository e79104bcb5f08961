/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * xenbus_client.cc - what a split driver calls: states, errors, event channels
 *
 * A device's state lives in its directory, where the other end watches it. dev->state is what this
 * end wrote last.
 *
 * I1: a state is only written over a state: a directory that the toolstack has removed stays
 *     removed.
 */
#include <stdarg.h>

#include <linux/err.h>
#include <linux/errno.h>
#include <linux/jiffies.h>
#include <linux/kernel.h>
#include <linux/sched.h>
#include <linux/sprintf.h>
#include <xen/events.h>
#include <xen/xenbus.h>

const char *xenbus_strstate(enum xenbus_state state)
{
	static const char *const names[] = {
		"Unknown", "Initialising", "InitWait",      "Initialised",  "Connected",
		"Closing", "Closed",       "Reconfiguring", "Reconfigured",
	};

	return state < ARRAY_SIZE(names) ? names[state] : "INVALID";
}

enum xenbus_state xenbus_read_driver_state(const char *path)
{
	u64 state = xenbus_read_unsigned(path, "state", XenbusStateUnknown);

	/*
	 * Compared as the number it is: an enum does not hold any value that the other end writes.
	 */
	return state <= XenbusStateReconfigured ? static_cast<enum xenbus_state>(state)
						: XenbusStateUnknown;
}

static int try_switch_state(struct xenbus_device *dev, enum xenbus_state new_state)
{
	struct xenbus_transaction xbt;
	int err = xenbus_transaction_start(&xbt);
	int old_state;

	if (err)
		return err;
	err = xenbus_scanf(xbt, dev->nodename, "state", "%d", &old_state);
	/* Any value will do, also one that is no number. */
	if (err > 0 || err == -ERANGE)
		err = xenbus_printf(xbt, dev->nodename, "state", "%d", new_state);
	if (err) {
		(void)xenbus_transaction_end(xbt, true);
		return err == -ENOENT ? 0 : err;
	}
	return xenbus_transaction_end(xbt, false);
}

int xenbus_switch_state(struct xenbus_device *dev, enum xenbus_state new_state)
{
	int patience = 20;
	int err;

	if (new_state == dev->state)
		return 0;
	/*
	 * Each -EAGAIN means that another transaction has succeeded. Out of memory: the other end
	 * waits for this state, maybe for ever, so it is worth some patience.
	 */
	for (;;) {
		err = try_switch_state(dev, new_state);
		if (err == -ENOMEM && patience--)
			schedule_timeout_uninterruptible(HZ / 1000);
		else if (err != -EAGAIN)
			break;
	}
	if (err) {
		pr_err("%s: state %s cannot be written: error %d\n", dev->nodename,
		       xenbus_strstate(new_state), err);
		return err;
	}
	dev->state = new_state;
	return 0;
}

int xenbus_frontend_closed(struct xenbus_device *dev)
{
	return xenbus_switch_state(dev, XenbusStateClosed);
}

static void dev_error_va(struct xenbus_device *dev, int err, const char *fmt, va_list args)
{
	char message[256];

	vsnprintf(message, sizeof(message), fmt, args);
	pr_err("%s: %s (error %d)\n", dev->nodename, message, err);
	/* The toolstack reads it. Not worth a second line when it cannot be written. */
	if (xenbus_printf(XBT_NIL, dev->nodename, "error", "%d %s", -err, message))
		return;
}

void xenbus_dev_error(struct xenbus_device *dev, int err, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	dev_error_va(dev, err, fmt, args);
	va_end(args);
}

void xenbus_dev_fatal(struct xenbus_device *dev, int err, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	dev_error_va(dev, err, fmt, args);
	va_end(args);
	xenbus_switch_state(dev, XenbusStateClosing);
}

int xenbus_read_error(const char *nodename)
{
	int err;

	if (xenbus_scanf(XBT_NIL, nodename, "error", "%d", &err) != 1)
		return 0;
	return err > 0 && err <= MAX_ERRNO ? -err : -EIO;
}

int xenbus_alloc_evtchn(struct xenbus_device *dev, evtchn_port_t *port)
{
	return evtchn_alloc_unbound(dev->domain, dev->otherend_id, port);
}

int xenbus_free_evtchn(struct xenbus_device *dev, evtchn_port_t port)
{
	return evtchn_close(dev->domain, port);
}
