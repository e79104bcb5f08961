// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * area_table.cc - whose is an address? Asked in signal handlers
 *
 *      window   | slot 0 | slot 1 | slot 2 | slot 3 | ...      64 GiB of reserved addresses
 *                 area A   A, rest  area B   free              slots of 1 MiB
 *
 * An area gets whole slots, and always some unused addresses behind its last page. The slot of an
 * address is a shift away; there is no search and no lock.
 *
 * T1. A reader counts itself in slot->users and then reads slot->area; the remover clears
 *     slot->area and then waits until slot->users is 0. Both orders are full barriers, so either
 *     the reader sees null, or the remover sees the reader.
 * T2. The window's addresses are reserved at all times: what is not an area is PROT_NONE, so nobody
 *     else's mapping can land there.
 *
 * KSHIM: a signal handler knows only an address, so the table is the process's, not a machine's: it
 * exists while some machine with an mmu does. `lock` guards the taking and giving of slots.
 */
#include "area.h"

#include <linux/err.h>
#include <linux/kernel.h>
#include <linux/printk.h>

#include <limits.h>
#include <sys/mman.h>

#define WINDOW_BYTES (1ul << 36)
#define SLOT_SHIFT 20
#define NR_SLOTS (WINDOW_BYTES >> SLOT_SHIFT)

#define USERS_WAITED (1u << 31) /* somebody waits for the rest to become 0 */

struct area_slot {
	struct mmu_area *area;
	u32 users;
	bool taken; /* protected by table.lock */
};

static struct {
	struct mutex lock;
	unsigned int machines __guarded_by(lock);
	/* Written before any area exists, and after the last one is gone. */
	unsigned long window;
	struct area_slot *slots;
} table;

static void *reserve(struct mmu *mmu, unsigned long addr, size_t bytes, int prot)
{
	const struct mmu_mapping what = {.addr = addr,
					 .bytes = bytes,
					 .prot = prot,
					 .flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE |
						  (addr ? MAP_FIXED : 0),
					 .fd = -1,
					 .offset = 0};

	return mmu_host_mmap(mmu, what);
}

int area_table_get(struct mmu *mmu)
{
	void *slots, *window;

	guard(mutex)(&table.lock);
	if (table.machines > 0) {
		table.machines++;
		return 0;
	}
	slots = reserve(mmu, 0, NR_SLOTS * sizeof(struct area_slot), PROT_READ | PROT_WRITE);
	if (IS_ERR(slots))
		return PTR_ERR_OR_ZERO(slots);
	window = reserve(mmu, 0, WINDOW_BYTES, PROT_NONE);
	if (IS_ERR(window)) {
		pr_err("mmu: cannot reserve %lu bytes of addresses for guest programs (error %d); "
		       "is there a limit (ulimit -v)?\n",
		       WINDOW_BYTES, PTR_ERR_OR_ZERO(window));
		mmu_host_munmap((unsigned long)slots, NR_SLOTS * sizeof(struct area_slot));
		return PTR_ERR_OR_ZERO(window);
	}
	table.slots = (struct area_slot *)slots;
	/* Last: readers look at the window first. */
	__atomic_store_n(&table.window, (unsigned long)window, __ATOMIC_RELEASE);
	table.machines = 1;
	return 0;
}

void area_table_put(void)
{
	unsigned long window;

	guard(mutex)(&table.lock);
	if (--table.machines > 0)
		return;
	window = __atomic_exchange_n(&table.window, 0, __ATOMIC_SEQ_CST);
	mmu_host_munmap(window, WINDOW_BYTES);
	mmu_host_munmap((unsigned long)table.slots, NR_SLOTS * sizeof(struct area_slot));
	table.slots = nullptr;
}

int area_slots_take(struct mmu_area *area)
{
	/* At least one page beyond the end stays unmapped. */
	unsigned long want = (area->nr_pages >> (SLOT_SHIFT - PAGE_SHIFT)) + 1, free = 0;

	guard(mutex)(&table.lock);
	for (unsigned long i = 0; i < NR_SLOTS; i++) {
		free = table.slots[i].taken ? 0 : free + 1;
		if (free < want)
			continue;
		area->slot = (unsigned int)(i + 1 - want);
		area->nr_slots = (unsigned int)want;
		area->start = table.window + ((unsigned long)area->slot << SLOT_SHIFT);
		for (unsigned long k = 0; k < want; k++)
			table.slots[area->slot + k].taken = true;
		return 0;
	}
	pr_err("mmu: no %lu contiguous pages of addresses are left for a guest program\n",
	       area->nr_pages);
	return -ENOMEM;
}

void area_slots_publish(struct mmu_area *area)
{
	for (unsigned int i = 0; i < area->nr_slots; i++)
		__atomic_store_n(&table.slots[area->slot + i].area, area, __ATOMIC_SEQ_CST);
}

void area_slots_withdraw(struct mmu_area *area)
{
	for (unsigned int i = 0; i < area->nr_slots; i++)
		__atomic_store_n(&table.slots[area->slot + i].area, nullptr, __ATOMIC_SEQ_CST);
	for (unsigned int i = 0; i < area->nr_slots; i++) {
		struct area_slot *slot = &table.slots[area->slot + i];
		u32 users = __atomic_or_fetch(&slot->users, USERS_WAITED, __ATOMIC_SEQ_CST);

		while (users != USERS_WAITED) {
			(void)kshim_wait(&slot->users, users, KSHIM_FOREVER, "faults of an area");
			users = __atomic_load_n(&slot->users, __ATOMIC_SEQ_CST);
		}
		__atomic_and_fetch(&slot->users, ~USERS_WAITED, __ATOMIC_SEQ_CST);
	}
}

void area_slots_give(struct mmu_area *area)
{
	guard(mutex)(&table.lock);
	for (unsigned int i = 0; i < area->nr_slots; i++)
		table.slots[area->slot + i].taken = false;
}

struct mmu_area *area_pin(unsigned long addr, struct area_slot **pinned)
{
	unsigned long window = __atomic_load_n(&table.window, __ATOMIC_ACQUIRE);
	struct area_slot *slot;
	struct mmu_area *area;

	if (unlikely(!window || addr - window >= WINDOW_BYTES))
		return nullptr;
	slot = &table.slots[(addr - window) >> SLOT_SHIFT];
	__atomic_add_fetch(&slot->users, 1, __ATOMIC_SEQ_CST);
	area = __atomic_load_n(&slot->area, __ATOMIC_SEQ_CST);
	if (unlikely(!area || (addr - area->start) >> PAGE_SHIFT >= area->nr_pages)) {
		area_unpin(slot);
		return nullptr;
	}
	*pinned = slot;
	return area;
}

void area_unpin(struct area_slot *slot)
{
	if (unlikely(__atomic_sub_fetch(&slot->users, 1, __ATOMIC_SEQ_CST) == USERS_WAITED))
		kshim_wake(&slot->users, INT_MAX);
}
