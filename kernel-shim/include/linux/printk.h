/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The log. A line belongs to the machine that the calling thread is bound to and goes to that
 * machine's sink (kshim/machine.h), standard error unless told otherwise.
 *
 * Define pr_fmt(fmt) before the first include to put the name of the subsystem before each line.
 * pr_err is for an outside that misbehaved: say what, on what, why, and what happens now.
 */
#ifndef KSHIM_LINUX_PRINTK_H
#define KSHIM_LINUX_PRINTK_H

#include <linux/compiler.h>
#include <stdarg.h>

#define KERN_SOH "\001"
#define KERN_EMERG KERN_SOH "0"
#define KERN_ALERT KERN_SOH "1"
#define KERN_CRIT KERN_SOH "2"
#define KERN_ERR KERN_SOH "3"
#define KERN_WARNING KERN_SOH "4"
#define KERN_NOTICE KERN_SOH "5"
#define KERN_INFO KERN_SOH "6"
#define KERN_DEBUG KERN_SOH "7"
#define KERN_CONT KERN_SOH "c" /* KSHIM: starts a line of its own, at the level of KERN_INFO */

#define LOGLEVEL_EMERG 0
#define LOGLEVEL_ERR 3
#define LOGLEVEL_WARNING 4
#define LOGLEVEL_NOTICE 5
#define LOGLEVEL_INFO 6
#define LOGLEVEL_DEBUG 7

/**
 * printk - write one line to the current machine's log
 * @fmt: KERN_<LEVEL> "text"; without a level it is a warning; a line feed at the end is optional
 *
 * Any context, never sleeps on a lock of the caller's. Lines longer than 1000 bytes are cut.
 * Return: the length of the line.
 */
int printk(const char *fmt, ...) __printf(1, 2);
int vprintk(const char *fmt, va_list args) __printf(1, 0);

#ifndef pr_fmt
#define pr_fmt(fmt) fmt
#endif

#define pr_emerg(fmt, ...) printk(KERN_EMERG pr_fmt(fmt) __VA_OPT__(, ) __VA_ARGS__)
#define pr_alert(fmt, ...) printk(KERN_ALERT pr_fmt(fmt) __VA_OPT__(, ) __VA_ARGS__)
#define pr_crit(fmt, ...) printk(KERN_CRIT pr_fmt(fmt) __VA_OPT__(, ) __VA_ARGS__)
#define pr_err(fmt, ...) printk(KERN_ERR pr_fmt(fmt) __VA_OPT__(, ) __VA_ARGS__)
#define pr_warn(fmt, ...) printk(KERN_WARNING pr_fmt(fmt) __VA_OPT__(, ) __VA_ARGS__)
#define pr_notice(fmt, ...) printk(KERN_NOTICE pr_fmt(fmt) __VA_OPT__(, ) __VA_ARGS__)
#define pr_info(fmt, ...) printk(KERN_INFO pr_fmt(fmt) __VA_OPT__(, ) __VA_ARGS__)
#define pr_debug(fmt, ...) printk(KERN_DEBUG pr_fmt(fmt) __VA_OPT__(, ) __VA_ARGS__)

#endif
