/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Mutants: historical bugs as named switches beside the right code.
 *
 *	if (!KSHIM_MUTANT(defio_no_mkclean))
 *		page_mkclean(page);
 *
 * In the product the switch is a constant false and the compiler drops it. Under the explorer the
 * world that runs says which one is on; a suite must notice every mutant and pass with none.
 */
#ifndef KSHIM_MUTANT_H
#define KSHIM_MUTANT_H

#ifndef KSHIM_EXPLORE
#define KSHIM_EXPLORE 0
#endif

#if KSHIM_EXPLORE
bool kshim_mutant(const char *name);
#define KSHIM_MUTANT(name) (kshim_mutant(#name))
#else
#define KSHIM_MUTANT(name) false
#endif

#endif
