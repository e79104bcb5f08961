/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Where a thread is, for messages about what went wrong.
 *
 * KSHIM: explored worlds save nothing: their traces show every thread's functions anyway.
 */
#ifndef KSHIM_LINUX_STACKTRACE_H
#define KSHIM_LINUX_STACKTRACE_H

#include <linux/types.h>

/* The callers of this, without the first @skip; any context. Return: how many. */
unsigned int stack_trace_save(unsigned long *entries, unsigned int size, unsigned int skip);

/* One line: "f+0x12 g+0x40", or the file where there is no name. Return: its length. */
int stack_trace_snprint(char *buf, size_t size, const unsigned long *entries,
			unsigned int nr_entries, int spaces);

#endif
