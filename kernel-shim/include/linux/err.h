/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Errors in pointers: the last page of the address space is never mapped, so its addresses can
 * carry a negative errno.
 */
#ifndef KSHIM_LINUX_ERR_H
#define KSHIM_LINUX_ERR_H

#include <linux/compiler.h>
#include <linux/errno.h>

#define MAX_ERRNO 4095
#define IS_ERR_VALUE(x) unlikely((unsigned long)(x) >= (unsigned long)-MAX_ERRNO)

/*
 * KSHIM: Linux returns void *, which C converts to any pointer. C++ does not, so the result of
 * ERR_PTR() converts itself.
 */
struct kshim_err_ptr {
	long error;

	template <typename T>
	operator T *() const
	{
		return reinterpret_cast<T *>(error);
	}
};

[[nodiscard]] static inline struct kshim_err_ptr ERR_PTR(long error) {
	return {error};
}

[[nodiscard]] static inline long
PTR_ERR(const void *ptr)
{
	return (long)ptr;
}

[[nodiscard]] static inline bool IS_ERR(const void *ptr)
{
	return IS_ERR_VALUE((unsigned long)ptr);
}

[[nodiscard]] static inline bool IS_ERR_OR_NULL(const void *ptr)
{
	return unlikely(!ptr) || IS_ERR_VALUE((unsigned long)ptr);
}

[[nodiscard]] static inline int PTR_ERR_OR_ZERO(const void *ptr)
{
	return IS_ERR(ptr) ? (int)PTR_ERR(ptr) : 0;
}

/* The error of one pointer type as another. */
[[nodiscard]] static inline struct kshim_err_ptr ERR_CAST(const void *ptr) {
	return {PTR_ERR(ptr)};
}

#endif
