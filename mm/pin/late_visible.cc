/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * late_visible.cc - an mm that is not pinned is in nobody's reach
 *
 *      fork   copied, pinned, in rmap         exit   out of rmap, unpinned
 *
 * Jeremy Fitzhardinge's third choice in the seed, and refused there: while it is copied, nobody can
 * unmap the child's pages, so a fork that needs memory for tables cannot have it from the pages it
 * is copying. fork.cc keeps the order.
 */
#include "pin.h"

const struct pin_policy pin_late_visible = {
	.name = "late-visible",
	.late_visible = true,
	.pin = pin_all_then_l4,
	.unpin = unpin_l4_then_all,
	.set = set_by_hypercall,
	.exchange = native_pte_xchg,
	.test_and_clear = native_pte_btr,
	.pins_l1 = false,
};
