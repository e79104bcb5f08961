/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * xen/xenbus.h - the store's client side, and split devices found through it
 *
 *      /local/domain/1/device/TYPE/ID          front end: state, backend, backend-id, ...
 *      /local/domain/0/backend/TYPE/1/ID       back end:  state, frontend, frontend-id, ...
 *
 * Each domain has one watch thread. It runs every watch callback of the domain, one at a time, in
 * the order of the writes that fired them; and with them probe, remove and otherend_changed of its
 * drivers. So a driver needs no lock between those.
 *
 * I1: a watch fires once when registered, then after every change at or below its node, or of its
 *     being removed with something above it. Changes that come before the callback began are one
 *     call: it must read the node, whatever the write that fired it.
 * I2: after unregister_xenbus_watch() no callback runs or will run (from its own callback: the last
 *     one).
 * I3: a transaction is atomic and isolated: at its end nothing that it read or wrote was changed by
 *     others meanwhile, otherwise it changes nothing and end returns -EAGAIN.
 * I4: probe comes before any other callback of a device, remove after all of them, exactly once.
 *
 * KSHIM: no permissions on nodes, no quota but the sizes of xs_wire.h and a number of transactions;
 * paths are absolute. A callback's path is the watch's own node, not what was written below it: so
 * an event needs no memory, cannot be lost for want of it, and a domain that writes in a loop fills
 * nobody's queue.
 */
#pragma once

#include <stdarg.h>

#include <linux/completion.h>
#include <linux/list.h>
#include <linux/types.h>
#include <xen/event_channel.h>
#include <xen/io/xenbus.h>
#include <xen/xen.h>

struct machine_initcall;
struct pv_machine;
struct xen_domain;
struct xenbus_device;

/* ---- the store ---- */

struct xenbus_transaction {
	u32 id;
};
#define XBT_NIL (xenbus_transaction{0})

/*
 * All may sleep. Node may be "" or null: then the path is dir. -EINVAL: bad path, -E2BIG: too long.
 */

/* The value with a final 0, for kfree(); ERR_PTR(-ENOENT, -ENOMEM). @len may be null. */
char *xenbus_read(struct xenbus_transaction t, const char *dir, const char *node,
		  unsigned int *len);
[[nodiscard]] int xenbus_write(struct xenbus_transaction t, const char *dir, const char *node,
			       const char *value);
[[nodiscard]] int xenbus_printf(struct xenbus_transaction t, const char *dir, const char *node,
				const char *fmt, ...) __attribute__((format(printf, 4, 5)));
/* Number of fields read, at least 1, or -ENOENT, -ERANGE (the value does not have that form). */
[[nodiscard]] int xenbus_scanf(struct xenbus_transaction t, const char *dir, const char *node,
			       const char *fmt, ...) __attribute__((format(scanf, 4, 5)));
/* A decimal or 0x number that fills the whole value, else @default_val. */
u64 xenbus_read_unsigned(const char *dir, const char *node, u64 default_val);
int xenbus_exists(struct xenbus_transaction t, const char *dir, const char *node);
[[nodiscard]] int xenbus_mkdir(struct xenbus_transaction t, const char *dir, const char *node);
/* Removes the node and all below it. 0 or -ENOENT. */
int xenbus_rm(struct xenbus_transaction t, const char *dir, const char *node);
/* Names of the children, one allocation for kfree(), null-terminated; ERR_PTR. */
char **xenbus_directory(struct xenbus_transaction t, const char *dir, const char *node,
			unsigned int *num);
[[nodiscard]] int xenbus_transaction_start(struct xenbus_transaction *t);
/* 0, or -EAGAIN: begin again. The transaction is gone in any case. */
[[nodiscard]] int xenbus_transaction_end(struct xenbus_transaction t, bool abort);

struct xenbus_watch {
	/* Set by the owner before registering (the rest 0); node must live until unregistered. */
	const char *node;
	void (*callback)(struct xenbus_watch *watch, const char *path);
	/* Whose watch thread calls back. */
	struct xen_domain *domain;

	/* Protected by the watches' lock. */
	bool registered;
	bool fired; /* on the domain's queue */
	struct list_head list;
	struct list_head queue;
};

/* 0, -EEXIST (registered already), -EINVAL, -ENOMEM. Domain, node and callback must be set. */
[[nodiscard]] int register_xenbus_watch(struct xenbus_watch *watch);
/* Context: may sleep; holds no lock that the callback takes. No-op if not registered. */
void unregister_xenbus_watch(struct xenbus_watch *watch);
/* Call the callback again with its node as path, as after a change. */
void xenbus_watch_fire(struct xenbus_watch *watch);
/*
 * Wait until the domain's watch thread has finished what was queued before the call. Not from it.
 */
void xenbus_watch_flush(struct xen_domain *domain);

/* ---- devices ---- */

struct xenbus_device_id {
	char devicetype[32];
};

struct xenbus_driver {
	const char *name;
	const struct xenbus_device_id *ids; /* ends with an empty one */
	int (*probe)(struct xenbus_device *dev, const struct xenbus_device_id *id);
	void (*otherend_changed)(struct xenbus_device *dev, enum xenbus_state backend_state);
	void (*remove)(struct xenbus_device *dev);
};

struct xenbus_bus;

struct xenbus_device {
	/* Constant from probe to remove. */
	const char *devicetype;
	const char *nodename; /* own directory */
	const char *otherend; /* the other end's directory */
	domid_t otherend_id;
	struct xen_domain *domain; /* whose device it is */
	const struct xenbus_driver *driver;

	/* The watch thread's. */
	enum xenbus_state state; /* as last written by xenbus_switch_state() */
	void *drvdata;

	/* The bus's. */
	struct xenbus_bus *bus;
	bool probe_failed;
	struct list_head node;
	struct xenbus_watch otherend_watch;
	char *otherend_state_path;
};

static inline void *dev_get_drvdata(const struct xenbus_device *dev)
{
	return dev->drvdata;
}

static inline void dev_set_drvdata(struct xenbus_device *dev, void *data)
{
	dev->drvdata = data;
}

extern const struct machine_initcall xenbus_initcall;

/* Register with the current machine; probes what is there (asynchronously). 0, -EBUSY, -ENOMEM. */
[[nodiscard]] int xenbus_register_frontend(const struct xenbus_driver *driver);
[[nodiscard]] int xenbus_register_backend(const struct xenbus_driver *driver);
/* Returns after the last remove. Not from the watch thread. */
void xenbus_unregister_driver(const struct xenbus_driver *driver);

/*
 * Writes the state unless it is so already or the directory is gone (a removed device must not come
 * back as a directory with nothing but a state). 0 or an error, which was reported.
 */
int xenbus_switch_state(struct xenbus_device *dev, enum xenbus_state new_state);
/* The state of the device at @path, XenbusStateUnknown if it is not there or is nonsense. */
enum xenbus_state xenbus_read_driver_state(const char *path);
const char *xenbus_strstate(enum xenbus_state state);
/* Front end: closed for good: state Closed. */
int xenbus_frontend_closed(struct xenbus_device *dev);

/* Log one line "nodename: message (errno)" and leave "ERR message" in the device's "error" node. */
void xenbus_dev_error(struct xenbus_device *dev, int err, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
/* The same, and close the device. */
void xenbus_dev_fatal(struct xenbus_device *dev, int err, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
/* The error node of a device directory as -errno, 0 without one. */
int xenbus_read_error(const char *nodename);

/* evtchn_alloc_unbound() for the other end of @dev. */
[[nodiscard]] int xenbus_alloc_evtchn(struct xenbus_device *dev, evtchn_port_t *port);
int xenbus_free_evtchn(struct xenbus_device *dev, evtchn_port_t port);
