/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * min, max, clamp of two values of one type.
 *
 * KSHIM: functions, not macros, so that std::min and std::numeric_limits<>::max() still compile.
 * Mixing types does not compile, as in Linux; min_t() names the type.
 */
#ifndef KSHIM_LINUX_MINMAX_H
#define KSHIM_LINUX_MINMAX_H

template <typename T>
constexpr T min(T a, T b)
{
	return b < a ? b : a;
}

template <typename T>
constexpr T max(T a, T b)
{
	return a < b ? b : a;
}

template <typename T>
constexpr T min3(T a, T b, T c)
{
	return min(min(a, b), c);
}

template <typename T>
constexpr T max3(T a, T b, T c)
{
	return max(max(a, b), c);
}

template <typename T>
constexpr T clamp(T value, T low, T high)
{
	return min(max(value, low), high);
}

#define min_t(type, a, b) min<type>((type)(a), (type)(b))
#define max_t(type, a, b) max<type>((type)(a), (type)(b))
#define clamp_t(type, value, low, high) clamp<type>((type)(value), (type)(low), (type)(high))

#endif
