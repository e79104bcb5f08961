// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Sorting lists (<linux/list_sort.h>): a merge sort from the bottom up.
 *
 *	pending[k]: a sorted chain of 2^k entries, or none; a new entry is carried as in counting
 *
 * Chains are singly linked and end with null; the back links are made at the end.
 */
#include <linux/kernel.h>
#include <linux/list_sort.h>

/* @a's entries stood before @b's. */
static struct list_head *merge(void *priv, list_cmp_func_t cmp, struct list_head *a,
			       struct list_head *b)
{
	struct list_head *first, **tail = &first;

	while (a && b) {
		struct list_head **least = cmp(priv, a, b) > 0 ? &b : &a;

		*tail = *least;
		tail = &(*least)->next;
		*least = *tail;
	}
	*tail = a ? a : b;
	return first;
}

void list_sort(void *priv, struct list_head *head, list_cmp_func_t cmp)
{
	struct list_head *pending[64] = {};
	struct list_head *entry = head->next, *sorted = nullptr, *last = head;

	while (entry != head) {
		struct list_head *chain = entry;
		size_t k = 0;

		entry = entry->next;
		chain->next = nullptr;
		for (; pending[k]; k++) {
			chain = merge(priv, cmp, pending[k], chain);
			pending[k] = nullptr;
		}
		pending[k] = chain;
	}
	for (struct list_head *chain : pending)
		sorted = chain ? merge(priv, cmp, chain, sorted) : sorted;
	for (; sorted; sorted = sorted->next) {
		last->next = sorted;
		sorted->prev = last;
		last = sorted;
	}
	last->next = head;
	head->prev = last;
}
