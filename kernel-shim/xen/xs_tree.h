/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * xs_tree.h - the store's tree of names and values
 *
 *      root "" --- "local" --- "domain" --+-- "0" --- ...
 *                                         \-- "1" --- "device" --- ...
 *
 * A plain data structure without locks: the store has one tree, guarded by its lock, and every
 * transaction its own copy. A node's generation is the store's counter at its last change:
 * creation, value, or a child coming or going. Numbers are not used twice, so "same generation" is
 * "same node, unchanged".
 */
#ifndef KSHIM_XEN_XS_TREE_H
#define KSHIM_XEN_XS_TREE_H

#include <linux/list.h>
#include <linux/types.h>

struct xs_node {
	struct list_head sibling;
	struct list_head children;
	struct xs_node *parent;
	u64 generation;
	char *value; /* null-terminated, never null */
	unsigned int nr_children;
	char name[]; /* null-terminated */
};

/* A root, or null. */
struct xs_node *xs_tree_alloc(void);
void xs_tree_free(struct xs_node *node);
/* A deep copy with the same generations, or null. */
struct xs_node *xs_tree_copy(const struct xs_node *node);

/* Paths are valid ones (xs_path_valid). Null when there is no such node. */
struct xs_node *xs_tree_find(struct xs_node *root, const char *path);
/* 0 when there is no such node. */
u64 xs_tree_generation(struct xs_node *root, const char *path);

/*
 * Sets the value; creates the node and those above it. Null @value: keeps it, "" if new. -ENOMEM.
 */
[[nodiscard]] int xs_tree_write(struct xs_node *root, const char *path, const char *value,
				u64 generation);
/* Takes the node and all below it away. -ENOENT; -EINVAL for the root. */
[[nodiscard]] int xs_tree_remove(struct xs_node *root, const char *path, u64 generation);

#endif
