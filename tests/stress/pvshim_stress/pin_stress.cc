// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Pinned page tables under load: every thread has a program that forks, and each is at times the
 * kernel that clears accessed bits, reclaims, maps pages for itself and shoots such mappings down.
 *
 *      thread   parent: anonymous pages, and its words of a file that all map
 *                 stores | fork -> child: is it the parent of that moment? stores, forks, exits
 *               kernel:  page_referenced() of a random page | reclaim_pages() | vmap() of a random
 *                 page, vmap_shootdown() | another mm in a processor's cr3, lazily
 *      round    300 of these by each thread, then alone: all contents, all counts of types
 *      machine  some rounds, with one pin policy; then everything goes, and nothing may be left
 *
 *      oracle: for each mm a copy of what its program stored, in its own memory. A child's begins
 *      as its parent's.
 *
 * Memory is tight: most pages go to swap and come back often, clean ones without a write, so a
 * dirty bit that is lost shows as content that is old.
 */
#include "catalogue.h"

#include <kshim/fault.h>
#include <kshim/machine.h>
#include <kshim/user.h>
#include <kshim/xen_mmu.h>
#include <linux/err.h>
#include <linux/fs.h>
#include <linux/mman.h>
#include <linux/pgtable.h>
#include <linux/vmalloc.h>

#include <barrier>
#include <mutex>

#include <gtest/gtest.h>

namespace stress
{

namespace
{

constexpr unsigned int PAGES = 48, DEPTH = 3, ROUNDS_A_MACHINE = 12, STEPS_A_ROUND = 300;
constexpr size_t MEMORY = 3ul << 20;

class pin_machine
{
public:
	explicit pin_machine(const std::string &policy) : params_("pin.policy=" + policy)
	{
		static const machine_initcall *const calls[] = {&mmu_initcall, &xen_mmu_initcall,
								&mm_initcall, nullptr};
		pv_machine_config config;

		config.memory_bytes = MEMORY;
		config.nr_cpus = XEN_MMU_VCPUS;
		config.params = params_.c_str();
		config.log = [](void *ctx, int, const char *line) {
			static_cast<pin_machine *>(ctx)->keep(line);
		};
		config.log_ctx = this;
		machine_ = pv_machine_create(&config, calls);
		if (IS_ERR(machine_))
			std::abort();
	}
	pin_machine(const pin_machine &) = delete;
	pin_machine &operator=(const pin_machine &) = delete;

	pv_machine *get() { return machine_; }
	unsigned int destroy() { return pv_machine_destroy(machine_); }
	/* What it said so far, in one line. */
	std::string log()
	{
		std::lock_guard held(lock_);

		return log_;
	}

private:
	void keep(const char *line)
	{
		std::lock_guard held(lock_);

		if (log_.size() < 600)
			log_ += std::string(log_.empty() ? "" : " | ") + line;
	}

	const std::string params_;
	pv_machine *machine_;
	std::mutex lock_;
	std::string log_;
};

/* What all programs of a machine share. */
struct subject {
	context &ctx;
	struct file *file;
	struct page *pages;
	unsigned long nr_pages;
	unsigned int programs;
};

/* An address space, and what should be in it. */
class program
{
public:
	program(subject &s, unsigned int number) : s_(s), number_(number), mm_(mm_alloc())
	{
		EXPECT_EQ(mm_alloc_tables(mm_), 0);
		anon_ = vm_mmap(mm_, nullptr, PAGES * PAGE_SIZE, PROT_READ | PROT_WRITE,
				MAP_PRIVATE | MAP_ANONYMOUS, 0);
		file_ = vm_mmap(mm_, s.file, PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, 0);
		EXPECT_FALSE(IS_ERR_VALUE(anon_) || IS_ERR_VALUE(file_));
		EXPECT_EQ(mm_activate(mm_), 0);
		look();
	}
	/* Its child. Null @mm: there was no memory. */
	program(const program &parent, struct mm_struct *mm)
		: s_(parent.s_), number_(parent.number_), mm_(mm), anon_(parent.anon_),
		  file_(parent.file_), oracle_(parent.oracle_), file_oracle_(parent.file_oracle_)
	{
		look();
	}
	~program() { mmput(mm_); }
	program(const program &) = delete;
	program &operator=(const program &) = delete;

	void store(std::mt19937 &random)
	{
		const u32 value = (u32)random(), page = random() % PAGES;

		kshim_user_store32(anon_view_ + page * PAGE_SIZE + word_of(page), value);
		oracle_[page] = value;
	}
	/* Its own word of the page that all share: its children's are the same. */
	void store_to_file(std::mt19937 &random)
	{
		file_oracle_ = (u32)random();
		kshim_user_store32(file_view_ + number_ * sizeof(u32), file_oracle_);
	}
	void check_file() const
	{
		const u32 now = kshim_user_load32(file_view_ + number_ * sizeof(u32));

		if (now != file_oracle_)
			s_.ctx.violation("the file says %u, stored was %u", now, file_oracle_);
	}
	void check_page(u32 page) const
	{
		const u32 now = kshim_user_load32(anon_view_ + page * PAGE_SIZE + word_of(page));

		if (now == oracle_[page])
			return;
		s_.ctx.count("lost dirty bits").add();
		s_.ctx.violation("page %u says %u, stored was %u: lost", page, now, oracle_[page]);
	}
	void check_all() const
	{
		for (u32 page = 0; page < PAGES; page++)
			check_page(page);
	}
	/* Forks; the child looks around, stores, may fork itself, and exits. */
	void fork(std::mt19937 &random, unsigned int depth)
	{
		struct mm_struct *mm = dup_mm(mm_);

		if (IS_ERR(mm)) {
			s_.ctx.count("forks without memory").add();
			EXPECT_EQ(PTR_ERR(mm), -ENOMEM);
			return;
		}
		program child(*this, mm);

		s_.ctx.count("forks").add();
		for (unsigned int i = 0; i < 12 && !s_.ctx.over(); i++) {
			child.check_page(random() % PAGES);
			child.store(random);
			store(random);
			check_page(random() % PAGES);
		}
		if (depth > 1 && random() % 3 == 0)
			child.fork(random, depth - 1);
		if (random() % 4 == 0)
			child.check_all();
	}
	struct mm_struct *mm() { return mm_; }

private:
	static u32 word_of(u32 page) { return page % 1000 * sizeof(u32); }
	void look()
	{
		anon_view_ = mm_view(mm_, anon_);
		file_view_ = mm_view(mm_, file_);
	}

	subject &s_;
	const unsigned int number_;
	struct mm_struct *const mm_;
	unsigned long anon_, file_, anon_view_ = 0, file_view_ = 0;
	std::vector<u32> oracle_ = std::vector<u32>(PAGES);
	u32 file_oracle_ = 0;
};

/* A page that reclaim could come across, locked and with a reference; null: the draw was bad. */
struct page *some_page(const subject &s, std::mt19937 &random)
{
	struct page *page = s.pages + random() % s.nr_pages;

	if (!get_page_unless_zero(page))
		return nullptr;
	if (READ_ONCE(page->mapping) && trylock_page(page))
		return page;
	put_page(page);
	return nullptr;
}

void clear_young(const subject &s, std::mt19937 &random)
{
	for (int i = 0; i < 20; i++) {
		struct page *page = some_page(s, random);

		if (!page)
			continue;
		s.ctx.count("young cleared").add((u64)page_referenced(page));
		unlock_page(page);
		put_page(page);
	}
}

/* Pages that are no tables now; one may become a table while the alias is lazily there. */
void map_and_shoot(const subject &s, std::mt19937 &random)
{
	struct page *page = alloc_page(GFP_KERNEL | __GFP_NOWARN);
	int err;

	if (!page)
		return;
	if (void *addr = vmap(&page, 1, VM_MAP, PAGE_KERNEL))
		vunmap(addr);
	if (random() % 4 == 0) {
		err = vmap_shootdown(&page, 1);
		EXPECT_EQ(err, 0);
		s.ctx.count("shootdowns").add();
	}
	put_page(page);
}

/* As if a store had gone past every page table. */
void damage(const subject &s)
{
	for (unsigned long i = 0; i < s.nr_pages; i++) {
		if (page_mapcount(s.pages + i) == 0)
			continue;
		auto *words = static_cast<u32 *>(page_address(s.pages + i));

		for (unsigned int word = 0; word < PAGE_SIZE / sizeof(u32); word++)
			words[word] ^= 1;
	}
}

void step(const subject &s, program &own, unsigned int vcpu, std::mt19937 &random)
{
	switch (random() % 16) {
	case 0:
	case 1:
		own.fork(random, DEPTH);
		break;
	case 2:
	case 3:
	case 4:
		clear_young(s, random);
		break;
	case 5:
		s.ctx.count("reclaimed").add(reclaim_pages(1 + random() % 8));
		break;
	case 6:
	case 7:
		map_and_shoot(s, random);
		break;
	case 8:
		switch_mm(vcpu, own.mm(), random() % 2);
		break;
	case 9:
		own.check_file();
		own.store_to_file(random);
		break;
	default:
		own.store(random);
		own.check_page(random() % PAGES);
		break;
	}
	s.ctx.count("steps").add();
}

/* Nobody does anything. */
void look_around(subject &s, pin_machine &m, const std::vector<std::unique_ptr<program>> &programs)
{
	struct xen_mmu_stats xen;

	if (s.ctx.injected("unseen-stores"))
		damage(s);
	for (const auto &p : programs) {
		p->check_all();
		p->check_file();
	}
	xen_mmu_stats(&xen);
	if (xen.oopses)
		s.ctx.violation("%llu oopses: %s", (unsigned long long)xen.oopses, m.log().c_str());
	else if (!xen_mmu_check())
		s.ctx.violation("the counts of types are wrong: %s", m.log().c_str());
	s.ctx.count("rounds").add();
}

void run_programs(subject &s, pin_machine &m, u64 stream)
{
	std::vector<std::unique_ptr<program>> programs;
	std::barrier start(s.programs);
	std::atomic<bool> stop = false;

	for (unsigned int t = 0; t < s.programs; t++)
		programs.push_back(std::make_unique<program>(s, t));
	s.ctx.in_threads(m.get(), s.programs, [&](unsigned int t) {
		std::mt19937 random = s.ctx.random(stream + t);

		for (unsigned int round = 0; !stop; round++) {
			for (unsigned int i = 0; i < STEPS_A_ROUND && !s.ctx.over(); i++)
				step(s, *programs[t], t % XEN_MMU_VCPUS, random);
			start.arrive_and_wait();
			if (t == 0) {
				look_around(s, m, programs);
				stop = s.ctx.over() || round + 1 == ROUNDS_A_MACHINE;
			}
			start.arrive_and_wait();
		}
	});
	for (unsigned int vcpu = 0; vcpu < XEN_MMU_VCPUS; vcpu++)
		leave_mm(vcpu);
}

void run_machine(context &ctx, const std::string &policy, u64 stream)
{
	pin_machine m(policy);
	struct pgtable_stats pgtable;
	struct xen_mmu_stats xen;
	unsigned int warnings;

	{
		machine_scope bound(m.get());
		subject s = {.ctx = ctx,
			     .file = memfd_file(1),
			     .pages = nullptr,
			     .nr_pages = 0,
			     .programs = ctx.threads()};

		s.pages = mmu_page_array(&s.nr_pages);
		run_programs(s, m, stream);
		fput(s.file);
		vm_unmap_aliases();
		pgtable_stats(&pgtable);
		xen_mmu_stats(&xen);
		if (!ctx.violations() && nr_free_pages() != totalram_pages())
			ctx.violation("%lu pages are left", totalram_pages() - nr_free_pages());
		for (unsigned long i = 0; i < s.nr_pages && !ctx.violations(); i++) {
			const struct xen_frame frame = xen_frame(s.pages + i);

			if (frame.type != XEN_PGT_writable || frame.count != 1)
				ctx.violation("frame %lu is left with type %d, count %u", i,
					      frame.type, frame.count);
		}
	}
	warnings = m.destroy();
	if (warnings && !ctx.violations())
		ctx.violation("%u warnings: %s", warnings, m.log().c_str());
	ctx.count("emulated stores").add(xen.emulated);
	ctx.count("pins").add(pgtable.pins);
	ctx.count("swapped out").add(pgtable.swap_outs);
	ctx.count("dropped clean").add(pgtable.clean_outs);
	ctx.count("machines").add();
}

void run(context &ctx)
{
	const char *const policies[] = {"atomic", "pte-lock", "hypercall", "late-visible"};
	const std::string &asked = ctx.text("policy");
	u64 stream = 0;

	ctx.count("forks");
	ctx.count("young cleared");
	ctx.count("reclaimed");
	ctx.count("lost dirty bits");
	for (unsigned int i = 0; !ctx.over(); i++, stream += ctx.threads())
		run_machine(ctx,
			    ctx.injected("historical") ? "historical"
			    : asked == "all"           ? policies[i % 4]
						       : asked,
			    stream);
}

} // namespace

} // namespace stress

stress::scenario stress::pin_scenario()
{
	return {.name = "pin",
		.checks = "fork, exit, reclaim and pins: no oops, no dirty bit lost, no type left",
		.settings =
			{
				{"policy", "all",
				 "pin.policy of the machines; all: one after the other"},
			},
		.faults =
			{
				{"historical", "the policy of 2007: read-only first, pinned later"},
				{"unseen-stores", "pages change and no page table says so"},
			},
		.run = run};
}
