/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * linux/moduleparam.h - settings of a machine's subsystems, by name
 *
 *	pv_machine_config.params = "vmap.policy=batch:64 vmap.lazy_pages=8192"
 *
 * As on a kernel's command line: words, each module.name=value; a bool's value may be left out.
 * A subsystem reads its own in its initcall, into its own struct, and leaves the others'. A name
 * that it does not know is an error and not a typing mistake that nobody notices.
 *
 * KSHIM: Linux's module_param() sets a variable of the file; here settings belong to a machine, so
 * a table says where in the subsystem's struct they go.
 */
#ifndef KSHIM_LINUX_MODULEPARAM_H
#define KSHIM_LINUX_MODULEPARAM_H

#include <linux/types.h>

struct kernel_param {
	const char *name;
	/* Reads @value into the field at @field. 0 or -EINVAL, -ERANGE. */
	int (*set)(const char *value, void *field);
	size_t offset; /* of the field in what parse_params() gets */
	const char *help;
};

int param_set_bool(const char *value, void *field);  /* bool: 0, 1, n, y; "" is true */
int param_set_ulong(const char *value, void *field); /* unsigned long; 0x... too */

/**
 * parse_params - take the settings of @module from the current machine's parameters
 * @params, @nr: what there is
 * @fields: where they go
 *
 * Context: an initcall. Return: 0; -EINVAL or -ERANGE with a line in the log that says which.
 */
[[nodiscard]] int parse_params(const char *module, const struct kernel_param *params, size_t nr,
			       void *fields);

#endif
