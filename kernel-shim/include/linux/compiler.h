/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the kernel asks of its compiler: hints, READ_ONCE and WRITE_ONCE.
 *
 * KSHIM: READ_ONCE and WRITE_ONCE are relaxed atomic accesses of any trivially copyable type up to
 * 8 bytes (Linux: volatile), so thread sanitizers understand them, and each is a schedule point
 * under the explorer. The words `noinline`, `fallthrough` and `__aligned` are not defined: they
 * would break [[fallthrough]] and other people's attributes. Use the C++ spellings.
 */
#ifndef KSHIM_LINUX_COMPILER_H
#define KSHIM_LINUX_COMPILER_H

#include <kshim/annotations.h>
#include <kshim/host.h>
#include <linux/types.h>

#define likely(x) __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)

#define __must_check [[nodiscard]]
#define __printf(a, b) __attribute__((format(printf, a, b)))

#define __kshim_paste2(a, b) a##b
#define __kshim_paste(a, b) __kshim_paste2(a, b)
#define __UNIQUE_ID(prefix) __kshim_paste(__kshim_##prefix##_, __COUNTER__)

/* Keeps the compiler, not the processor, from moving accesses across. */
static inline void barrier(void)
{
	__asm__ __volatile__("" : : : "memory");
}

template <typename T>
struct kshim_plain {
	typedef T type;
};
template <typename T>
struct kshim_plain<const T> {
	typedef T type;
};
template <typename T>
struct kshim_plain<volatile T> {
	typedef T type;
};
template <typename T>
struct kshim_plain<const volatile T> {
	typedef T type;
};

/* A type as a parameter must be that nothing is deduced from: kshim_same<T>::type. */
template <typename T>
struct kshim_same {
	typedef T type;
};

template <typename T>
static inline typename kshim_plain<T>::type kshim_load(T *p, int order = __ATOMIC_RELAXED)
{
	typename kshim_plain<T>::type value;

	static_assert(sizeof(T) <= 8, "READ_ONCE of something no processor reads at once");
	kshim_point(KSHIM_LOAD, (const void *)p, sizeof(T), order);
	__atomic_load(const_cast<typename kshim_plain<T>::type *>(p), &value, order);
	return value;
}

template <typename T>
static inline void kshim_store(T *p, typename kshim_same<typename kshim_plain<T>::type>::type value,
			       int order = __ATOMIC_RELAXED)
{
	static_assert(sizeof(T) <= 8, "WRITE_ONCE of something no processor writes at once");
	kshim_point(KSHIM_STORE, (const void *)p, sizeof(T), order);
	__atomic_store(p, &value, order);
}

#define READ_ONCE(x) kshim_load(&(x))
#define WRITE_ONCE(x, value) kshim_store(&(x), (value))

#endif
