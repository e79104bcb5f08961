/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KSHIM_LINUX_LIST_SORT_H
#define KSHIM_LINUX_LIST_SORT_H

#include <linux/list.h>

/* Above 0: @a comes behind @b. */
typedef int (*list_cmp_func_t)(void *priv, const struct list_head *a, const struct list_head *b);

/* Sorts @head, stable, in n log n comparisons and without memory. */
void list_sort(void *priv, struct list_head *head, list_cmp_func_t cmp);

#endif
