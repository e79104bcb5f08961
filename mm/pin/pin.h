/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * pin.h - how page tables become read-only and known to the hypervisor, and back
 *
 *      policy         pin                             a store to a PTE meanwhile
 *      historical     all RO, then L4 pinned          oops: the bug of 2007
 *      pte-lock       RO and pinned as L1 in one      waits for the PTE lock, which the pin holds
 *                     batch, its lock held; then L4   from RO until its own completion
 *      hypercall      as historical                   goes through the hypervisor, always
 *      late-visible   as historical                   nobody knows the PTEs: not in rmap
 *      atomic         one hypercall                   waits in the hypervisor, or passes
 *      native         none: there is no hypervisor    passes
 *
 * historical is what the seed describes, pte-lock what Linux 2.6.24 did about it, hypercall and
 * late-visible what was refused in the thread, atomic what Hugh Dickins asked for. Each is a
 * file.
 */
#pragma once

#include "../pgtable.h"

struct pin_policy {
	const char *name;
	/* An mm is in rmap only while it is pinned. */
	bool late_visible;
	/* With mmap_lock for writing, or alone. 0 or -errno, and nothing has changed. */
	int (*pin)(struct mm_tables *tables);
	int (*unpin)(struct mm_tables *tables);
	void (*set)(u64 *ptep, pteval_t value);
	pteval_t (*exchange)(u64 *ptep, pteval_t value);
	bool (*test_and_clear)(u64 *ptep, unsigned int bit);
	/* A new L1 table of a pinned mm is pinned by itself. */
	bool pins_l1;
};

extern const struct pin_policy pin_historical, pin_pte_lock, pin_hypercall, pin_late_visible,
	pin_atomic, pin_native;

/* pin.cc: with statistics, after shooting down lazy aliases. */
[[nodiscard]] int pin_tables(struct mm_tables *tables);
[[nodiscard]] int unpin_tables(struct mm_tables *tables);
/* A new table of a pinned mm; the entry that names it is set. 0 or -errno. */
[[nodiscard]] int pin_new_table(struct pt_page *pt, u64 *parent, pteval_t entry);
[[nodiscard]] int pin_init(struct pgtable_state *state);
void pin_set_phase(struct mm_tables *tables, const char *phase);

/* The processors that have it are told to leave it. */
void drop_cr3(struct mm_tables *tables);

/* pin_shared.cc: what several policies do. All or nothing. */
[[nodiscard]] int pin_protect_all(struct mm_tables *tables, bool writable, unsigned int first);
[[nodiscard]] int pin_ext(struct page *page, unsigned int cmd);
int pin_all_then_l4(struct mm_tables *tables);
int unpin_l4_then_all(struct mm_tables *tables);
void set_by_hypercall(u64 *ptep, pteval_t value);
pteval_t xchg_by_hypercall(u64 *ptep, pteval_t value);
bool test_and_clear_by_hypercall(u64 *ptep, unsigned int bit);
