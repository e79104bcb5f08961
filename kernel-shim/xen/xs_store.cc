/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * xs_store.cc - reads, writes and transactions on the store
 *
 * A transaction works on its own copy of the tree and keeps two lists:
 *
 *      accessed: path, its generation in the copy when first looked at -> conflict check
 *      changes:  write or remove, path, value, in order                    -> replayed at the end
 *
 * I1: isolation: at the end every accessed path still has its generation in the store's tree (0:
 *     does not exist), or the transaction changes nothing and is -EAGAIN. Two transactions that
 *     touch different nodes do not disturb each other, even in one directory, unless one of them
 *     listed it.
 * I2: atomicity: the changes are replayed on a copy, which then replaces the tree: running out of
 *     memory half-way changes nothing.
 * I3: watches fire after the change, once per changed path, in order.
 * Locks: store_lock around everything, watch_lock below it when firing.
 */
#include <stdarg.h>

#include <string.h>

#include <linux/err.h>
#include <linux/errno.h>
#include <linux/kernel.h>
#include <linux/slab.h>
#include <linux/sprintf.h>
#include <linux/string.h>
#include <xen/io/xs_wire.h>

#include "xen_internal.h"
#include "xs_tree.h"

/* As many as a domain may have in Xen's store. */
constexpr unsigned int MAX_TRANSACTIONS = 10;

struct xs_accessed {
	struct list_head node;
	u64 generation;
	char path[];
};

struct xs_change {
	struct list_head node;
	bool remove;
	char *value; /* null: keep (mkdir) */
	char path[];
};

struct xs_transaction {
	struct list_head node;
	u32 id;
	struct xs_node *root;
	struct list_head accessed;
	struct list_head changes;
};

static bool path_valid(const char *path)
{
	if (path[0] != '/' || strlen(path) > XENSTORE_ABS_PATH_MAX)
		return false;
	if (!path[1])
		return true;
	for (const char *c = path; *c; c++) {
		if (*c == '/' && (c[1] == '/' || !c[1]))
			return false;
		if (!(*c >= 'a' && *c <= 'z') && !(*c >= 'A' && *c <= 'Z') &&
		    !(*c >= '0' && *c <= '9') && !strchr("-/_@", *c))
			return false;
	}
	return true;
}

/*
 * Paths live on the stack, and a read without transaction allocates nothing: the ends read each
 * other's states in callbacks that nobody would repeat after a failure.
 */
struct store_path {
	char text[XENSTORE_ABS_PATH_MAX + 1];
};

/* "dir/node", checked. */
static int path_join(struct store_path *path, const char *dir, const char *node)
{
	const bool join = node && *node;
	int length = snprintf(path->text, sizeof(path->text), "%s%s%s", dir, join ? "/" : "",
			      join ? node : "");

	return length < (int)sizeof(path->text) && path_valid(path->text) ? 0 : -EINVAL;
}

static void transaction_free(struct xs_transaction *t)
{
	struct xs_accessed *accessed, *next_accessed;
	struct xs_change *change, *next_change;

	list_for_each_entry_safe (accessed, next_accessed, &t->accessed, node)
		kfree(accessed);
	list_for_each_entry_safe (change, next_change, &t->changes, node) {
		kfree(change->value);
		kfree(change);
	}
	xs_tree_free(t->root);
	kfree(t);
}

static struct xs_transaction *transaction_find(struct hypervisor *xen, u32 id)
{
	struct xs_transaction *t;

	list_for_each_entry (t, &xen->transactions, node) {
		if (t->id == id)
			return t;
	}
	return nullptr;
}

static int transaction_access(struct xs_transaction *t, const char *path)
{
	struct xs_accessed *a;

	list_for_each_entry (a, &t->accessed, node) {
		if (!strcmp(a->path, path))
			return 0;
	}
	a = static_cast<struct xs_accessed *>(kzalloc(sizeof(*a) + strlen(path) + 1, GFP_KERNEL));
	if (!a)
		return -ENOMEM;
	strcpy(a->path, path);
	a->generation = xs_tree_generation(t->root, path);
	list_add_tail(&a->node, &t->accessed);
	return 0;
}

static int transaction_change(struct xs_transaction *t, const char *path, const char *value,
			      bool remove)
{
	auto *c = static_cast<struct xs_change *>(
		kzalloc(sizeof(struct xs_change) + strlen(path) + 1, GFP_KERNEL));

	if (!c)
		return -ENOMEM;
	if (value) {
		c->value = kstrdup(value, GFP_KERNEL);
		if (!c->value) {
			kfree(c);
			return -ENOMEM;
		}
	}
	c->remove = remove;
	strcpy(c->path, path);
	list_add_tail(&c->node, &t->changes);
	return 0;
}

/* The tree to read @path in, noted when in a transaction. Caller holds store_lock. ERR_PTR. */
static struct xs_node *store_view(struct hypervisor *xen, struct xenbus_transaction xbt,
				  const char *path)
{
	struct xs_transaction *t;
	int err;

	if (!xbt.id)
		return xen->store_root;
	t = transaction_find(xen, xbt.id);
	if (!t)
		return ERR_PTR(-EINVAL);
	err = transaction_access(t, path);
	if (err)
		return ERR_PTR(err);
	return t->root;
}

/* Caller holds store_lock. */
static int store_change(struct hypervisor *xen, struct xenbus_transaction xbt, const char *path,
			const char *value, bool remove)
{
	struct xs_node *root = store_view(xen, xbt, path);
	u64 generation;
	int err;

	if (IS_ERR(root))
		return (int)PTR_ERR(root);
	generation = ++xen->store_generation;
	if (remove)
		err = xs_tree_remove(root, path, generation);
	else
		err = xs_tree_write(root, path, value, generation);
	if (err)
		return err;
	if (xbt.id)
		return transaction_change(transaction_find(xen, xbt.id), path, value, remove);
	xen_watches_path_changed(xen, path, remove);
	return 0;
}

static int store_change_at(struct xenbus_transaction xbt, const char *dir, const char *node,
			   const char *value, bool remove)
{
	struct hypervisor *xen = current_xen();
	struct store_path path;

	if (path_join(&path, dir, node))
		return -EINVAL;
	guard(mutex)(&xen->store_lock);
	return store_change(xen, xbt, path.text, value, remove);
}

/* The node to read, or ERR_PTR. Caller holds store_lock until it has read. */
static struct xs_node *store_find(struct hypervisor *xen, struct xenbus_transaction xbt,
				  const char *path)
{
	struct xs_node *root = store_view(xen, xbt, path);
	struct xs_node *node = IS_ERR(root) ? root : xs_tree_find(root, path);

	return node ? node : (struct xs_node *)ERR_PTR(-ENOENT);
}

char *xenbus_read(struct xenbus_transaction t, const char *dir, const char *node, unsigned int *len)
{
	struct hypervisor *xen = current_xen();
	struct store_path path;
	char *value;

	if (path_join(&path, dir, node))
		return ERR_PTR(-EINVAL);
	{
		guard(mutex)(&xen->store_lock);
		struct xs_node *found = store_find(xen, t, path.text);

		if (IS_ERR(found))
			return ERR_CAST(found);
		value = kstrdup(found->value, GFP_KERNEL);
	}
	if (!value)
		return ERR_PTR(-ENOMEM);
	if (len)
		*len = (unsigned int)strlen(value);
	return value;
}

struct store_value {
	char text[XENSTORE_PAYLOAD_MAX + 1];
};

static int read_value(struct xenbus_transaction t, const char *dir, const char *node,
		      struct store_value *value)
{
	struct hypervisor *xen = current_xen();
	struct store_path path;

	if (path_join(&path, dir, node))
		return -EINVAL;
	guard(mutex)(&xen->store_lock);
	struct xs_node *found = store_find(xen, t, path.text);

	if (IS_ERR(found))
		return (int)PTR_ERR(found);
	strcpy(value->text, found->value);
	return 0;
}

int xenbus_write(struct xenbus_transaction t, const char *dir, const char *node, const char *value)
{
	if (strlen(value) > XENSTORE_PAYLOAD_MAX)
		return -E2BIG;
	return store_change_at(t, dir, node, value, false);
}

int xenbus_mkdir(struct xenbus_transaction t, const char *dir, const char *node)
{
	return store_change_at(t, dir, node, nullptr, false);
}

int xenbus_rm(struct xenbus_transaction t, const char *dir, const char *node)
{
	return store_change_at(t, dir, node, nullptr, true);
}

int xenbus_printf(struct xenbus_transaction t, const char *dir, const char *node, const char *fmt,
		  ...)
{
	char value[XENSTORE_PAYLOAD_MAX + 2];
	va_list args;

	va_start(args, fmt);
	vsnprintf(value, sizeof(value), fmt, args);
	va_end(args);
	return xenbus_write(t, dir, node, value);
}

int xenbus_scanf(struct xenbus_transaction t, const char *dir, const char *node, const char *fmt,
		 ...)
{
	struct store_value value;
	int n = read_value(t, dir, node, &value);
	va_list args;

	if (n)
		return n;
	va_start(args, fmt);
	n = vsscanf(value.text, fmt, args);
	va_end(args);
	return n > 0 ? n : -ERANGE;
}

u64 xenbus_read_unsigned(const char *dir, const char *node, u64 default_val)
{
	struct store_value value;
	const char *text = value.text;
	unsigned long long result;
	unsigned int base;

	/* No sign and no spaces: the whole value is one number. */
	if (read_value(XBT_NIL, dir, node, &value) || text[0] < '0' || text[0] > '9')
		return default_val;
	base = text[0] == '0' && (text[1] | 0x20) == 'x' ? 16 : 10;
	return kstrtoull(text, base, &result) ? default_val : result;
}

int xenbus_exists(struct xenbus_transaction t, const char *dir, const char *node)
{
	struct store_value value;

	return !read_value(t, dir, node, &value);
}

/* One allocation: the pointers, a null one, the names. */
static char **list_children(struct xs_node *parent, unsigned int *num)
{
	size_t bytes = (parent->nr_children + 1) * sizeof(char *);
	struct xs_node *child;
	unsigned int n = 0;

	list_for_each_entry (child, &parent->children, sibling)
		bytes += strlen(child->name) + 1;
	auto **names = static_cast<char **>(kzalloc(bytes, GFP_KERNEL));
	if (!names)
		return ERR_PTR(-ENOMEM);
	char *text = reinterpret_cast<char *>(names + parent->nr_children + 1);

	list_for_each_entry (child, &parent->children, sibling) {
		names[n++] = text;
		strcpy(text, child->name);
		text += strlen(text) + 1;
	}
	*num = n;
	return names;
}

char **xenbus_directory(struct xenbus_transaction t, const char *dir, const char *node,
			unsigned int *num)
{
	struct hypervisor *xen = current_xen();
	struct store_path path;

	if (path_join(&path, dir, node))
		return ERR_PTR(-EINVAL);
	guard(mutex)(&xen->store_lock);
	struct xs_node *parent = store_find(xen, t, path.text);

	if (IS_ERR(parent))
		return ERR_CAST(parent);
	return list_children(parent, num);
}

int xenbus_transaction_start(struct xenbus_transaction *xbt)
{
	struct hypervisor *xen = current_xen();
	auto *t = static_cast<struct xs_transaction *>(
		kzalloc(sizeof(struct xs_transaction), GFP_KERNEL));
	struct xs_transaction *other;
	unsigned int n = 0;

	if (!t)
		return -ENOMEM;
	INIT_LIST_HEAD(&t->accessed);
	INIT_LIST_HEAD(&t->changes);
	guard(mutex)(&xen->store_lock);
	list_for_each_entry (other, &xen->transactions, node)
		n++;
	t->root = n < MAX_TRANSACTIONS ? xs_tree_copy(xen->store_root) : nullptr;
	if (!t->root) {
		transaction_free(t);
		return n < MAX_TRANSACTIONS ? -ENOMEM : -ENOSPC;
	}
	do {
		t->id = ++xen->next_transaction;
	} while (!t->id || transaction_find(xen, t->id));
	list_add_tail(&t->node, &xen->transactions);
	xbt->id = t->id;
	return 0;
}

/* Caller holds store_lock. */
static int transaction_commit(struct hypervisor *xen, struct xs_transaction *t)
{
	struct xs_accessed *a;
	struct xs_change *c;
	struct xs_node *root;
	int err = 0;

	list_for_each_entry (a, &t->accessed, node) {
		if (xs_tree_generation(xen->store_root, a->path) != a->generation)
			return -EAGAIN;
	}
	if (list_empty(&t->changes))
		return 0;
	root = xs_tree_copy(xen->store_root);
	if (!root)
		return -ENOMEM;
	list_for_each_entry (c, &t->changes, node) {
		u64 generation = ++xen->store_generation;

		if (c->remove)
			err = xs_tree_remove(root, c->path, generation);
		else
			err = xs_tree_write(root, c->path, c->value, generation);
		if (err)
			break;
	}
	if (err) {
		xs_tree_free(root);
		/* What it removed was removed with something above it, by another. */
		return err == -ENOENT ? -EAGAIN : err;
	}
	xs_tree_free(xen->store_root);
	xen->store_root = root;
	list_for_each_entry (c, &t->changes, node)
		xen_watches_path_changed(xen, c->path, c->remove);
	return 0;
}

int xenbus_transaction_end(struct xenbus_transaction xbt, bool abort)
{
	struct hypervisor *xen = current_xen();
	int err;

	guard(mutex)(&xen->store_lock);
	struct xs_transaction *t = transaction_find(xen, xbt.id);

	if (!t)
		return -EINVAL;
	list_del(&t->node);
	err = abort ? 0 : transaction_commit(xen, t);
	transaction_free(t);
	return err;
}

int xen_store_init(struct hypervisor *xen)
{
	INIT_LIST_HEAD(&xen->transactions);
	xen->store_root = xs_tree_alloc();
	return xen->store_root ? 0 : -ENOMEM;
}

void xen_store_exit(struct hypervisor *xen)
{
	struct xs_transaction *t, *next;
	unsigned int left = 0;

	list_for_each_entry_safe (t, next, &xen->transactions, node) {
		transaction_free(t);
		left++;
	}
	WARN(left, "xenstore: %u transactions were never ended\n", left);
	xs_tree_free(xen->store_root);
}
