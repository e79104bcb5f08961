// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Paging against its history: guests that use, foreign domains that map, and somebody who gives
 * away frames which the pager takes and brings back.
 *
 *	guest --view--> gfn 1, gfn 2 <--evict, prep-- pager (a kthread) --> swap (in memory)
 *
 * The oracles: a load gives what was stored last, or fails because the gfn was given away; no
 * vcpu waits for ever; the count of paged entries is the number of paged entries.
 */
#include "catalogue.h"
#include "program.h"

#include <kshim/machine.h>
#include <kshim/mmu.h>
#include <kshim/swap.h>
#include <kshim/user.h>
#include <linux/mm.h>
#include <xen/paging.h>

using namespace races;

namespace
{

constexpr const char *SEED = "003 p2m lookups race with paging";
constexpr unsigned long NR = 4;
constexpr u32 FIRST = 0x11111111, SECOND = 0x22222222;

struct memory_swap {
	struct swap_file swap;
	char pages[NR][PAGE_SIZE];
};

struct paging_world {
	struct pv_machine *machine;
	struct p2m *p2m;
	struct p2m_view *view;
	struct p2m_pager *pager;
	struct memory_swap swap;
	u32 stored; /* what gfn 1 holds; 0: nothing is known */
};

int swap_write(struct swap_file *swap, unsigned long slot, const void *page)
{
	memcpy(container_of(swap, memory_swap, swap)->pages[slot], page, PAGE_SIZE);
	return 0;
}

int swap_read(struct swap_file *swap, unsigned long slot, void *page)
{
	memcpy(page, container_of(swap, memory_swap, swap)->pages[slot], PAGE_SIZE);
	return 0;
}

void fill(paging_world *w, unsigned long gfn, u32 word)
{
	struct page *page = alloc_page(GFP_KERNEL);
	int err;

	explore_expect(page, "no page");
	WRITE_ONCE(*static_cast<u32 *>(page_address(page)), word);
	do {
		err = p2m_populate(w->p2m, _gfn(gfn), page, p2m_ram_rw, P2M_WAIT);
	} while (err == -EAGAIN);
	explore_expect(!err, "populate: %d", err);
}

void *setup_with(unsigned int nr_slots, unsigned int nr_evicted)
{
	static const machine_initcall *const calls[] = {&mmu_initcall, &mm_initcall, nullptr};
	static const struct swap_ops ops = {.write = swap_write, .read = swap_read};
	auto *w = explore_new<paging_world>();
	pv_machine_config config;
	p2m_config p2m;
	p2m_paging_config paging;
	p2m_pager_config pager;

	config.memory_bytes = 16 * PAGE_SIZE;
	config.nr_cpus = 2;
	w->machine = pv_machine_create(&config, calls);
	explore_expect(!IS_ERR(w->machine), "no machine");
	machine_scope bound(w->machine);

	p2m.nr_gfns = NR;
	w->p2m = p2m_create(&p2m);
	explore_expect(!IS_ERR(w->p2m), "no p2m");
	paging.nr_vcpus = 2;
	paging.nr_slots = nr_slots;
	explore_expect(!p2m_paging_enable(w->p2m, &paging), "paging");
	w->swap.swap = {.ops = &ops, .nr_slots = NR};
	pager.swap = &w->swap.swap;
	w->pager = p2m_pager_start(w->p2m, &pager);
	w->view = p2m_view_create(w->p2m, _gfn(0), NR, MMU_DELIVER_INLINE);
	explore_expect(!IS_ERR(w->pager) && !IS_ERR(w->view), "no pager");
	fill(w, 1, FIRST);
	fill(w, 2, SECOND);
	w->stored = FIRST;
	for (unsigned long gfn = 1; gfn <= nr_evicted; gfn++)
		explore_expect(!p2m_pager_evict(w->pager, _gfn(gfn)), "evict");
	return w;
}

void *setup()
{
	return setup_with(0, 0);
}

void *setup_evicted()
{
	return setup_with(0, 1);
}

void *setup_one_slot()
{
	return setup_with(1, 2);
}

void teardown(void *p)
{
	auto *w = static_cast<paging_world *>(p);

	{
		machine_scope bound(w->machine);

		p2m_view_destroy(w->view);
		p2m_pager_stop(w->pager);
		p2m_paging_disable(w->p2m);
		p2m_destroy(w->p2m);
	}
	explore_machine_destroy(w->machine);
}

unsigned long address_of(const paging_world *w, unsigned long gfn)
{
	return p2m_view_start(w->view) + gfn * PAGE_SIZE;
}

void check(void *p)
{
	auto *w = static_cast<paging_world *>(p);
	machine_scope bound(w->machine);
	struct p2m_stats stats;
	u64 paged = 0;

	p2m_stats(w->p2m, &stats);
	for (unsigned long gfn = 0; gfn < NR; gfn++) {
		const p2m_type type = p2m_peek_type(w->p2m, _gfn(gfn));

		explore_expect(type != p2m_ram_paging_out && type != p2m_ram_paging_in,
			       "gfn %lu was left %s", gfn, p2m_type_name(type));
		paged += type == p2m_ram_paged;
	}
	explore_expect(stats.paged == paged, "%llu entries are paged, %llu are counted",
		       (unsigned long long)paged, (unsigned long long)stats.paged);
	if (w->stored) {
		const u32 word = kshim_user_load32(address_of(w, 1));

		explore_expect(word == w->stored, "gfn 1 holds %#x, %#x was stored last", word,
			       w->stored);
	}
}

/* ---- who uses ---- */

void store_and_load(paging_world *w)
{
	kshim_user_store32(address_of(w, 1), SECOND);
	w->stored = SECOND;
	const u32 word = kshim_user_load32(address_of(w, 1));

	explore_expect(word == SECOND, "gfn 1 holds %#x, %#x was stored last", word, SECOND);
}

template <unsigned long gfn, u32 expected>
void load(paging_world *w)
{
	const u32 word = kshim_user_load32(address_of(w, gfn));

	explore_expect(word == expected, "gfn %lu holds %#x and not %#x", gfn, word, expected);
}

bool is_content(u32 word)
{
	return word == FIRST || word == SECOND;
}

void look_up(paging_world *w)
{
	struct page *page = get_page_from_gfn(w->p2m, _gfn(1), nullptr);

	if (!page)
		return;
	const u32 word = READ_ONCE(*static_cast<u32 *>(page_address(page)));

	explore_expect(is_content(word), "a lookup found %#x", word);
	put_page(page);
}

void map_foreign(paging_world *w)
{
	const u64 gfn = 1;
	const xen_foreign_config config;
	struct xen_foreign *f = p2m_foreign_map(w->p2m, &gfn, 1, &config);
	long sequence;

	if (IS_ERR(f))
		return;
	sequence = xen_foreign_begin(f);
	if (sequence >= 0) {
		const u32 word = READ_ONCE(*static_cast<u32 *>(xen_foreign_addr(f)));

		explore_expect(xen_foreign_retry(f, sequence) || is_content(word),
			       "a foreign mapping shows %#x", word);
	}
	xen_foreign_unmap(f);
}

/* ---- who takes ---- */

void evict(paging_world *w)
{
	const int err = p2m_pager_evict(w->pager, _gfn(1));

	explore_expect(!err || err == -EBUSY, "evict: %d", err);
}

void evict_twice(paging_world *w)
{
	evict(w);
	evict(w);
}

/* The guest gives its page away, and gets another one for the same gfn. */
void drop_and_populate(paging_world *w)
{
	int err;

	w->stored = 0;
	err = p2m_remove(w->p2m, _gfn(1), P2M_WAIT);
	explore_expect(!err || err == -EAGAIN, "remove: %d", err);
	if (err)
		return;
	fill(w, 1, SECOND);
	w->stored = SECOND;
}

void drop(paging_world *w)
{
	int err;

	w->stored = 0;
	err = p2m_remove(w->p2m, _gfn(1), P2M_WAIT);
	explore_expect(!err || err == -EAGAIN, "remove: %d", err);
}

explore_scenario scenario(const char *name, void *(*make)(), std::vector<explore_task> tasks)
{
	return {.name = name,
		.setup = make,
		.tasks = std::move(tasks),
		.check = check,
		.teardown = teardown};
}

} // namespace

race_subsystem races::paging_subsystem()
{
	race_subsystem paging = {.name = "paging", .scenarios = {}, .mutants = {}};

	paging.scenarios = {
		{.scenario = scenario(
			 "paging_store", setup,
			 {{"guest", in_machine<store_and_load>}, {"evictor", in_machine<evict>}}),
		 .checks = "what is stored while a frame is taken is there when it comes back",
		 .seed = SEED,
		 .bound = 2},
		{.scenario = scenario(
			 "paging_in", setup_evicted,
			 {{"guest", in_machine<load<1, FIRST>>}, {"lookup", in_machine<look_up>}}),
		 .checks = "an entry comes back with its content, for all who wait",
		 .seed = SEED,
		 .bound = 2},
		{.scenario = scenario("paging_foreign", setup,
				      {{"mapper", in_machine<map_foreign>},
				       {"evictor", in_machine<evict>},
				       {"dropper", in_machine<drop>}}),
		 .checks = "a foreign mapping shows a frame's content or is revoked",
		 .seed = SEED,
		 .bound = 2},
		{.scenario = scenario("paging_drop", setup,
				      {{"guest", in_machine<drop_and_populate>},
				       {"evictor", in_machine<evict_twice>}}),
		 .checks = "what comes after a page that was given away keeps its content",
		 .seed = SEED,
		 .bound = 3},
		{.scenario = scenario("paging_ring", setup_one_slot,
				      {{"vcpu", in_machine<load<1, FIRST>>},
				       {"vcpu 2", in_machine<load<2, SECOND>>}}),
		 .checks = "of two events in a ring of one slot none is lost",
		 .seed = SEED,
		 .bound = 2},
	};
	paging.mutants = {
		{.name = "paging_copy_late",
		 .variant = nullptr,
		 .origin = "the content is copied when the entry can be used already (before "
			   "26a5c829c8)",
		 .killer = "paging_in",
		 .bound = 2,
		 .reason = "0xaaaaaaaa"},
		{.name = "paging_count_early",
		 .variant = nullptr,
		 .origin = "an eviction is counted before it is known that the entry changes",
		 .killer = "paging_store",
		 .bound = 2,
		 .reason = "are counted"},
		{.name = "paging_event_lost",
		 .variant = nullptr,
		 .origin = "a full ring drops a vcpu's event (before 3643a96119)",
		 .killer = "paging_ring",
		 .bound = 1,
		 .reason = "deadlock"},
		{.name = "paging_drop_frees",
		 .variant = nullptr,
		 .origin = "a drop's event that comes late frees the slot of the page that came "
			   "after it",
		 .killer = "paging_drop",
		 .bound = 3,
		 .reason = "nobody resolves it"},
	};
	return paging;
}
