/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * xs_tree.cc - the store's tree (xs_tree.h has the picture)
 *
 * Nodes are few (tens per device) and children are looked up by walking their list.
 */
#include <string.h>

#include <linux/errno.h>
#include <linux/slab.h>

#include "xs_tree.h"

static struct xs_node *node_alloc(const char *name, size_t length, const char *value)
{
	auto *node = static_cast<struct xs_node *>(
		kzalloc(sizeof(struct xs_node) + length + 1, GFP_KERNEL));

	if (!node)
		return nullptr;
	node->value = kstrdup(value, GFP_KERNEL);
	if (!node->value) {
		kfree(node);
		return nullptr;
	}
	INIT_LIST_HEAD(&node->sibling);
	INIT_LIST_HEAD(&node->children);
	memcpy(node->name, name, length);
	return node;
}

static void node_attach(struct xs_node *parent, struct xs_node *node)
{
	node->parent = parent;
	list_add_tail(&node->sibling, &parent->children);
	parent->nr_children++;
}

struct xs_node *xs_tree_alloc(void)
{
	return node_alloc("", 0, "");
}

/* Without recursion: a path, and so the depth, is the writer's choice. */
void xs_tree_free(struct xs_node *node)
{
	struct xs_node *const top = node;

	while (node) {
		if (!list_empty(&node->children)) {
			node = list_first_entry(&node->children, struct xs_node, sibling);
			continue;
		}
		struct xs_node *up = node == top ? nullptr : node->parent;

		list_del_init(&node->sibling);
		kfree(node->value);
		kfree(node);
		node = up;
	}
}

static struct xs_node *node_copy(const struct xs_node *node)
{
	struct xs_node *copy = node_alloc(node->name, strlen(node->name), node->value);

	if (copy)
		copy->generation = node->generation;
	return copy;
}

struct xs_node *xs_tree_copy(const struct xs_node *node)
{
	const struct xs_node *const top = node;
	struct xs_node *const root = node_copy(top);
	struct xs_node *to = root;

	/* Depth first, `to` is the copy of `node`. */
	while (to) {
		const struct list_head *next = node->children.next;

		while (next == &node->children) {
			if (node == top)
				return root;
			next = node->sibling.next;
			node = node->parent;
			to = to->parent;
		}
		node = list_entry(next, struct xs_node, sibling);
		struct xs_node *child = node_copy(node);

		if (!child)
			break;
		node_attach(to, child);
		to = child;
	}
	xs_tree_free(root);
	return nullptr;
}

/*
 * The part of a path up to the next slash. @path stands behind a slash; moves on behind the part.
 */
static size_t path_part(const char **path, const char **part)
{
	size_t length = strcspn(*path, "/");

	*part = *path;
	*path += length;
	if (**path == '/')
		(*path)++;
	return length;
}

static struct xs_node *child_find(struct xs_node *node, const char *name, size_t length)
{
	struct xs_node *child;

	list_for_each_entry (child, &node->children, sibling) {
		if (!strncmp(child->name, name, length) && !child->name[length])
			return child;
	}
	return nullptr;
}

struct xs_node *xs_tree_find(struct xs_node *root, const char *path)
{
	struct xs_node *node = root;

	path++;
	while (node && *path) {
		const char *part;
		size_t length = path_part(&path, &part);

		node = child_find(node, part, length);
	}
	return node;
}

u64 xs_tree_generation(struct xs_node *root, const char *path)
{
	struct xs_node *node = xs_tree_find(root, path);

	return node ? node->generation : 0;
}

int xs_tree_write(struct xs_node *root, const char *path, const char *value, u64 generation)
{
	struct xs_node *node = root;

	path++;
	while (*path) {
		const char *part;
		size_t length = path_part(&path, &part);
		struct xs_node *child = child_find(node, part, length);

		if (!child) {
			child = node_alloc(part, length, "");
			if (!child)
				return -ENOMEM;
			child->generation = generation;
			node_attach(node, child);
			node->generation = generation;
		}
		node = child;
	}
	if (value) {
		char *copy = kstrdup(value, GFP_KERNEL);

		if (!copy)
			return -ENOMEM;
		kfree(node->value);
		node->value = copy;
	}
	node->generation = generation;
	return 0;
}

int xs_tree_remove(struct xs_node *root, const char *path, u64 generation)
{
	struct xs_node *node = xs_tree_find(root, path);

	if (!node)
		return -ENOENT;
	if (node == root)
		return -EINVAL;
	node->parent->generation = generation;
	node->parent->nr_children--;
	list_del_init(&node->sibling);
	xs_tree_free(node);
	return 0;
}
