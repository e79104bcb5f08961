/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * vmalloc_cases.h - what lib/test_vmalloc.c of Linux exercises, for one thread among many
 */
#ifndef PVSHIM_STRESS_VMALLOC_CASES_H
#define PVSHIM_STRESS_VMALLOC_CASES_H

#include "stress.h"

namespace stress
{

struct vmalloc_args {
	context &ctx;
	std::mt19937 &random;
	std::uint32_t mark;  /* the thread's: what it stores, nobody else does */
	unsigned long loops; /* rounds of a case */
	unsigned long pages; /* of cases with one size */
};

struct vmalloc_case {
	const char *name;
	void (*run)(const vmalloc_args &a);
	/* Dear ones do a part of the loops. */
	unsigned int part;
};

/* In the order of test_vmalloc's run_test_mask. */
const std::vector<vmalloc_case> &vmalloc_cases();

} // namespace stress

#endif
