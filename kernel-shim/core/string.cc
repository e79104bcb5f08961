// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Strings (<linux/string.h>) and bitmaps (<linux/bitmap.h>, <linux/bitops.h>): what is too long
 * for a header.
 */
#include <linux/bitmap.h>
#include <linux/kernel.h>
#include <linux/string.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

ssize_t strscpy(char *dst, const char *src, size_t size)
{
	size_t length;

	if (!size)
		return -E2BIG;
	length = strnlen(src, size);
	if (length == size) {
		memcpy(dst, src, size - 1);
		dst[size - 1] = '\0';
		return -E2BIG;
	}
	memcpy(dst, src, length + 1);
	return (ssize_t)length;
}

bool strstarts(const char *s, const char *prefix)
{
	return strncmp(s, prefix, strlen(prefix)) == 0;
}

int scnprintf(char *buf, size_t size, const char *fmt, ...)
{
	va_list args;
	int n;

	if (!size)
		return 0;
	va_start(args, fmt);
	n = vsnprintf(buf, size, fmt, args);
	va_end(args);
	return clamp(n, 0, (int)size - 1);
}

/* The library skips blanks and accepts any rest; the kernel does neither. */
static bool number_ends(const char *end)
{
	return *end == '\0' || (end[0] == '\n' && end[1] == '\0');
}

static bool number_begins(const char *s, bool negative_too)
{
	if (*s == '+' || (negative_too && *s == '-'))
		s++;
	return *s >= '0' && *s <= '9';
}

static bool hex_begins(const char *s)
{
	return (*s >= 'a' && *s <= 'f') || (*s >= 'A' && *s <= 'F');
}

int kstrtoull(const char *s, unsigned int base, unsigned long long *out)
{
	unsigned long long value;
	char *end;

	if (!number_begins(s, false) && !(base == 16 && hex_begins(s)))
		return -EINVAL;
	errno = 0;
	value = strtoull(s, &end, (int)base);
	if (end == s || !number_ends(end))
		return -EINVAL;
	if (errno)
		return -ERANGE;
	*out = value;
	return 0;
}

int kstrtoll(const char *s, unsigned int base, long long *out)
{
	long long value;
	char *end;

	if (!number_begins(s, true) && !(base == 16 && hex_begins(s)))
		return -EINVAL;
	errno = 0;
	value = strtoll(s, &end, (int)base);
	if (end == s || !number_ends(end))
		return -EINVAL;
	if (errno)
		return -ERANGE;
	*out = value;
	return 0;
}

int kstrtouint(const char *s, unsigned int base, unsigned int *out)
{
	unsigned long long value;
	int err = kstrtoull(s, base, &value);

	if (err)
		return err;
	if (value > UINT_MAX)
		return -ERANGE;
	*out = (unsigned int)value;
	return 0;
}

int kstrtoint(const char *s, unsigned int base, int *out)
{
	long long value;
	int err = kstrtoll(s, base, &value);

	if (err)
		return err;
	if (value > INT_MAX || value < INT_MIN)
		return -ERANGE;
	*out = (int)value;
	return 0;
}

/* @invert: what makes the bits that are looked for into ones. */
static unsigned long find_next(const unsigned long *addr, unsigned long size, unsigned long start,
			       unsigned long invert)
{
	unsigned long word, i;

	if (start >= size)
		return size;
	i = BIT_WORD(start);
	word = (READ_ONCE(addr[i]) ^ invert) & (~0UL << (start % BITS_PER_LONG));
	while (!word) {
		if (++i >= BITS_TO_LONGS(size))
			return size;
		word = READ_ONCE(addr[i]) ^ invert;
	}
	return min(i * BITS_PER_LONG + __ffs(word), size);
}

unsigned long find_next_bit(const unsigned long *addr, unsigned long size, unsigned long start)
{
	return find_next(addr, size, start, 0);
}

unsigned long find_next_zero_bit(const unsigned long *addr, unsigned long size, unsigned long start)
{
	return find_next(addr, size, start, ~0UL);
}

void bitmap_set(unsigned long *map, unsigned int start, unsigned int nbits)
{
	for (unsigned int i = start; i < start + nbits; i++)
		__set_bit(i, map);
}

void bitmap_clear(unsigned long *map, unsigned int start, unsigned int nbits)
{
	for (unsigned int i = start; i < start + nbits; i++)
		__clear_bit(i, map);
}

unsigned int bitmap_weight(const unsigned long *map, unsigned int nbits)
{
	unsigned int weight = 0, whole = nbits / BITS_PER_LONG;

	for (unsigned int i = 0; i < whole; i++)
		weight += hweight_long(map[i]);
	if (nbits % BITS_PER_LONG)
		weight += hweight_long(map[whole] & (BIT(nbits % BITS_PER_LONG) - 1));
	return weight;
}
