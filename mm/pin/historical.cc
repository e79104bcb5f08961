/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * historical.cc - what Linux for Xen did until 2.6.23: the seed's bug
 *
 *      pin    all tables read-only            | then the L4, and with it all, pinned
 *      unpin  the L4, and with it all, no pin | then all tables writable
 *                                             ^ a native store here is an oops
 *
 * It worked as long as everybody changed PTEs by a hypercall. When clearing the accessed bit became
 * a native instruction, whoever came from rmap met tables in between.
 */
#include "pin.h"

const struct pin_policy pin_historical = {
	.name = "historical",
	.late_visible = false,
	.pin = pin_all_then_l4,
	.unpin = unpin_l4_then_all,
	.set = set_by_hypercall,
	.exchange = native_pte_xchg,
	.test_and_clear = native_pte_btr,
	.pins_l1 = false,
};
