/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * xenbus_probe.cc - the two buses: which directories are devices, and whose
 *
 *      watch on /local/domain/1/device   -> scan -> directories without a device: make one, probe
 *      watch on /local/domain/0/backend             devices without a directory:  remove
 *      a driver comes or goes: fire the same watch
 *
 * Everything that happens to a device happens on its domain's watch thread: the scan, and the watch
 * of the other end's state. So a driver's callbacks never run beside each other, and a device that
 * the scan removes is in nobody's hands.
 *
 * I1: a device without a driver waits for one; a device whose probe failed waits for its directory
 *     to be removed, and is not tried again and again.
 * I2: unregister returns after a scan that began with the driver marked as going, so all its
 *     devices are removed.
 * Locks: bus->lock (mutex) guards the list of drivers. The list of devices is the watch thread's.
 */
#include <string.h>

#include <kshim/machine.h>
#include <kshim/xen.h>
#include <linux/err.h>
#include <linux/errno.h>
#include <linux/jiffies.h>
#include <linux/kernel.h>
#include <linux/mutex.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include <linux/sprintf.h>
#include <linux/string.h>
#include <xen/io/xs_wire.h>
#include <xen/xenbus.h>

struct xenbus_driver_entry {
	struct list_head node;
	const struct xenbus_driver *driver;
	bool going;
};

struct xenbus_bus {
	const char *otherend_node; /* names the other end's directory */
	const char *otherend_id_node;
	unsigned int levels; /* of directories below the root, without the type: 1 or 2 */
	struct xen_domain *domain;
	struct xenbus_watch watch; /* on the root */
	struct list_head devices;

	struct mutex lock;
	struct list_head drivers; /* protected by lock */
};

struct xenbus {
	struct xenbus_bus front;
	struct xenbus_bus back;
};

static void otherend_changed(struct xenbus_watch *watch, const char *path)
{
	struct xenbus_device *dev = container_of(watch, struct xenbus_device, otherend_watch);

	if (dev->driver->otherend_changed)
		dev->driver->otherend_changed(dev, xenbus_read_driver_state(dev->otherend));
}

static bool device_is_live(const struct xenbus_device *dev)
{
	return dev->driver;
}

static void device_remove(struct xenbus_device *dev)
{
	unregister_xenbus_watch(&dev->otherend_watch);
	dev->driver->remove(dev);
	dev->driver = nullptr;
	dev->drvdata = nullptr;
}

static void device_free(struct xenbus_device *dev)
{
	list_del(&dev->node);
	kfree(dev->devicetype);
	kfree(dev->nodename);
	kfree(dev->otherend);
	kfree(dev->otherend_state_path);
	kfree(dev);
}

/* The first driver for @type that stays. Caller holds bus->lock. */
static const struct xenbus_driver *driver_find(struct xenbus_bus *bus, const char *type,
					       const struct xenbus_device_id **id)
{
	struct xenbus_driver_entry *entry;

	list_for_each_entry (entry, &bus->drivers, node) {
		if (entry->going)
			continue;
		for (*id = entry->driver->ids; (*id)->devicetype[0]; (*id)++) {
			if (!strcmp((*id)->devicetype, type))
				return entry->driver;
		}
	}
	return nullptr;
}

static bool driver_is_going(struct xenbus_bus *bus, const struct xenbus_driver *driver)
{
	struct xenbus_driver_entry *entry;

	guard(mutex)(&bus->lock);
	list_for_each_entry (entry, &bus->drivers, node) {
		if (entry->driver == driver)
			return entry->going;
	}
	return true;
}

/* Reads who the other end is. Errors are in the log. */
static int device_talk_to_otherend(struct xenbus_device *dev)
{
	char *otherend = xenbus_read(XBT_NIL, dev->nodename, dev->bus->otherend_node, nullptr);
	u64 id = xenbus_read_unsigned(dev->nodename, dev->bus->otherend_id_node, ~0ull);

	kfree(dev->otherend);
	kfree(dev->otherend_state_path);
	dev->otherend = nullptr;
	dev->otherend_state_path = nullptr;
	if (IS_ERR(otherend)) {
		xenbus_dev_error(dev, (int)PTR_ERR(otherend), "no node %s",
				 dev->bus->otherend_node);
		return (int)PTR_ERR(otherend);
	}
	dev->otherend = otherend;
	if (otherend[0] != '/' || !otherend[1] || id > 0xffff || !xen_domain((domid_t)id)) {
		xenbus_dev_error(dev, -EINVAL, "nodes %s and %s name no other end",
				 dev->bus->otherend_node, dev->bus->otherend_id_node);
		return -EINVAL;
	}
	dev->otherend_id = (domid_t)id;
	dev->otherend_state_path = kasprintf(GFP_KERNEL, "%s/state", otherend);
	return dev->otherend_state_path ? 0 : -ENOMEM;
}

/* Gives the device its driver. On failure it has none, and the reason is in its error node. */
static void device_probe(struct xenbus_device *dev)
{
	const struct xenbus_device_id *id = nullptr;
	const struct xenbus_driver *driver;
	int err;

	{
		guard(mutex)(&dev->bus->lock);
		driver = driver_find(dev->bus, dev->devicetype, &id);
	}
	if (!driver || dev->probe_failed)
		return;
	dev->driver = driver;
	dev->state = xenbus_read_driver_state(dev->nodename);
	err = device_talk_to_otherend(dev);
	if (!err)
		err = driver->probe(dev, id);
	if (!err) {
		dev->otherend_watch.node = dev->otherend_state_path;
		dev->otherend_watch.callback = otherend_changed;
		dev->otherend_watch.domain = dev->domain;
		err = register_xenbus_watch(&dev->otherend_watch);
		if (err)
			driver->remove(dev);
	}
	if (!err)
		return;
	dev->driver = nullptr;
	dev->drvdata = nullptr;
	dev->probe_failed = true;
	/* A driver which gave its reason has an error node already: keep that. */
	if (!xenbus_read_error(dev->nodename))
		xenbus_dev_error(dev, err, "no %s: its driver failed", dev->devicetype);
	xenbus_switch_state(dev, XenbusStateClosed);
}

static struct xenbus_device *device_find(struct xenbus_bus *bus, const char *nodename)
{
	struct xenbus_device *dev;

	list_for_each_entry (dev, &bus->devices, node) {
		if (!strcmp(dev->nodename, nodename))
			return dev;
	}
	return nullptr;
}

/* 0 or -ENOMEM. */
static int device_add(struct xenbus_bus *bus, const char *type, const char *nodename)
{
	auto *dev = kzalloc_obj(struct xenbus_device, GFP_KERNEL);

	if (!dev)
		return -ENOMEM;
	dev->devicetype = kstrdup(type, GFP_KERNEL);
	dev->nodename = kstrdup(nodename, GFP_KERNEL);
	if (!dev->devicetype || !dev->nodename) {
		kfree(dev->devicetype);
		kfree(dev->nodename);
		kfree(dev);
		return -ENOMEM;
	}
	dev->bus = bus;
	dev->domain = bus->domain;
	list_add_tail(&dev->node, &bus->devices);
	device_probe(dev);
	return 0;
}

/* A directory that may be a device, or holds some, @levels further down. 0 or -ENOMEM. */
static int scan_directory(struct xenbus_bus *bus, const char *type, const char *path,
			  unsigned int levels)
{
	char below[XENSTORE_ABS_PATH_MAX + 1];
	unsigned int n = 0;
	char **names;
	int err = 0;

	if (!levels) {
		if (!xenbus_exists(XBT_NIL, path, "state") || device_find(bus, path))
			return 0;
		return device_add(bus, type, path);
	}
	names = xenbus_directory(XBT_NIL, path, "", &n);
	if (IS_ERR(names))
		return PTR_ERR(names) == -ENOMEM ? -ENOMEM : 0;
	for (unsigned int i = 0; i < n && !err; i++) {
		if (snprintf(below, sizeof(below), "%s/%s", path, names[i]) < (int)sizeof(below))
			err = scan_directory(bus, type ? type : names[i], below, levels - 1);
	}
	kfree(names);
	return err;
}

static void bus_scan(struct xenbus_watch *watch, const char *path)
{
	struct xenbus_bus *bus = container_of(watch, struct xenbus_bus, watch);
	struct xenbus_device *dev, *next;

	list_for_each_entry_safe (dev, next, &bus->devices, node) {
		bool there = xenbus_exists(XBT_NIL, dev->nodename, "state");

		if (device_is_live(dev) && (!there || driver_is_going(bus, dev->driver)))
			device_remove(dev);
		if (!there)
			device_free(dev);
		else if (!device_is_live(dev))
			device_probe(dev);
	}
	if (scan_directory(bus, nullptr, bus->watch.node, 1 + bus->levels)) {
		/*
		 * Nobody would fire the watch for what was missed: look again when there is memory.
		 */
		schedule_timeout_uninterruptible(HZ / 1000);
		xenbus_watch_fire(&bus->watch);
	}
}

static int bus_register_driver(struct xenbus_bus *bus, const struct xenbus_driver *driver)
{
	auto *entry = kzalloc_obj(struct xenbus_driver_entry, GFP_KERNEL);
	struct xenbus_driver_entry *other;

	if (!entry)
		return -ENOMEM;
	entry->driver = driver;
	{
		guard(mutex)(&bus->lock);
		list_for_each_entry (other, &bus->drivers, node) {
			if (other->driver == driver) {
				kfree(entry);
				return -EBUSY;
			}
		}
		list_add_tail(&entry->node, &bus->drivers);
	}
	xenbus_watch_fire(&bus->watch);
	return 0;
}

int xenbus_register_frontend(const struct xenbus_driver *driver)
{
	return bus_register_driver(&current_machine()->xenbus->front, driver);
}

int xenbus_register_backend(const struct xenbus_driver *driver)
{
	return bus_register_driver(&current_machine()->xenbus->back, driver);
}

static void bus_unregister_driver(struct xenbus_bus *bus, const struct xenbus_driver *driver)
{
	struct xenbus_driver_entry *entry, *found = nullptr;

	{
		guard(mutex)(&bus->lock);
		list_for_each_entry (entry, &bus->drivers, node) {
			if (entry->driver == driver)
				found = entry;
		}
		if (!found)
			return;
		found->going = true;
	}
	xenbus_watch_fire(&bus->watch);
	xenbus_watch_flush(bus->domain);
	{
		guard(mutex)(&bus->lock);
		list_del(&found->node);
	}
	kfree(found);
}

void xenbus_unregister_driver(const struct xenbus_driver *driver)
{
	bus_unregister_driver(&current_machine()->xenbus->front, driver);
	bus_unregister_driver(&current_machine()->xenbus->back, driver);
}

static int bus_init(struct xenbus_bus *bus, domid_t domid, const char *root)
{
	bus->domain = xen_domain(domid);
	mutex_init(&bus->lock);
	INIT_LIST_HEAD(&bus->drivers);
	INIT_LIST_HEAD(&bus->devices);
	bus->watch.node = root;
	bus->watch.callback = bus_scan;
	bus->watch.domain = bus->domain;
	return register_xenbus_watch(&bus->watch);
}

static void bus_exit(struct xenbus_bus *bus)
{
	struct xenbus_device *dev, *next;

	unregister_xenbus_watch(&bus->watch);
	list_for_each_entry_safe (dev, next, &bus->devices, node) {
		WARN(device_is_live(dev), "%s: a driver was left registered\n", dev->nodename);
		device_free(dev);
	}
}

static int xenbus_init(struct pv_machine *m)
{
	auto *xenbus = kzalloc_obj(struct xenbus, GFP_KERNEL);
	int err;

	if (!xenbus)
		return -ENOMEM;
	xenbus->front.otherend_node = "backend";
	xenbus->front.otherend_id_node = "backend-id";
	xenbus->front.levels = 1;
	xenbus->back.otherend_node = "frontend";
	xenbus->back.otherend_id_node = "frontend-id";
	xenbus->back.levels = 2;
	m->xenbus = xenbus;
	err = bus_init(&xenbus->front, XEN_DOM_FRONT, "/local/domain/1/device");
	if (!err)
		err = bus_init(&xenbus->back, XEN_DOM_BACK, "/local/domain/0/backend");
	if (err) {
		bus_exit(&xenbus->front);
		m->xenbus = nullptr;
		kfree(xenbus);
	}
	return err;
}

static void xenbus_exit(struct pv_machine *m)
{
	bus_exit(&m->xenbus->front);
	bus_exit(&m->xenbus->back);
	kfree(m->xenbus);
	m->xenbus = nullptr;
}

const struct machine_initcall xenbus_initcall = {"xenbus", xenbus_init, xenbus_exit};
