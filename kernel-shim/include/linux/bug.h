/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * BUG_ON: memory is already corrupt, stop. WARN_ON: wrong but contained; logged with its place and
 * counted in the machine (pv_machine_warnings()), which tests require to stay 0.
 *
 * KSHIM: WARN_ON_ONCE is once per machine, not once per program: a fresh machine is a fresh world.
 */
#ifndef KSHIM_LINUX_BUG_H
#define KSHIM_LINUX_BUG_H

#include <linux/compiler.h>

#define BUG() kshim_violation("BUG at %s:%d", __FILE__, __LINE__)

#define BUG_ON(condition)                                                                          \
	do {                                                                                       \
		if (unlikely(condition))                                                           \
			kshim_violation("BUG_ON(%s) at %s:%d", #condition, __FILE__, __LINE__);    \
	} while (0)

#define BUILD_BUG_ON(condition) static_assert(!(condition), "BUILD_BUG_ON: " #condition)

/* Logs and counts. @once: nothing when this place has warned in this machine before. */
void kshim_warn(const char *file, int line, bool once, const char *fmt, ...) __printf(4, 5);

#define __WARN_IF(condition, once, ...)                                                            \
	({                                                                                         \
		bool __warn_on = !!(condition);                                                    \
		if (unlikely(__warn_on))                                                           \
			kshim_warn(__FILE__, __LINE__, once, __VA_ARGS__);                         \
		unlikely(__warn_on);                                                               \
	})

#define WARN(condition, ...) __WARN_IF(condition, false, __VA_ARGS__)
#define WARN_ONCE(condition, ...) __WARN_IF(condition, true, __VA_ARGS__)
#define WARN_ON(condition) __WARN_IF(condition, false, "%s", #condition)
#define WARN_ON_ONCE(condition) __WARN_IF(condition, true, "%s", #condition)

#endif
