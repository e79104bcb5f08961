/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Random maps and unmaps against a plain oracle, under each policy.
 *
 *      live    address -> pages    every page is read through it and says its stamp
 *      old     addresses that were given back; a load faults, or finds the page that was there
 *              (lazy), or belongs to a live area by now
 *
 * Old addresses are probed with real loads: after vm_unmap_aliases() all of them must fault,
 * after a shootdown those of its pages. An address that still worked before a map call, and comes
 * out of it, must be the same area: it was handed out before a flush covered it (I3).
 */
#include "unit/vmap_fixture.h"

#include <algorithm>
#include <map>

using namespace vmap_test;

namespace
{

struct mapping {
	std::vector<page *> pages;
	bool ram;
};

class oracle
{
public:
	oracle(world &w, unsigned int seed) : w_(w), random_(seed), pages_(96) {}

	~oracle()
	{
		while (!live_.empty())
			unmap(live_.begin());
	}
	oracle(const oracle &) = delete;
	oracle &operator=(const oracle &) = delete;

	void step()
	{
		switch (random_() % 16) {
		case 0:
			vm_unmap_aliases();
			for (auto &[addr, what] : old_)
				EXPECT_TRUE(is_gone(addr, what));
			old_.clear();
			break;
		case 1:
			shoot_down();
			break;
		case 2:
			check_all();
			break;
		default:
			if (live_.size() < 12 && random_() % 2)
				map_some();
			else if (!live_.empty())
				unmap(std::next(live_.begin(), (long)(random_() % live_.size())));
		}
	}
	void check_all()
	{
		ASSERT_TRUE(vmap_check()) << w_.log();
		for (auto &[addr, what] : live_) {
			for (size_t i = 0; i < what.pages.size(); i++)
				ASSERT_EQ(load(addr + i * PAGE_SIZE), stamp_of(what.pages[i]));
		}
		for (auto &[addr, what] : old_) {
			for (size_t i = 0; i < what.pages.size(); i++) {
				std::optional<u32> found = load(addr + i * PAGE_SIZE);

				/* Whoever has the address now says what is there. */
				if (found && !find_vm_area(addr + i * PAGE_SIZE)) {
					ASSERT_EQ(*found, stamp_of(what.pages[i]));
				}
			}
		}
	}

private:
	/* Nobody has it, and a load faults; or somebody live has it. */
	bool is_gone(char *addr, const mapping &what)
	{
		for (size_t i = 0; i < what.pages.size(); i++) {
			char *at = addr + i * PAGE_SIZE;

			if (!find_vm_area(at) && load(at))
				return false;
		}
		return true;
	}
	bool still_works(char *addr, const mapping &what)
	{
		return !find_vm_area(addr) && load(addr) == stamp_of(what.pages[0]);
	}
	void map_some()
	{
		mapping what;
		size_t first = random_() % 4 * 8, nr = 1 + random_() % 4;

		/* Of few lists, so that the same ones come again. */
		for (size_t i = 0; i < nr; i++)
			what.pages.push_back(pages_[first + (nr % 2 ? i : nr - i)]);
		what.ram = random_() % 2;
		if (random_() % 8 == 0) {
			what.pages.assign(pages_.data() + 32, pages_.data() + 96);
			what.pages.resize(65 + random_() % 3, pages_[1]);
		}
		std::map<char *, mapping> worked;
		for (auto &[addr, old] : old_) {
			if (still_works(addr, old))
				worked[addr] = old;
		}
		u64 flushes = w_.stats().flushes;
		unsigned int nr_pages = (unsigned int)what.pages.size();
		char *addr =
			static_cast<char *>(what.ram ? vm_map_ram(what.pages.data(), nr_pages, -1)
						     : map(what.pages.data(), nr_pages));

		ASSERT_NE(addr, nullptr);
		if (w_.stats().flushes == flushes)
			check_reuse(addr, what, worked);
		check_overlap(addr, nr_pages);
		/*
		 * What overlaps was flushed, as has just been checked: it is another's address
		 * now.
		 */
		std::erase_if(old_, [&](const auto &old) {
			return old.first + old.second.pages.size() * PAGE_SIZE > addr &&
			       addr + nr_pages * PAGE_SIZE > old.first;
		});
		live_[addr] = what;
	}
	void check_reuse(char *addr, const mapping &what, const std::map<char *, mapping> &worked)
	{
		for (auto &[old_addr, old] : worked) {
			bool apart = old_addr + old.pages.size() * PAGE_SIZE <= addr ||
				     addr + what.pages.size() * PAGE_SIZE <= old_addr;

			EXPECT_TRUE(apart || (old_addr == addr && old.pages == what.pages &&
					      old.ram == what.ram))
				<< "an address was handed out before a flush covered it";
		}
	}
	void check_overlap(char *addr, size_t nr)
	{
		for (auto &[other, what] : live_) {
			EXPECT_TRUE(other + what.pages.size() * PAGE_SIZE <= addr ||
				    addr + nr * PAGE_SIZE <= other);
		}
	}
	void unmap(std::map<char *, mapping>::iterator it)
	{
		auto [addr, what] = *it;

		live_.erase(it);
		old_[addr] = what;
		if (what.ram)
			vm_unmap_ram(addr, (unsigned int)what.pages.size());
		else
			vunmap(addr);
	}
	void shoot_down()
	{
		page *victims[2] = {pages_[random_() % 32], pages_[random_() % 96]};
		bool is_live = false;
		auto hit = [&](const mapping &what) {
			return std::any_of(what.pages.begin(), what.pages.end(), [&](page *p) {
				return p == victims[0] || p == victims[1];
			});
		};

		for (auto &[addr, what] : live_)
			is_live |= hit(what);
		EXPECT_EQ(vmap_shootdown(victims, 2), is_live ? -EBUSY : 0);
		for (page *victim : victims)
			EXPECT_FALSE(page_has_lazy_alias(victim));
		for (auto it = old_.begin(); it != old_.end();) {
			if (hit(it->second)) {
				EXPECT_TRUE(is_gone(it->first, it->second));
				it = old_.erase(it);
			} else {
				++it;
			}
		}
	}

	world &w_;
	std::mt19937 random_;
	page_set pages_;
	std::map<char *, mapping> live_, old_;
};

} // namespace

class mm_vmap_random : public testing::TestWithParam<const char *>
{
};

TEST_P(mm_vmap_random, agrees_with_the_oracle)
{
	for (unsigned int seed = 1; seed <= 8; seed++) {
		SCOPED_TRACE("seed " + std::to_string(seed));
		world w(GetParam());
		oracle o(w, seed);

		for (int i = 0; i < 1500 && !HasFatalFailure(); i++)
			o.step();
		o.check_all();
	}
}

INSTANTIATE_TEST_SUITE_P(policies, mm_vmap_random,
			 testing::Values("vmap.policy=lazy+revive", "vmap.policy=lazy",
					 "vmap.policy=batch:5", "vmap.policy=eager",
					 "vmap.lazy_pages=40", "vmap.window_pages=700",
					 "vmap.debug vmap.lazy_pages=60"),
			 [](const auto &param) { return std::to_string(param.index); });
