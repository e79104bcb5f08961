/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * kshim/fault.h - accesses that may fail
 *
 * What Linux does with an exception table is done here for a whole function: an access inside of it
 * that faults, and that no area's owner resolves, leaves the function.
 *
 *      SIGSEGV, SIGBUS --> an area's address? ops->fault() == 0: again
 *                      --> inside kshim_try()? it returns false
 *                      --> the disposition that was there before us: a handler, or death
 *
 * I1. Works in any thread, nested, with or without a machine, while a machine with an mmu exists.
 * I2. The signals stay unblocked in the handler and no mask is changed, so leaving it by a jump
 *     costs no system call and leaves nothing behind.
 */
#ifndef KSHIM_FAULT_H
#define KSHIM_FAULT_H

#include <linux/types.h>

/**
 * kshim_try - run @fn(@arg), survive a fault in it
 *
 * On a fault @fn is left where it was: no destructors run and locks stay locked, so it keeps what
 * must be undone where the caller finds it. Writes made before the fault have been made.
 * KSHIM: a wild pointer of our own inside of @fn ends like an expected fault. Keep @fn small.
 * Return: true when @fn returned.
 */
[[nodiscard]] bool kshim_try(void (*fn)(void *arg), void *arg);

/* Copies from, or to, an address that may not be there. 0; -EFAULT: maybe some bytes are copied. */
[[nodiscard]] int kshim_probe_read(void *dst, const void *addr, size_t len);
[[nodiscard]] int kshim_probe_write(void *addr, const void *src, size_t len);

#endif
