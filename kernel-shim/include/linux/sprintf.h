/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * linux/sprintf.h - formatting into memory and out of it, without the rest of <stdio.h>
 *
 * KSHIM: the C library's functions. Not for a file that includes <stdio.h> as well: that has them.
 */
#ifndef KSHIM_LINUX_SPRINTF_H
#define KSHIM_LINUX_SPRINTF_H

#include <stdarg.h>

#include <linux/compiler.h>
#include <linux/types.h>

extern "C" {
__printf(3, 4) int snprintf(char *buf, size_t size, const char *fmt, ...) noexcept;
__printf(3, 0) int vsnprintf(char *buf, size_t size, const char *fmt, va_list args) noexcept;
__attribute__((format(scanf, 2, 0))) int vsscanf(const char *buf, const char *fmt,
						 va_list args) noexcept;
}

#endif
