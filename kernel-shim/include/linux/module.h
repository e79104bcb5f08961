/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * KSHIM: there are no modules. A subsystem exports a machine_initcall (kshim/machine.h), since two
 * machines in one process each run it.
 */
#ifndef KSHIM_LINUX_MODULE_H
#define KSHIM_LINUX_MODULE_H

struct module;
#define THIS_MODULE ((struct module *)nullptr)

#endif
