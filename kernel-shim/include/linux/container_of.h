/* SPDX-License-Identifier: GPL-2.0-or-later */
/* From a member to the struct around it. */
#ifndef KSHIM_LINUX_CONTAINER_OF_H
#define KSHIM_LINUX_CONTAINER_OF_H

#include <stddef.h>

/*
 * KSHIM: without Linux's check of the pointer's type, so that a pointer to const yields a plain
 * struct, as it does in C. The struct needs no standard layout, only to be without virtual bases.
 */
#define container_of(ptr, type, member) ((type *)((char *)(ptr)-offsetof(type, member)))

#endif
