/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Atomic integers and the generic read-modify-write operations.
 *
 * Ordering is Linux's: an operation that returns a value is fully ordered, one that returns
 * nothing (atomic_inc, atomic_set) is relaxed, _acquire and _release mean what they say.
 * cmpxchg that fails orders nothing.
 *
 * Every operation announces itself to the explorer and is one step there.
 */
#ifndef KSHIM_LINUX_ATOMIC_H
#define KSHIM_LINUX_ATOMIC_H

#include <asm/barrier.h>
#include <linux/compiler.h>

#define ATOMIC_INIT(value)                                                                         \
	{                                                                                          \
		(value)                                                                            \
	}
#define ATOMIC64_INIT(value) ATOMIC_INIT(value)
#define ATOMIC_LONG_INIT(value) ATOMIC_INIT(value)

/* Any word: pointers, integers, bools. */
template <typename T>
static inline T kshim_xchg(T *p, typename kshim_same<T>::type value, int order)
{
	T old;

	kshim_point(KSHIM_RMW, p, sizeof(T), order);
	__atomic_exchange(p, &value, &old, order);
	return old;
}

template <typename T>
static inline bool kshim_cas(T *p, T *expected, typename kshim_same<T>::type value, int order)
{
	kshim_point(KSHIM_CAS, p, sizeof(T));
	if (!__atomic_compare_exchange(p, expected, &value, false, order, __ATOMIC_RELAXED))
		return false;
	kshim_cas_changed(order);
	return true;
}

template <typename T>
static inline T kshim_cmpxchg(T *p, typename kshim_same<T>::type expected,
			      typename kshim_same<T>::type value, int order)
{
	kshim_cas(p, &expected, value, order);
	return expected;
}

#define xchg(p, value) kshim_xchg((p), (value), __ATOMIC_SEQ_CST)
#define xchg_acquire(p, value) kshim_xchg((p), (value), __ATOMIC_ACQUIRE)
#define xchg_release(p, value) kshim_xchg((p), (value), __ATOMIC_RELEASE)
#define cmpxchg(p, old_value, value) kshim_cmpxchg((p), (old_value), (value), __ATOMIC_SEQ_CST)
/* True on success; on failure *@old_value becomes what was found. */
#define try_cmpxchg(p, old_value, value) kshim_cas((p), (old_value), (value), __ATOMIC_SEQ_CST)
#define try_cmpxchg_acquire(p, old_value, value)                                                   \
	kshim_cas((p), (old_value), (value), __ATOMIC_ACQUIRE)
#define try_cmpxchg_release(p, old_value, value)                                                   \
	kshim_cas((p), (old_value), (value), __ATOMIC_RELEASE)

/*
 * atomic_t and atomic64_t have the same operations; one macro writes both families.
 * inc_not_zero and add_unless return whether they added.
 */
#define __KSHIM_ATOMIC(prefix, atomic, type)                                                       \
	static inline type prefix##_read(const atomic *v)                                          \
	{                                                                                          \
		return kshim_load(&v->counter);                                                    \
	}                                                                                          \
	static inline type prefix##_read_acquire(const atomic *v)                                  \
	{                                                                                          \
		return kshim_load(&v->counter, __ATOMIC_ACQUIRE);                                  \
	}                                                                                          \
	static inline void prefix##_set(atomic *v, type i)                                         \
	{                                                                                          \
		kshim_store(&v->counter, i);                                                       \
	}                                                                                          \
	static inline void prefix##_set_release(atomic *v, type i)                                 \
	{                                                                                          \
		kshim_store(&v->counter, i, __ATOMIC_RELEASE);                                     \
	}                                                                                          \
	static inline type prefix##_fetch_add_order(type i, atomic *v, int order)                  \
	{                                                                                          \
		kshim_point(KSHIM_RMW, v, sizeof(*v), order);                                      \
		return __atomic_fetch_add(&v->counter, i, order);                                  \
	}                                                                                          \
	static inline type prefix##_fetch_add(type i, atomic *v)                                   \
	{                                                                                          \
		return prefix##_fetch_add_order(i, v, __ATOMIC_SEQ_CST);                           \
	}                                                                                          \
	static inline type prefix##_fetch_sub(type i, atomic *v)                                   \
	{                                                                                          \
		return prefix##_fetch_add_order(-i, v, __ATOMIC_SEQ_CST);                          \
	}                                                                                          \
	static inline type prefix##_fetch_or(type i, atomic *v)                                    \
	{                                                                                          \
		kshim_point(KSHIM_RMW, v, sizeof(*v), __ATOMIC_SEQ_CST);                           \
		return __atomic_fetch_or(&v->counter, i, __ATOMIC_SEQ_CST);                        \
	}                                                                                          \
	static inline type prefix##_fetch_and(type i, atomic *v)                                   \
	{                                                                                          \
		kshim_point(KSHIM_RMW, v, sizeof(*v), __ATOMIC_SEQ_CST);                           \
		return __atomic_fetch_and(&v->counter, i, __ATOMIC_SEQ_CST);                       \
	}                                                                                          \
	static inline void prefix##_add(type i, atomic *v)                                         \
	{                                                                                          \
		prefix##_fetch_add_order(i, v, __ATOMIC_RELAXED);                                  \
	}                                                                                          \
	static inline void prefix##_sub(type i, atomic *v)                                         \
	{                                                                                          \
		prefix##_fetch_add_order(-i, v, __ATOMIC_RELAXED);                                 \
	}                                                                                          \
	static inline void prefix##_inc(atomic *v)                                                 \
	{                                                                                          \
		prefix##_add(1, v);                                                                \
	}                                                                                          \
	static inline void prefix##_dec(atomic *v)                                                 \
	{                                                                                          \
		prefix##_sub(1, v);                                                                \
	}                                                                                          \
	static inline type prefix##_add_return(type i, atomic *v)                                  \
	{                                                                                          \
		return prefix##_fetch_add(i, v) + i;                                               \
	}                                                                                          \
	static inline type prefix##_sub_return(type i, atomic *v)                                  \
	{                                                                                          \
		return prefix##_fetch_sub(i, v) - i;                                               \
	}                                                                                          \
	static inline type prefix##_inc_return(atomic *v)                                          \
	{                                                                                          \
		return prefix##_add_return(1, v);                                                  \
	}                                                                                          \
	static inline type prefix##_dec_return(atomic *v)                                          \
	{                                                                                          \
		return prefix##_sub_return(1, v);                                                  \
	}                                                                                          \
	static inline bool prefix##_dec_and_test(atomic *v)                                        \
	{                                                                                          \
		return prefix##_sub_return(1, v) == 0;                                             \
	}                                                                                          \
	static inline bool prefix##_inc_and_test(atomic *v)                                        \
	{                                                                                          \
		return prefix##_add_return(1, v) == 0;                                             \
	}                                                                                          \
	static inline bool prefix##_sub_and_test(type i, atomic *v)                                \
	{                                                                                          \
		return prefix##_sub_return(i, v) == 0;                                             \
	}                                                                                          \
	static inline type prefix##_xchg(atomic *v, type i)                                        \
	{                                                                                          \
		return xchg(&v->counter, i);                                                       \
	}                                                                                          \
	static inline type prefix##_cmpxchg(atomic *v, type old_value, type i)                     \
	{                                                                                          \
		return cmpxchg(&v->counter, old_value, i);                                         \
	}                                                                                          \
	static inline bool prefix##_try_cmpxchg(atomic *v, type *old_value, type i)                \
	{                                                                                          \
		return try_cmpxchg(&v->counter, old_value, i);                                     \
	}                                                                                          \
	static inline bool prefix##_add_unless(atomic *v, type i, type unless)                     \
	{                                                                                          \
		type c = prefix##_read(v);                                                         \
		do {                                                                               \
			if (c == unless)                                                           \
				return false;                                                      \
		} while (!prefix##_try_cmpxchg(v, &c, c + i));                                     \
		return true;                                                                       \
	}                                                                                          \
	static inline bool prefix##_inc_not_zero(atomic *v)                                        \
	{                                                                                          \
		return prefix##_add_unless(v, 1, 0);                                               \
	}

__KSHIM_ATOMIC(atomic, atomic_t, int)
__KSHIM_ATOMIC(atomic64, atomic64_t, s64)
__KSHIM_ATOMIC(atomic_long, atomic_long_t, s64)

#undef __KSHIM_ATOMIC

#endif
