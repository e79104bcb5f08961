// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * stack_trace.cc - <linux/stacktrace.h> by the C library's backtrace(3)
 */
#include <linux/minmax.h>
#include <linux/stacktrace.h>

#include <dlfcn.h>
#include <execinfo.h>
#include <stdio.h>
#include <string.h>

#define DEPTH_MAX 64

unsigned int stack_trace_save(unsigned long *entries, unsigned int size, unsigned int skip)
{
	void *stack[DEPTH_MAX];
	int depth = backtrace(stack, DEPTH_MAX);
	unsigned int n = 0;

	/* The first is this function. */
	for (int i = 1 + (int)skip; i < depth && n < size; i++)
		entries[n++] = (unsigned long)stack[i];
	return n;
}

static const char *file_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

int stack_trace_snprint(char *buf, size_t size, const unsigned long *entries,
			unsigned int nr_entries, int spaces)
{
	size_t at = 0;

	if (size)
		buf[0] = '\0';
	for (unsigned int i = 0; i < nr_entries && at + 1 < size; i++) {
		Dl_info info = {};
		bool known = dladdr((void *)entries[i], &info) && info.dli_fname;
		const char *name = !known           ? "?"
				   : info.dli_sname ? info.dli_sname
						    : file_name(info.dli_fname);
		const void *base = info.dli_sname ? info.dli_saddr : info.dli_fbase;
		int n = snprintf(buf + at, size - at, "%*s%s+%#lx", i ? 1 : spaces, "", name,
				 entries[i] - (unsigned long)base);

		at += min((size_t)n, size - at - 1);
	}
	return (int)at;
}
