/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * linux/mman.h - the constants of mmap, from the system
 */
#pragma once

#include_next <linux/mman.h>

#include <asm/mman.h>
