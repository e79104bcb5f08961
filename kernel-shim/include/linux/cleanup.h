/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What is undone at the end of the scope.
 *
 *	guard(mutex)(&m->lock);			// to the end of the block
 *	scoped_guard(spinlock, &q->lock) {	// to the end of its own block
 *		...
 *	}
 *	char *buf __free(kfree) = (char *)kmalloc(n, GFP_KERNEL);
 *	return no_free_ptr(buf);		// the caller owns it now
 *
 * KSHIM: the guards are classes, so clang checks them like any lock. scoped_guard is an `if`, not
 * a loop: `break` and `continue` in it mean the loop around it.
 */
#ifndef KSHIM_LINUX_CLEANUP_H
#define KSHIM_LINUX_CLEANUP_H

#include <linux/compiler.h>

#define DEFINE_LOCK_GUARD_1(name, type, lock_fn, unlock_fn)                                        \
	class __scoped_lockable kshim_guard_##name                                                 \
	{                                                                                          \
	public:                                                                                    \
		explicit kshim_guard_##name(type *lock) __acquires(lock) : lock_(lock)             \
		{                                                                                  \
			lock_fn(lock);                                                             \
		}                                                                                  \
		~kshim_guard_##name() __releases() { unlock_fn(lock_); }                           \
		kshim_guard_##name(const kshim_guard_##name &) = delete;                           \
		kshim_guard_##name &operator=(const kshim_guard_##name &) = delete;                \
                                                                                                   \
	private:                                                                                   \
		type *lock_;                                                                       \
	};

#define DEFINE_LOCK_GUARD_1_SHARED(name, type, lock_fn, unlock_fn)                                 \
	class __scoped_lockable kshim_guard_##name                                                 \
	{                                                                                          \
	public:                                                                                    \
		explicit kshim_guard_##name(type *lock) __acquires_shared(lock) : lock_(lock)      \
		{                                                                                  \
			lock_fn(lock);                                                             \
		}                                                                                  \
		~kshim_guard_##name() __releases_any() { unlock_fn(lock_); }                       \
		kshim_guard_##name(const kshim_guard_##name &) = delete;                           \
		kshim_guard_##name &operator=(const kshim_guard_##name &) = delete;                \
                                                                                                   \
	private:                                                                                   \
		type *lock_;                                                                       \
	};

/* Sections without an object, such as RCU's. */
#define DEFINE_LOCK_GUARD_0(name, lock_fn, unlock_fn)                                              \
	class kshim_guard_##name                                                                   \
	{                                                                                          \
	public:                                                                                    \
		kshim_guard_##name() { lock_fn(); }                                                \
		~kshim_guard_##name() { unlock_fn(); }                                             \
		kshim_guard_##name(const kshim_guard_##name &) = delete;                           \
		kshim_guard_##name &operator=(const kshim_guard_##name &) = delete;                \
	};

#define guard(name) [[maybe_unused]] auto __UNIQUE_ID(guard) = kshim_guard_##name
#define scoped_guard(name, ...)                                                                    \
	if ([[maybe_unused]] kshim_guard_##name __kshim_scope{__VA_ARGS__}; true)

/* DEFINE_FREE(name, type, expression of _T): what __free(name) does to a variable of that type. */
#define DEFINE_FREE(name, type, free_expr)                                                         \
	static inline void kshim_free_##name(void *p)                                              \
	{                                                                                          \
		type _T = *(type *)p;                                                              \
		free_expr;                                                                         \
	}
#define __free(name) __attribute__((cleanup(kshim_free_##name)))

/* Takes the pointer out of a __free() variable. */
template <typename T>
[[nodiscard]] static inline T *kshim_take(T *&p)
{
	T *value = p;

	p = nullptr;
	return value;
}

#define no_free_ptr(p) kshim_take(p)
#define return_ptr(p) return no_free_ptr(p)

#endif
