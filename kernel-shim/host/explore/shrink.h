/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A violating schedule with no deviation that it does not need: see shrink.cc.
 */
#ifndef KSHIM_EXPLORE_SHRINK_H
#define KSHIM_EXPLORE_SHRINK_H

#include "explorer.h"

/*
 * The explorer has just run a schedule that violates. When it returns, the last schedule that it
 * ran violates for the same reason and is as short as it was made.
 */
void shrink(explorer *e);

#endif
