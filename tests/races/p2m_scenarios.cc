// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The p2m against the thread of 2011: lookups, updates and foreign mappings of two guest frames.
 *
 *	gfn 1 --> a frame full of MINE, or of NEWER after an update	gfn 2 --> nothing at first
 *
 * The oracles: whoever holds an entry finds its frame, with its gfn's content, and finds it
 * again; a frame that is read-only does not change any more; what log-dirty did not note did not
 * change; whoever was refused can try again and succeeds.
 */
#include "catalogue.h"
#include "program.h"

#include <kshim/machine.h>
#include <kshim/mmu.h>
#include <kshim/user.h>
#include <linux/bitmap.h>
#include <linux/mm.h>
#include <xen/p2m.h>

using namespace races;

namespace
{

constexpr const char *SEED = "003 p2m lookups race with paging";
constexpr unsigned long NR = 4;
constexpr u32 MINE = 0x11111111, NEWER = 0x22222222, OTHERS = 0x99999999;

struct p2m_world {
	struct pv_machine *machine;
	struct p2m *p2m;
	struct p2m_view *view;
	struct gfn_ref refs[2];
	struct xen_foreign *foreign;
	struct page *spare;  /* for who wants to change a frame */
	struct page *others; /* frames that the end of the world puts */
	u32 read_only;       /* the word of gfn 1 when it became read-only; 0: it did not */
	u32 promoted;
	u32 copied; /* the word of gfn 1, as the log-dirty reader has it */
};

u32 &word_of(const struct page *page)
{
	return *static_cast<u32 *>(page_address(page));
}

struct page *frame_of(u32 word)
{
	struct page *page = alloc_page(GFP_KERNEL);

	explore_expect(page, "no page");
	WRITE_ONCE(word_of(page), word);
	return page;
}

void *setup()
{
	static const machine_initcall *const calls[] = {&mmu_initcall, &mm_initcall, nullptr};
	auto *w = explore_new<p2m_world>();
	pv_machine_config config;
	p2m_config p2m;

	config.memory_bytes = 16 * PAGE_SIZE;
	config.nr_cpus = 2;
	w->machine = pv_machine_create(&config, calls);
	explore_expect(!IS_ERR(w->machine), "no machine");
	machine_scope bound(w->machine);

	p2m.nr_gfns = NR;
	w->p2m = p2m_create(&p2m);
	explore_expect(!IS_ERR(w->p2m), "no p2m");
	explore_expect(!p2m_populate(w->p2m, _gfn(1), frame_of(MINE), p2m_ram_rw, P2M_TRY),
		       "populate");
	w->spare = frame_of(NEWER);
	return w;
}

void *setup_view()
{
	auto *w = static_cast<p2m_world *>(setup());
	machine_scope bound(w->machine);

	w->view = p2m_view_create(w->p2m, _gfn(0), NR, MMU_DELIVER_INLINE);
	explore_expect(!IS_ERR(w->view), "no view");
	return w;
}

void *setup_logdirty()
{
	auto *w = static_cast<p2m_world *>(setup_view());
	machine_scope bound(w->machine);

	explore_expect(!p2m_logdirty_start(w->p2m), "log-dirty");
	w->copied = MINE;
	return w;
}

void teardown(void *p)
{
	auto *w = static_cast<p2m_world *>(p);

	{
		machine_scope bound(w->machine);

		p2m_view_destroy(w->view);
		p2m_destroy(w->p2m);
		if (w->spare)
			put_page(w->spare);
		if (w->others)
			put_page(w->others);
	}
	explore_machine_destroy(w->machine);
}

/* ---- lookups and changes ---- */

void look_up(p2m_world *w)
{
	held_gfn held(w->p2m, _gfn(1));
	const p2m_type type = p2m_peek_type(w->p2m, _gfn(1));

	explore_expect(!held.error(), "a lookup failed");
	explore_expect(type == held.type(), "a held entry changed");
	if (!held.page())
		return;
	explore_expect(page_ref_count(held.page()) > 0, "a frame was freed before its put");
	const u32 word = READ_ONCE(word_of(held.page()));

	explore_expect(word == MINE || word == NEWER, "a held frame holds %#x", word);
}

void take_page(p2m_world *w)
{
	struct page *page = get_page_from_gfn(w->p2m, _gfn(1), nullptr);

	if (page) {
		const u32 word = READ_ONCE(word_of(page));

		explore_expect(word == MINE || word == NEWER,
			       "the frame of another was found, with %#x in it", word);
		put_page(page);
	}
	page = get_page_from_gfn(w->p2m, _gfn(2), nullptr);
	explore_expect(!page, "a frame where there is none");
}

void change_frame(p2m_world *w)
{
	if (!p2m_change_frame(w->p2m, _gfn(1), w->spare, P2M_WAIT))
		w->spare = nullptr;
}

/* The frame that was freed becomes somebody else's. */
void change_frame_and_allocate(p2m_world *w)
{
	change_frame(w);
	w->others = frame_of(OTHERS);
}

void remove_gfn(p2m_world *w)
{
	const int err = p2m_remove(w->p2m, _gfn(1), P2M_WAIT);

	explore_expect(!err || err == -EAGAIN, "remove: %d", err);
}

/* Nobody holds anything, so whatever was refused works now. */
void check_free(void *p)
{
	auto *w = static_cast<p2m_world *>(p);
	machine_scope bound(w->machine);
	int err = p2m_remove(w->p2m, _gfn(1), P2M_TRY);

	explore_expect(!err || err == -ENOENT, "an entry is held by nobody: %d", err);
	struct page *page = frame_of(MINE);

	explore_expect(!p2m_populate(w->p2m, _gfn(2), page, p2m_ram_rw, P2M_TRY),
		       "a hole is held by nobody");
	/* The first one that is not of this guest. */
	page = frame_of(MINE);
	explore_expect(p2m_populate(w->p2m, _gfn(NR), page, p2m_ram_rw, P2M_TRY) == -EINVAL,
		       "a gfn behind the last was taken");
	put_page(page);
}

/* ---- foreign mappings ---- */

struct xen_foreign *map_gfn_1(p2m_world *w, bool writable)
{
	const u64 gfn = 1;
	xen_foreign_config config;

	config.writable = writable;
	return p2m_foreign_map(w->p2m, &gfn, 1, &config);
}

void store_through_foreign(p2m_world *w)
{
	struct xen_foreign *f = map_gfn_1(w, true);

	if (IS_ERR(f))
		return;
	WRITE_ONCE(*static_cast<u32 *>(xen_foreign_addr(f)), NEWER);
	xen_foreign_unmap(f);
}

void load_through_foreign(p2m_world *w)
{
	struct xen_foreign *f = map_gfn_1(w, false);

	if (IS_ERR(f))
		return;
	const long sequence = xen_foreign_begin(f);
	const u32 word = READ_ONCE(*static_cast<u32 *>(xen_foreign_addr(f)));

	if (sequence >= 0 && !xen_foreign_retry(f, sequence))
		explore_expect(word == MINE || word == NEWER,
			       "a mapping that was not revoked shows %#x", word);
	xen_foreign_unmap(f);
}

void make_read_only(p2m_world *w)
{
	if (p2m_change_type(w->p2m, _gfn(1), p2m_ram_rw, p2m_ram_ro, P2M_REVOKE))
		return;
	/* Kept also when the gfn goes, for the check. */
	w->others = get_page_from_gfn(w->p2m, _gfn(1), nullptr);
	if (w->others)
		WRITE_ONCE(w->read_only, READ_ONCE(word_of(w->others)));
}

void check_read_only(void *p)
{
	auto *w = static_cast<p2m_world *>(p);

	explore_expect(!w->others || word_of(w->others) == w->read_only,
		       "a frame was stored to that is read-only");
	check_free(p);
}

/* A mapping that follows its gfn, and is mapped again by its holder at the same time. */
void *setup_followed()
{
	auto *w = static_cast<p2m_world *>(setup());
	machine_scope bound(w->machine);
	const u64 gfn = 1;
	xen_foreign_config config;

	config.redirect = true;
	w->foreign = p2m_foreign_map(w->p2m, &gfn, 1, &config);
	explore_expect(!IS_ERR(w->foreign), "no mapping");
	return w;
}

void use_foreign(p2m_world *w)
{
	u32 word;

	explore_expect(!xen_foreign_read(w->foreign, 0, &word, sizeof(word)), "renew");
	explore_expect(word == MINE || word == NEWER, "a mapping shows %#x", word);
}

void follow(p2m_world *w)
{
	if (!p2m_change_frame(w->p2m, _gfn(1), w->spare, P2M_REVOKE))
		w->spare = nullptr;
}

void check_followed(void *p)
{
	auto *w = static_cast<p2m_world *>(p);

	{
		machine_scope bound(w->machine);

		use_foreign(w);
		xen_foreign_unmap(w->foreign);
	}
	check_free(p);
}

/* ---- promotion ---- */

template <int who>
void promote(p2m_world *w)
{
	struct gfn_ref *ref = &w->refs[who];

	explore_expect(!get_gfn(w->p2m, _gfn(1), ref), "a lookup failed");
	if (ref->type == p2m_ram_rw) {
		const int err = p2m_promote(ref, p2m_ram_ro, P2M_WAIT);

		explore_expect(!err || err == -EAGAIN, "promote: %d", err);
		if (!err)
			WRITE_ONCE(w->promoted, w->promoted + 1);
	}
	put_gfn(ref);
}

void check_promoted(void *p)
{
	auto *w = static_cast<p2m_world *>(p);
	machine_scope bound(w->machine);

	explore_expect(w->promoted <= 1, "both were the one who promoted");
	check_free(p);
}

/* ---- log-dirty ---- */

void store_and_store(p2m_world *w)
{
	const unsigned long at = p2m_view_start(w->view) + PAGE_SIZE;

	kshim_user_store32(at, MINE + 1);
	kshim_user_store32(at, NEWER);
}

void take_dirty(p2m_world *w)
{
	unsigned long bits[1];

	explore_expect(p2m_logdirty_take(w->p2m, bits) >= 0, "take");
	if (bits[0] & 2)
		w->copied = READ_ONCE(word_of(held_gfn(w->p2m, _gfn(1)).page()));
}

void check_dirty(void *p)
{
	auto *w = static_cast<p2m_world *>(p);
	machine_scope bound(w->machine);

	take_dirty(w);
	explore_expect(w->copied == NEWER, "log-dirty missed a store: %#x", w->copied);
}

explore_scenario scenario(const char *name, std::vector<explore_task> tasks, void (*check)(void *),
			  void *(*make)() = setup)
{
	return {.name = name,
		.setup = make,
		.tasks = std::move(tasks),
		.check = check,
		.teardown = teardown};
}

} // namespace

race_subsystem races::p2m_subsystem()
{
	race_subsystem p2m = {.name = "p2m", .scenarios = {}, .mutants = {}};

	p2m.scenarios = {
		{.scenario = scenario("p2m_lookup",
				      {{"lookup", in_machine<look_up>},
				       {"changer", in_machine<change_frame>},
				       {"remover", in_machine<remove_gfn>}},
				      check_free),
		 .checks = "what a lookup found stays, and is its gfn's, until it is put",
		 .seed = SEED,
		 .bound = 2},
		{.scenario = scenario("p2m_page",
				      {{"lookup", in_machine<take_page>},
				       {"changer", in_machine<change_frame_and_allocate>}},
				      check_free),
		 .checks = "a page from a gfn is the gfn's, and nothing is left held",
		 .seed = SEED,
		 .bound = 2},
		{.scenario = scenario("p2m_foreign",
				      {{"mapper", in_machine<store_through_foreign>},
				       {"updater", in_machine<make_read_only>},
				       {"remover", in_machine<remove_gfn>}},
				      check_read_only),
		 .checks = "no foreign mapping stores to a frame that is read-only",
		 .seed = SEED,
		 .bound = 2},
		{.scenario = scenario("p2m_foreign_load",
				      {{"mapper", in_machine<load_through_foreign>},
				       {"changer", in_machine<change_frame>}},
				      check_free),
		 .checks = "what a holder accepts was in the frame, and not in scratch memory",
		 .seed = SEED,
		 .bound = 2},
		{.scenario = scenario(
			 "p2m_follow",
			 {{"holder", in_machine<use_foreign>}, {"changer", in_machine<follow>}},
			 check_followed, setup_followed),
		 .checks = "a mapping that follows its gfn is mapped once",
		 .seed = SEED,
		 .bound = 2},
		{.scenario = scenario(
			 "p2m_promote",
			 {{"first", in_machine<promote<0>>}, {"second", in_machine<promote<1>>}},
			 check_promoted),
		 .checks = "of two who promote one is refused, and none waits for the other",
		 .seed = SEED,
		 .bound = 3},
		{.scenario = scenario("p2m_logdirty",
				      {{"guest", in_machine<store_and_store>},
				       {"reader", in_machine<take_dirty>}},
				      check_dirty, setup_logdirty),
		 .checks = "no store is missed by who reads the log",
		 .seed = nullptr,
		 .bound = 2},
	};
	p2m.mutants = {
		{.name = "p2m_references_frames",
		 .variant = "andres-2011",
		 .origin = "the proposal of the seed: lookups take a lock for reading and a "
			   "reference "
			   "to the frame; the entry changes under it",
		 .killer = "p2m_foreign",
		 .bound = 1,
		 .reason = "stored to that is read-only"},
		{.name = "p2m_promote_waits",
		 .variant = "promotion",
		 .origin = "the seed's atomic promotion from reader to writer; \"would deadlock if "
			   "two "
			   "cpus tried it at once\" (Tim Deegan)",
		 .killer = "p2m_promote",
		 .bound = 1,
		 .reason = "deadlock"},
		{.name = "p2m_put_before_check",
		 .variant = nullptr,
		 .origin = "what keeps the frame is dropped before the look at it",
		 .killer = "p2m_page",
		 .bound = 1,
		 .reason = "frame of another"},
		{.name = "p2m_missing_put",
		 .variant = nullptr,
		 .origin = "a way out on which put_gfn() is missing (XSA-277)",
		 .killer = "p2m_page",
		 .bound = 0,
		 .reason = "a hole is held by nobody"},
		{.name = "p2m_max_gfn",
		 .variant = nullptr,
		 .origin = "gfn > max where >= is meant, as in xenpaging's bound",
		 .killer = "p2m_page",
		 .bound = 0,
		 .reason = "behind the last"},
		{.name = "p2m_foreign_keeps_rw",
		 .variant = nullptr,
		 .origin =
			 "an update that leaves writable foreign mappings of a frame that becomes "
			 "read-only: Tim Deegan's second race",
		 .killer = "p2m_foreign",
		 .bound = 2,
		 .reason = "stored to that is read-only"},
		{.name = "p2m_maps_twice",
		 .variant = nullptr,
		 .origin = "a page that was redirected while its holder mapped it again is taken "
			   "twice and given back once (found by the stress test)",
		 .killer = "p2m_follow",
		 .bound = 2,
		 .reason = "no end"},
		{.name = "p2m_logdirty_early",
		 .variant = nullptr,
		 .origin =
			 "a store is noted before its entry is the fault's own: the note is taken "
			 "before the store is made (found by the stress test)",
		 .killer = "p2m_logdirty",
		 .bound = 2,
		 .reason = "log-dirty missed"},
	};
	return p2m;
}
