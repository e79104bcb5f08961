/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Rings of entries that live in their objects, and the lists with a one-word head.
 *
 *	     +-> head <-> a <-> b <-> c <-+
 *	     +----------------------------+
 *
 * I1. An entry is on one list at most. After list_del() it is poisoned: a second list_del() or a
 *     list_add() next to it is a violation. After list_del_init() it is an empty ring.
 * The caller excludes others, except where a name says _rcu or _careful; where that was forgotten,
 * the explorer's race check tells.
 */
#ifndef KSHIM_LINUX_LIST_H
#define KSHIM_LINUX_LIST_H

#include <asm/barrier.h>
#include <linux/bug.h>
#include <linux/container_of.h>
#include <linux/kcsan-checks.h>
#include <linux/types.h>

#define LIST_POISON1 ((struct list_head *)0x100)
#define LIST_POISON2 ((struct list_head *)0x122)

#define LIST_HEAD_INIT(name)                                                                       \
	{                                                                                          \
		&(name), &(name)                                                                   \
	}
#define LIST_HEAD(name) struct list_head name = LIST_HEAD_INIT(name)

/* Entries' links, read and written by whoever excludes others. */
static inline struct list_head *list_next(const struct list_head *entry)
{
	kcsan_check_read(&entry->next, sizeof(entry->next));
	return entry->next;
}

static inline struct list_head *list_prev(const struct list_head *entry)
{
	kcsan_check_read(&entry->prev, sizeof(entry->prev));
	return entry->prev;
}

/* @prev and @next are about to be linked to each other, or to what comes between them. */
static inline void list_check_links(const struct list_head *prev, const struct list_head *next)
{
	kcsan_check_write(&prev->next, sizeof(prev->next));
	kcsan_check_write(&next->prev, sizeof(next->prev));
}

static inline void INIT_LIST_HEAD(struct list_head *list)
{
	list->next = list;
	list->prev = list;
}

static inline void __list_add(struct list_head *entry, struct list_head *prev,
			      struct list_head *next)
{
	if (unlikely(next->prev != prev || prev->next != next))
		kshim_violation("list_add: the list at %p is corrupt: next->prev is %p, not %p",
				(void *)prev, (void *)next->prev, (void *)prev);
	list_check_links(prev, next);
	kcsan_check_write(entry, sizeof(*entry));
	next->prev = entry;
	entry->next = next;
	entry->prev = prev;
	WRITE_ONCE(prev->next, entry);
}

static inline void list_add(struct list_head *entry, struct list_head *head)
{
	__list_add(entry, head, head->next);
}

static inline void list_add_tail(struct list_head *entry, struct list_head *head)
{
	__list_add(entry, head->prev, head);
}

static inline void __list_del_entry(struct list_head *entry)
{
	struct list_head *prev = entry->prev, *next = entry->next;

	if (unlikely(next == LIST_POISON1 || prev == LIST_POISON2))
		kshim_violation("list_del: the entry at %p is not on a list", (void *)entry);
	if (unlikely(prev->next != entry || next->prev != entry))
		kshim_violation("list_del: the neighbours of %p do not know it", (void *)entry);
	list_check_links(prev, next);
	kcsan_check_write(entry, sizeof(*entry));
	next->prev = prev;
	WRITE_ONCE(prev->next, next);
}

static inline void list_del(struct list_head *entry)
{
	__list_del_entry(entry);
	entry->next = LIST_POISON1;
	entry->prev = LIST_POISON2;
}

static inline void list_del_init(struct list_head *entry)
{
	__list_del_entry(entry);
	INIT_LIST_HEAD(entry);
}

static inline void list_move(struct list_head *entry, struct list_head *head)
{
	__list_del_entry(entry);
	list_add(entry, head);
}

static inline void list_move_tail(struct list_head *entry, struct list_head *head)
{
	__list_del_entry(entry);
	list_add_tail(entry, head);
}

static inline bool list_empty(const struct list_head *head)
{
	return READ_ONCE(head->next) == head;
}

static inline bool list_is_singular(const struct list_head *head)
{
	return !list_empty(head) && head->next == head->prev;
}

static inline bool list_is_last(const struct list_head *entry, const struct list_head *head)
{
	return entry->next == head;
}

static inline void __list_splice(struct list_head *list, struct list_head *prev,
				 struct list_head *next)
{
	struct list_head *first = list_next(list), *last = list_prev(list);

	list_check_links(prev, next);
	first->prev = prev;
	prev->next = first;
	last->next = next;
	next->prev = last;
}

/* Moves the entries of @list to the front (or the back) of @head and empties @list. */
static inline void list_splice_init(struct list_head *list, struct list_head *head)
{
	if (list_empty(list))
		return;
	__list_splice(list, head, head->next);
	INIT_LIST_HEAD(list);
}

static inline void list_splice_tail_init(struct list_head *list, struct list_head *head)
{
	if (list_empty(list))
		return;
	__list_splice(list, head->prev, head);
	INIT_LIST_HEAD(list);
}

#define list_entry(ptr, type, member) container_of(ptr, type, member)
#define list_first_entry(head, type, member) list_entry(list_next(head), type, member)
#define list_last_entry(head, type, member) list_entry(list_prev(head), type, member)
#define list_first_entry_or_null(head, type, member)                                               \
	(list_empty(head) ? nullptr : list_first_entry(head, type, member))
#define list_next_entry(pos, member)                                                               \
	list_entry(list_next(&(pos)->member), __typeof__(*(pos)), member)
#define list_prev_entry(pos, member)                                                               \
	list_entry(list_prev(&(pos)->member), __typeof__(*(pos)), member)
#define list_entry_is_head(pos, head, member) (&(pos)->member == (head))

#define list_for_each(pos, head) for (pos = list_next(head); pos != (head); pos = list_next(pos))

#define list_for_each_entry(pos, head, member)                                                     \
	for (pos = list_first_entry(head, __typeof__(*(pos)), member);                             \
	     !list_entry_is_head(pos, head, member); pos = list_next_entry(pos, member))

#define list_for_each_entry_reverse(pos, head, member)                                             \
	for (pos = list_last_entry(head, __typeof__(*(pos)), member);                              \
	     !list_entry_is_head(pos, head, member); pos = list_prev_entry(pos, member))

/* @n: a second cursor; the body may remove @pos. */
#define list_for_each_entry_safe(pos, n, head, member)                                             \
	for (pos = list_first_entry(head, __typeof__(*(pos)), member),                             \
	    n = list_next_entry(pos, member);                                                      \
	     !list_entry_is_head(pos, head, member); pos = n, n = list_next_entry(n, member))

/* One-word heads, for hash tables. */
#define HLIST_HEAD_INIT                                                                            \
	{                                                                                          \
		nullptr                                                                            \
	}
#define INIT_HLIST_HEAD(head) ((head)->first = nullptr)
#define HLIST_POISON ((struct hlist_node **)0x122)

static inline void INIT_HLIST_NODE(struct hlist_node *node)
{
	node->next = nullptr;
	node->pprev = nullptr;
}

static inline bool hlist_unhashed(const struct hlist_node *node)
{
	return !node->pprev;
}

static inline bool hlist_empty(const struct hlist_head *head)
{
	return !READ_ONCE(head->first);
}

static inline void hlist_add_head(struct hlist_node *node, struct hlist_head *head)
{
	struct hlist_node *first = head->first;

	node->next = first;
	if (first)
		first->pprev = &node->next;
	node->pprev = &head->first;
	/* Publishes the node: pairs with the reader's rcu_dereference of head->first. */
	smp_store_release(&head->first, node);
}

static inline void __hlist_del(struct hlist_node *node)
{
	if (unlikely(node->pprev == HLIST_POISON))
		kshim_violation("hlist_del: the node at %p is not on a list", (void *)node);
	WRITE_ONCE(*node->pprev, node->next);
	if (node->next)
		node->next->pprev = node->pprev;
}

/* node->next stays, for readers under RCU that stand on it. */
static inline void hlist_del(struct hlist_node *node)
{
	__hlist_del(node);
	node->pprev = HLIST_POISON;
}

static inline void hlist_del_init(struct hlist_node *node)
{
	if (hlist_unhashed(node))
		return;
	__hlist_del(node);
	INIT_HLIST_NODE(node);
}

#define hlist_entry(ptr, type, member) container_of(ptr, type, member)
#define hlist_entry_safe(ptr, type, member)                                                        \
	({                                                                                         \
		struct hlist_node *__ptr = (ptr);                                                  \
		__ptr ? hlist_entry(__ptr, type, member) : nullptr;                                \
	})
#define hlist_for_each_entry(pos, head, member)                                                    \
	for (pos = hlist_entry_safe((head)->first, __typeof__(*(pos)), member); pos;               \
	     pos = hlist_entry_safe((pos)->member.next, __typeof__(*(pos)), member))
#define hlist_for_each_entry_safe(pos, n, head, member)                                            \
	for (pos = hlist_entry_safe((head)->first, __typeof__(*(pos)), member);                    \
	     pos && ({                                                                             \
		     n = (pos)->member.next;                                                       \
		     true;                                                                         \
	     });                                                                                   \
	     pos = hlist_entry_safe(n, __typeof__(*(pos)), member))

#endif
