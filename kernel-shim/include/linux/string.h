/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The C library's string functions, and the kernel's that it lacks. */
#ifndef KSHIM_LINUX_STRING_H
#define KSHIM_LINUX_STRING_H

#include <linux/types.h>
#include <string.h>

/* Copies at most @size - 1 bytes and terminates. Return: the length, -E2BIG when cut. */
ssize_t strscpy(char *dst, const char *src, size_t size);
bool strstarts(const char *s, const char *prefix);
/* Like snprintf, but returns what was written, without the terminator. */
int scnprintf(char *buf, size_t size, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/*
 * The whole string must be a number (one line feed at the end is allowed); base 0 knows 0x and 0.
 * 0, -EINVAL, or -ERANGE when it does not fit.
 */
[[nodiscard]] int kstrtoull(const char *s, unsigned int base, unsigned long long *out);
[[nodiscard]] int kstrtoll(const char *s, unsigned int base, long long *out);
[[nodiscard]] int kstrtouint(const char *s, unsigned int base, unsigned int *out);
[[nodiscard]] int kstrtoint(const char *s, unsigned int base, int *out);

#endif
