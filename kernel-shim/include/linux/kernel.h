/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What everybody uses: container_of, rounding, ARRAY_SIZE, and the headers that go with them. */
#include_next <linux/kernel.h>

#ifndef KSHIM_LINUX_KERNEL_H
#define KSHIM_LINUX_KERNEL_H

#include <limits.h>
#include <linux/bits.h>
#include <linux/bug.h>
#include <linux/compiler.h>
#include <linux/container_of.h>
#include <linux/err.h>
#include <linux/minmax.h>
#include <linux/printk.h>
#include <linux/types.h>

template <typename T, size_t N>
constexpr size_t kshim_array_size(const T (&)[N])
{
	return N;
}

#define ARRAY_SIZE(array) kshim_array_size(array)

/* @to must be a power of two for round_up, round_down and ALIGN; any number for roundup. */
#define round_up(x, to) ((((x)-1) | ((__typeof__(x))((to)-1))) + 1)
#define round_down(x, to) ((x) & ~((__typeof__(x))((to)-1)))
#define ALIGN(x, to) round_up(x, to)
#define IS_ALIGNED(x, to) (((x) & ((__typeof__(x))(to)-1)) == 0)
#define DIV_ROUND_UP(n, d) (((n) + (d)-1) / (d))
#define DIV_ROUND_CLOSEST(n, d) (((n) + (d) / 2) / (d))
#define roundup(x, to) (DIV_ROUND_UP(x, to) * (to))

#define upper_32_bits(n) ((u32)((u64)(n) >> 32))
#define lower_32_bits(n) ((u32)(n))

#endif
