/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Lists that readers walk under rcu_read_lock() while one writer (under its lock) changes them.
 * A removed entry keeps its next pointer for the readers that stand on it; free it after a grace
 * period.
 */
#ifndef KSHIM_LINUX_RCULIST_H
#define KSHIM_LINUX_RCULIST_H

#include <linux/list.h>
#include <linux/rcupdate.h>

static inline void __list_add_rcu(struct list_head *entry, struct list_head *prev,
				  struct list_head *next)
{
	entry->next = next;
	entry->prev = prev;
	/* Publishes the entry: pairs with list_for_each_entry_rcu. */
	rcu_assign_pointer(prev->next, entry);
	next->prev = entry;
}

static inline void list_add_rcu(struct list_head *entry, struct list_head *head)
{
	__list_add_rcu(entry, head, head->next);
}

static inline void list_add_tail_rcu(struct list_head *entry, struct list_head *head)
{
	__list_add_rcu(entry, head->prev, head);
}

static inline void list_del_rcu(struct list_head *entry)
{
	__list_del_entry(entry);
	entry->prev = LIST_POISON2;
}

#define list_entry_rcu(ptr, type, member) container_of(rcu_dereference(ptr), type, member)
#define list_for_each_entry_rcu(pos, head, member)                                                 \
	for (pos = list_entry_rcu((head)->next, __typeof__(*(pos)), member);                       \
	     !list_entry_is_head(pos, head, member);                                               \
	     pos = list_entry_rcu((pos)->member.next, __typeof__(*(pos)), member))

#define hlist_add_head_rcu(node, head) hlist_add_head(node, head)
#define hlist_del_rcu(node) hlist_del(node)
#define hlist_for_each_entry_rcu(pos, head, member)                                                \
	for (pos = hlist_entry_safe(rcu_dereference((head)->first), __typeof__(*(pos)), member);   \
	     pos; pos = hlist_entry_safe(rcu_dereference((pos)->member.next), __typeof__(*(pos)),  \
					 member))

#endif
