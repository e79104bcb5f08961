/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * atomic.cc - read-only and pinned in one hypercall
 *
 * Hugh Dickins in the seed: "your problem actually lies in those two stages: whatever marks the
 * pages RO should not be keeping Xen in ignorance." A native store that is refused waits in the
 * hypervisor until the table is one, and is emulated. No lock of ours is involved.
 */
#include "pin.h"

#include <asm/xen/hypercall.h>

static int pin(struct mm_tables *tables)
{
	pin_set_phase(tables, "in the hypervisor");
	return pin_ext(virt_to_page(tables->pgd), XEN_PROTECT_AND_PIN);
}

static int unpin(struct mm_tables *tables)
{
	pin_set_phase(tables, "in the hypervisor, on the way out");
	return pin_ext(virt_to_page(tables->pgd), XEN_UNPIN_AND_UNPROTECT);
}

const struct pin_policy pin_atomic = {
	.name = "atomic",
	.late_visible = false,
	.pin = pin,
	.unpin = unpin,
	.set = set_by_hypercall,
	.exchange = native_pte_xchg,
	.test_and_clear = native_pte_btr,
	.pins_l1 = false,
};
