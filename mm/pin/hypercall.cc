/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * hypercall.cc - nobody stores to a PTE, the hypervisor does
 *
 * A hypercall works whatever the table is at the moment, so pinning needs no care. It must be an
 * atomic read-modify-write, or a bit that the processor sets meanwhile is lost.
 *
 * Mutant: pin_generic_clear_young is the seed's first choice, asm-generic's way: read the PTE,
 * write it back without the accessed bit. A dirty bit set in between is gone (Hugh: "losing the
 * dirty in setting the young is a no no").
 */
#include "pin.h"

#include <kshim/mutant.h>

static bool test_and_clear(u64 *ptep, unsigned int bit)
{
	if (KSHIM_MUTANT(pin_generic_clear_young) && bit == _PAGE_BIT_ACCESSED) {
		pteval_t pte = pte_load(ptep);

		if (pte_young(pte))
			set_by_hypercall(ptep, pte & ~_PAGE_ACCESSED);
		return pte_young(pte);
	}
	return test_and_clear_by_hypercall(ptep, bit);
}

const struct pin_policy pin_hypercall = {
	.name = "hypercall",
	.late_visible = false,
	.pin = pin_all_then_l4,
	.unpin = unpin_l4_then_all,
	.set = set_by_hypercall,
	.exchange = xchg_by_hypercall,
	.test_and_clear = test_and_clear,
	.pins_l1 = false,
};
