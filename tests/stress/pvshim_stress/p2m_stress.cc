// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The p2m and its pager under load.
 *
 * p2m: every thread looks up, changes, removes, maps and stores, anything anywhere:
 *
 *      word 0 ... of a frame: its gfn and when it was made, the same in all words but
 *      word STORED: what foreign mappings store; does not move while the frame is read-only
 *
 * paging: every thread is a vcpu that owns every nr-th gfn and remembers its last stamp there; four
 * times as many frames as may be resident, a swap file that fails by chance; others look frames up
 * and map them meanwhile.
 *
 * At the end everything is taken down, and nothing may be left: pages, mappings, objects.
 */
#include "catalogue.h"

#include "unit/p2m_fixture.h"

#include <kshim/swap.h>
#include <xen/paging.h>

namespace stress
{

namespace
{

constexpr unsigned int WORDS = PAGE_SIZE / 4, STORED = 5;
constexpr int ROUND = 500;

/* A machine that must not warn when it goes, and must have got everything back. */
class machine_owner
{
public:
	explicit machine_owner(context &ctx) : ctx_(ctx)
	{
		static const machine_initcall *const calls[] = {&mmu_initcall, &mm_initcall,
								nullptr};
		pv_machine_config config;

		config.memory_bytes = 64ul << 20;
		machine_ = pv_machine_create(&config, calls);
		if (IS_ERR(machine_))
			std::abort();
		scope_ = std::make_unique<machine_scope>(machine_);
		free_ = nr_free_pages();
	}
	~machine_owner()
	{
		if (nr_free_pages() != free_)
			ctx_.violation("%ld pages were not given back",
				       (long)(free_ - nr_free_pages()));
		scope_.reset();
		if (const unsigned int warnings = pv_machine_destroy(machine_))
			ctx_.violation("the machine warned %u times", warnings);
	}
	machine_owner(const machine_owner &) = delete;
	machine_owner &operator=(const machine_owner &) = delete;

	pv_machine *get() const { return machine_; }

private:
	context &ctx_;
	pv_machine *machine_;
	std::unique_ptr<machine_scope> scope_;
	unsigned long free_;
};

/* A frame of @gfn; 0 is never a stamp. */
struct page *make_frame(unsigned long gfn, unsigned long nr, u32 time)
{
	struct page *page = alloc_page(GFP_KERNEL);

	if (page)
		std::fill_n(static_cast<u32 *>(page_address(page)), WORDS,
			    (u32)(gfn + nr * (1 + time % 1000000)));
	return page;
}

/* ---- p2m ---- */

class p2m_load
{
public:
	p2m_load(context &ctx, struct p2m *p2m, std::mt19937 random)
		: ctx_(ctx), p2m_(p2m), nr_(p2m_nr_gfns(p2m)), random_(random)
	{
	}

	void round()
	{
		static constexpr void (p2m_load::*actions[])() = {
			&p2m_load::look_up,      &p2m_load::look_up, &p2m_load::take_page,
			&p2m_load::two,          &p2m_load::change,  &p2m_load::populate,
			&p2m_load::take_away,    &p2m_load::retype,  &p2m_load::read_foreign,
			&p2m_load::store_foreign};

		for (int i = 0; i < ROUND && !ctx_.over(); i++)
			(this->*actions[random_() % std::size(actions)])();
	}

private:
	gfn_t any() { return _gfn(random_() % nr_); }

	void check(const struct page *page, gfn_t gfn, const char *by)
	{
		const auto *words = static_cast<const volatile u32 *>(page_address(page));
		const u32 first = words[0];

		if (page_ref_count(page) < 1)
			ctx_.violation("%s: a frame of gfn %lu is free", by, gfn.val);
		for (unsigned int i = 0; i < WORDS; i += 61) {
			if (i != STORED && (words[i] != first || first % nr_ != gfn.val))
				ctx_.violation("%s: gfn %lu holds %u and %u", by, gfn.val, first,
					       words[i]);
		}
	}
	void look_up()
	{
		const gfn_t gfn = any();
		held_gfn held(p2m_, gfn);

		if (held.page())
			check(held.page(), gfn, "held");
		ctx_.count("lookups").add();
	}
	void take_page()
	{
		const gfn_t gfn = any();
		struct page *page = get_page_from_gfn(p2m_, gfn, nullptr);

		if (page) {
			check(page, gfn, "page");
			put_page(page);
		}
		ctx_.count("lookups").add();
	}
	void two()
	{
		const gfn_t a = any(), b = any();
		struct gfn_ref first, second;

		if (get_two_gfns(p2m_, a, b, &first, &second))
			return;
		if (first.page)
			check(first.page, a, "first of two");
		if (second.page)
			check(second.page, b, "second of two");
		put_gfn(&second);
		if (!ctx_.injected("missing-put"))
			put_gfn(&first);
	}
	void did(int err, const char *what)
	{
		if (!err)
			ctx_.count("updates").add();
		else if (err == -EAGAIN)
			ctx_.count("refused").add();
		else if (err != -EBUSY && err != -ENOENT && err != -EEXIST)
			ctx_.violation("%s: error %d", what, err);
	}
	void put_in(int (*put)(p2m_load *, gfn_t, struct page *), const char *what)
	{
		const gfn_t gfn = any();
		struct page *page =
			make_frame(gfn.val + ctx_.injected("wrong-frame"), nr_, (u32)random_());
		const int err = page ? put(this, gfn, page) : -EBUSY;

		if (page && err)
			put_page(page);
		did(err, what);
	}
	void change()
	{
		put_in(
			[](p2m_load *load, gfn_t gfn, struct page *page) {
				return p2m_change_frame(load->p2m_, gfn, page, P2M_REVOKE);
			},
			"change");
	}
	void populate()
	{
		put_in(
			[](p2m_load *load, gfn_t gfn, struct page *page) {
				return p2m_populate(load->p2m_, gfn, page, p2m_ram_rw, P2M_TRY);
			},
			"populate");
	}
	void take_away() { did(p2m_remove(p2m_, any(), P2M_REVOKE), "remove"); }
	void retype()
	{
		const gfn_t gfn = any();
		const bool to_ro = random_() % 2;

		did(p2m_change_type(p2m_, gfn, to_ro ? p2m_ram_rw : p2m_ram_ro,
				    to_ro ? p2m_ram_ro : p2m_ram_rw, P2M_REVOKE),
		    "retype");
		held_gfn held(p2m_, gfn);

		if (!held.page() || held.type() != p2m_ram_ro)
			return;
		const auto *word =
			static_cast<const volatile u32 *>(page_address(held.page())) + STORED;
		const u32 before = *word;

		check(held.page(), gfn, "read-only");
		if (*word != before)
			ctx_.violation("gfn %lu was stored to while it was read-only", gfn.val);
	}
	struct xen_foreign *map(gfn_t gfn, bool writable)
	{
		const u64 gfns[] = {gfn.val, (gfn.val + 1) % nr_};
		xen_foreign_config config;

		config.writable = writable;
		config.redirect = random_() % 2;
		return p2m_foreign_map(p2m_, gfns, 2, &config);
	}
	void read_foreign()
	{
		const gfn_t gfn = any();
		struct xen_foreign *f = map(gfn, false);
		u32 words[64];

		if (IS_ERR(f))
			return;
		for (int i = 0; i < 8 && !xen_foreign_read(f, 1024, words, sizeof(words)); i++) {
			for (u32 word : words)
				if (word != words[0] || word % nr_ != gfn.val)
					ctx_.violation("a mapping of gfn %lu was read as %u and %u",
						       gfn.val, words[0], word);
		}
		ctx_.count("foreign").add();
		xen_foreign_unmap(f);
	}
	void store_foreign()
	{
		struct xen_foreign *f = map(any(), true);

		if (IS_ERR(f))
			return;
		for (int i = 0; i < 8; i++)
			static_cast<volatile u32 *>(xen_foreign_addr(f))[STORED] = (u32)random_();
		ctx_.count("foreign").add();
		xen_foreign_unmap(f);
	}

	context &ctx_;
	struct p2m *const p2m_;
	const unsigned long nr_;
	std::mt19937 random_;
};

void run_p2m(context &ctx)
{
	ctx.count("lookups");
	ctx.count("updates");
	for (u64 stream = 0; !ctx.over(); stream += ctx.threads()) {
		machine_owner machine(ctx);
		p2m_config config;

		config.nr_gfns = ctx.number("gfns");
		struct p2m *p2m = p2m_create(&config);

		ctx.in_threads(machine.get(), ctx.threads(), [&](unsigned int t) {
			p2m_load load(ctx, p2m, ctx.random(stream + t));

			for (int i = 0; i < 100 && !ctx.over(); i++)
				load.round();
		});
		struct p2m_stats stats;

		p2m_stats(p2m, &stats);
		ctx.count("revoked").add(stats.revocations);
		ctx.count("redirected").add(stats.redirections);
		p2m_destroy(p2m);
		ctx.count("machines").add();
	}
}

/* ---- paging ---- */

struct paged {
	struct p2m *p2m;
	struct p2m_view *view;
	std::vector<u32> last; /* what its owner stored; 0: nothing is there */

	unsigned long at(unsigned long gfn, unsigned int word) const
	{
		return p2m_view_start(view) + gfn * PAGE_SIZE + word * 4;
	}
};

class vcpu
{
public:
	vcpu(context &ctx, paged &p, unsigned int number, std::mt19937 random)
		: ctx_(ctx), p_(p), number_(number), random_(random)
	{
	}

	void round()
	{
		for (int i = 0; i < ROUND && !ctx_.over(); i++) {
			const unsigned int what = random_() % 64;

			if (what == 0)
				give_away(own());
			else if (what == 1)
				look_up(random_() % p_.last.size());
			else if (what == 2)
				map(random_() % p_.last.size());
			else
				use(own());
		}
	}
	/* Everything of its own. */
	void compare()
	{
		for (unsigned long gfn = number_; gfn < p_.last.size(); gfn += ctx_.threads())
			use(gfn);
	}

private:
	unsigned long own()
	{
		const unsigned long gfn = random_() % p_.last.size();

		return gfn - gfn % ctx_.threads() + number_ < p_.last.size()
			       ? gfn - gfn % ctx_.threads() + number_
			       : number_;
	}
	/* The first word and one at random hold the stamp, or what was there first. */
	void use(unsigned long gfn)
	{
		u32 value, &last = p_.last[gfn];

		if (!last) {
			populate(gfn);
			return;
		}
		if (!guest_loads(p_.at(gfn, 0), &value)) {
			lost(gfn);
			return;
		}
		if (value != last)
			ctx_.violation("gfn %lu holds %u, %u was stored last", gfn, value, last);
		ctx_.count("accesses").add();
		if (random_() % 2) {
			const u32 next = last + (u32)p_.last.size();

			if (!guest_stores(p_.at(gfn, 0), next))
				lost(gfn);
			else if (!ctx_.injected("forgotten-store"))
				last = next;
		}
	}
	void populate(unsigned long gfn)
	{
		struct page *page = make_frame(gfn, p_.last.size(), (u32)random_());
		u32 stamp;

		if (!page)
			return;
		stamp = *static_cast<u32 *>(page_address(page));
		if (p2m_populate(p_.p2m, _gfn(gfn), page, p2m_ram_rw, P2M_WAIT))
			put_page(page);
		else
			p_.last[gfn] = stamp;
	}
	/* Only what could not be read from the swap file may fail. */
	void lost(unsigned long gfn)
	{
		if (p2m_peek_type(p_.p2m, _gfn(gfn)) != p2m_ram_broken)
			ctx_.violation("an access to gfn %lu failed, which is %s", gfn,
				       p2m_type_name(p2m_peek_type(p_.p2m, _gfn(gfn))));
		ctx_.count("broken").add();
		give_away(gfn);
	}
	void give_away(unsigned long gfn)
	{
		const int err = p2m_remove(p_.p2m, _gfn(gfn), P2M_REVOKE);

		if (!err)
			p_.last[gfn] = 0;
		else if (err != -EAGAIN && !(err == -ENOENT && !p_.last[gfn]))
			ctx_.violation("gfn %lu cannot be removed: error %d", gfn, err);
	}
	void look_up(unsigned long gfn)
	{
		struct page *page = get_page_from_gfn(p_.p2m, _gfn(gfn), nullptr);

		if (!page)
			return;
		check(gfn, *static_cast<const volatile u32 *>(page_address(page)), "a lookup");
		put_page(page);
	}
	void map(unsigned long gfn)
	{
		const u64 number = gfn;
		const xen_foreign_config config;
		struct xen_foreign *f = p2m_foreign_map(p_.p2m, &number, 1, &config);
		u32 value;

		if (IS_ERR(f))
			return;
		if (!xen_foreign_read(f, 0, &value, sizeof(value)))
			check(gfn, value, "a foreign mapping");
		xen_foreign_unmap(f);
	}
	void check(unsigned long gfn, u32 value, const char *by)
	{
		if (value % p_.last.size() != gfn)
			ctx_.violation("%s of gfn %lu shows %u", by, gfn, value);
		ctx_.count("seen by others").add();
	}

	context &ctx_;
	paged &p_;
	const unsigned int number_;
	std::mt19937 random_;
};

void run_paged(context &ctx, u64 stream)
{
	machine_owner machine(ctx);
	const unsigned long nr = ctx.number("gfns");
	struct swap_file *swap = swap_file_open(nullptr, nr);
	const p2m_paging_config paging;
	p2m_config config;
	p2m_pager_config pages;
	struct p2m_pager_stats stats;
	struct p2m_stats left;
	paged p;

	config.nr_gfns = nr;
	p.p2m = p2m_create(&config);
	EXPECT_EQ(p2m_paging_enable(p.p2m, &paging), 0);
	swap_file_fail(swap, (unsigned int)ctx.number("swap-errors"), stream + 1);
	pages.swap = swap;
	pages.limit = nr / 4;
	struct p2m_pager *pager = p2m_pager_start(p.p2m, &pages);

	p.view = p2m_view_create(p.p2m, _gfn(0), nr, MMU_DELIVER_INLINE);
	p.last.resize(nr);
	ctx.in_threads(machine.get(), ctx.threads(), [&](unsigned int t) {
		vcpu guest(ctx, p, t, ctx.random(stream + t));

		for (int i = 0; i < 100 && !ctx.over(); i++)
			guest.round();
		guest.compare();
	});
	p2m_pager_stats(pager, &stats);
	ctx.count("paged in").add(stats.page_ins);
	ctx.count("paged out").add(stats.page_outs);
	ctx.count("swap errors").add(stats.write_errors + stats.read_errors);
	swap_file_fail(swap, 0, 0);
	p2m_view_destroy(p.view);
	p2m_pager_stop(pager);
	p2m_stats(p.p2m, &left);
	if (left.paged)
		ctx.violation("%llu entries are counted as paged when all are back",
			      (unsigned long long)left.paged);
	p2m_paging_disable(p.p2m);
	p2m_destroy(p.p2m);
	swap_file_close(swap);
	ctx.count("machines").add();
}

void run_paging(context &ctx)
{
	ctx.count("accesses");
	for (u64 stream = 0; !ctx.over(); stream += ctx.threads())
		run_paged(ctx, stream);
}

} // namespace

} // namespace stress

stress::scenario stress::p2m_scenario()
{
	return {.name = "p2m",
		.checks = "what a lookup or a mapping finds is its gfn's, and stays",
		.settings = {{"gfns", "32", "guest frames"}},
		.faults =
			{
				{"wrong-frame", "a frame is put at a gfn that is not its own"},
				{"missing-put", "an entry stays held"},
			},
		.run = run_p2m};
}

stress::scenario stress::paging_scenario()
{
	return {.name = "paging",
		.checks = "what a guest stores is there, wherever it was meanwhile",
		.settings = {{"gfns", "256", "guest frames; a fourth may be resident"},
			     {"swap-errors", "20", "of 1000 calls of the swap file"}},
		.faults = {{"forgotten-store", "the oracle does not know of a store"}},
		.run = run_paging};
}
