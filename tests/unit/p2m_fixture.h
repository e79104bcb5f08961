/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * p2m_fixture.h - a machine with an allocator, and guests' p2ms on it
 */
#ifndef TESTS_UNIT_P2M_FIXTURE_H
#define TESTS_UNIT_P2M_FIXTURE_H

#include "core_test.h"

#include <kshim/mmu.h>
#include <kshim/user.h>
#include <linux/mm.h>
#include <xen/p2m.h>

#include <cstring>

/* A machine; destroying it must not warn: no page, object, mapping or thread is left. */
class p2m_world : public testing::Test
{
protected:
	p2m_world()
	{
		static const machine_initcall *const calls[] = {&mmu_initcall, &mm_initcall,
								nullptr};
		pv_machine_config config;

		config.memory_bytes = 32ul << 20;
		machine = pv_machine_create(&config, calls);
		scope = std::make_unique<machine_scope>(machine);
		nr_free = nr_free_pages();
		mappings = host_mappings();
	}

	~p2m_world() override
	{
		EXPECT_EQ(nr_free_pages(), nr_free);
		EXPECT_EQ(host_mappings(), mappings);
		scope.reset();
		EXPECT_EQ(pv_machine_destroy(machine), 0u) << "warnings, see the log";
	}

	static u64 host_mappings()
	{
		struct mmu_stats stats;

		::mmu_stats(&stats);
		return stats.host_mappings;
	}

	pv_machine *machine;
	std::unique_ptr<machine_scope> scope;
	unsigned long nr_free;
	u64 mappings;
};

struct p2m_owner {
	explicit p2m_owner(struct p2m *p2m) : p2m(p2m) {}
	~p2m_owner() { p2m_destroy(p2m); }
	p2m_owner(const p2m_owner &) = delete;
	p2m_owner &operator=(const p2m_owner &) = delete;
	operator struct p2m *() const { return p2m; }
	struct p2m *p2m;
};

inline struct p2m *make_p2m(unsigned long nr_gfns, p2m_policy policy = P2M_COUNTED,
			    bool revoke = true)
{
	p2m_config config;

	config.nr_gfns = nr_gfns;
	config.policy = policy;
	config.revoke = revoke;
	struct p2m *p2m = p2m_create(&config);

	EXPECT_FALSE(IS_ERR(p2m));
	return p2m;
}

/* A frame whose words hold @value, put at @gfn. */
inline struct page *fill_gfn(struct p2m *p2m, unsigned long gfn, u32 value,
			     p2m_type type = p2m_ram_rw)
{
	struct page *page = alloc_page(GFP_KERNEL | __GFP_ZERO);
	auto *word = static_cast<u32 *>(page_address(page));

	for (size_t i = 0; i < PAGE_SIZE / sizeof(*word); i++)
		word[i] = value;
	EXPECT_EQ(p2m_populate(p2m, _gfn(gfn), page, type, P2M_TRY), 0);
	return page;
}

inline const char *policy_name(p2m_policy policy)
{
	return policy == P2M_COUNTED ? "counted" : policy == P2M_RWLOCK ? "rwlock" : "percpu";
}

/* The guest's accesses, which may fail. */
inline bool guest_loads(unsigned long address, u32 *value)
{
	struct access {
		unsigned long address;
		u32 *value;
	} a = {address, value};

	return kshim_try(
		[](void *arg) {
			auto *a = static_cast<access *>(arg);

			*a->value = kshim_user_load32(a->address);
		},
		&a);
}

inline bool guest_stores(unsigned long address, u32 value)
{
	struct access {
		unsigned long address;
		u32 value;
	} a = {address, value};

	return kshim_try(
		[](void *arg) {
			auto *a = static_cast<access *>(arg);

			kshim_user_store32(a->address, a->value);
		},
		&a);
}

#endif
