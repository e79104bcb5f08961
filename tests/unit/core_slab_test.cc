// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * kmalloc and its kin: contents, alignment, overflow, accounting, caches, failure injection.
 */
#include "core_test.h"

#include <linux/atomic.h>
#include <linux/slab.h>

#include <cstring>
#include <random>

namespace
{

class Slab : public machine_test
{
protected:
	slab_stats before = {};

	void SetUp() override
	{
		machine_test::SetUp();
		before = pv_machine_slab_stats(machine);
	}

	void TearDown() override
	{
		EXPECT_EQ(pv_machine_slab_stats(machine).objects, before.objects);
		EXPECT_EQ(pv_machine_slab_stats(machine).bytes, before.bytes);
	}
};

TEST_F(Slab, ZeroedArraysCopiesAndStrings)
{
	auto *z = static_cast<unsigned char *>(kcalloc(10, 100, GFP_KERNEL));
	for (int i = 0; i < 1000; i++)
		ASSERT_EQ(z[i], 0);
	EXPECT_EQ(ksize(z), 1000u);
	kfree(z);
	size_t huge = ~static_cast<size_t>(0) / 8 + 2;
	EXPECT_EQ(kcalloc(huge, 8, GFP_KERNEL), nullptr);
	EXPECT_EQ(kmalloc_array(huge, 16, GFP_KERNEL), nullptr);
	EXPECT_EQ(kmalloc_array(1, ~static_cast<size_t>(0) - 8, GFP_KERNEL), nullptr);
	char *s = kstrdup("frame", GFP_KERNEL), *t = kasprintf(GFP_KERNEL, "%s-%d", s, 7);
	EXPECT_STREQ(s, "frame");
	EXPECT_STREQ(t, "frame-7");
	kfree(s);
	kfree(t);
	EXPECT_EQ(kstrdup(nullptr, GFP_KERNEL), nullptr);
	void *m = kmemdup("abc", 4, GFP_KERNEL);
	EXPECT_STREQ(static_cast<char *>(m), "abc");
	kfree(m);
	kfree(nullptr);
	kfree(kmalloc(0, GFP_KERNEL));
}

TEST_F(Slab, KreallocKeepsTheContentsAndTheOldOneOnFailure)
{
	auto *p = static_cast<char *>(krealloc(nullptr, 10, GFP_KERNEL));

	strcpy(p, "123456789");
	p = static_cast<char *>(krealloc(p, 10000, GFP_KERNEL));
	EXPECT_STREQ(p, "123456789");
	p = static_cast<char *>(krealloc(p, 4, GFP_KERNEL));
	EXPECT_EQ(memcmp(p, "1234", 4), 0);
	pv_machine_fail_alloc(machine, 1);
	EXPECT_EQ(krealloc(p, 100, GFP_KERNEL), nullptr);
	EXPECT_EQ(memcmp(p, "1234", 4), 0);
	kfree(p);
}

TEST_F(Slab, TheNthAllocationFailsOnce)
{
	pv_machine_fail_alloc(machine, 3);
	for (int i = 1; i <= 6; i++) {
		void *p = kmalloc(8, GFP_KERNEL);
		EXPECT_EQ(p == nullptr, i == 3);
		kfree(p);
	}
	pv_machine_fail_alloc(machine, 2);
	EXPECT_TRUE(pv_machine_may_alloc(machine));
	EXPECT_FALSE(pv_machine_may_alloc(machine));
	EXPECT_TRUE(pv_machine_may_alloc(machine));
	pv_machine_fail_alloc(machine, 1);
	void *p = kmalloc(8, GFP_KERNEL | __GFP_NOFAIL);
	EXPECT_NE(p, nullptr);
	kfree(p);
	EXPECT_EQ(pv_machine_fail_alloc(machine, 0), 1);
}

TEST_F(Slab, AlignmentsHold)
{
	for (unsigned align : {1u, 16u, 32u, 64u, 128u, 4096u}) {
		kmem_cache *cache = kmem_cache_create("aligned", 24, align, 0, nullptr);
		void *p[20];

		for (void *&x : p) {
			x = kmem_cache_alloc(cache, GFP_KERNEL);
			EXPECT_EQ(reinterpret_cast<unsigned long>(x) % align, 0u);
			memset(x, 0xff, 24);
		}
		for (void *x : p)
			kmem_cache_free(cache, x);
		kmem_cache_destroy(cache);
	}
}

TEST_F(Slab, CachesConstructAndZero)
{
	struct thing {
		long a, b;
	};
	kmem_cache *cache =
		kmem_cache_create("things", sizeof(thing), alignof(thing), SLAB_HWCACHE_ALIGN,
				  [](void *p) { static_cast<thing *>(p)->a = 7; });
	auto *t = static_cast<thing *>(kmem_cache_zalloc(cache, GFP_KERNEL));

	EXPECT_EQ(t->a, 7);
	EXPECT_EQ(t->b, 0);
	EXPECT_EQ(reinterpret_cast<unsigned long>(t) % 64, 0u);
	kmem_cache_free(cache, t);
	kmem_cache_free(cache, nullptr);
	kmem_cache_destroy(cache);
	kmem_cache_destroy(nullptr);
}

TEST_F(Slab, ACacheWithObjectsWarns)
{
	pv_machine_config config;
	pv_machine *m;

	config.loglevel = 0;
	m = pv_machine_create(&config, nullptr);
	{
		machine_scope inner(m);
		kmem_cache *cache = kmem_cache_create("leaky", 8, 8, 0, nullptr);
		void *p = kmem_cache_alloc(cache, GFP_KERNEL);

		kmem_cache_destroy(cache);
		kfree(p);
	}
	EXPECT_EQ(pv_machine_destroy(m), 1u);
}

TEST_F(Slab, FreeAttributesCleanUpAndCanBeDisarmed)
{
	char *kept;
	{
		char *dropped __free(kfree) = static_cast<char *>(kmalloc(10, GFP_KERNEL));
		char *moved __free(kfree) = static_cast<char *>(kmalloc(20, GFP_KERNEL));
		char *error __free(kfree) = ERR_PTR(-EIO);

		dropped[0] = 1;
		EXPECT_TRUE(IS_ERR(error));
		kept = no_free_ptr(moved);
		EXPECT_EQ(moved, nullptr);
	}
	EXPECT_EQ(pv_machine_slab_stats(machine).bytes, before.bytes + 20);
	kfree(kept);
}

/* Threads free each other's objects; contents tell whether two got the same memory. */
TEST_F(Slab, ManyThreadsAllocateAndFreeEachOthersObjects)
{
	constexpr int slots = 64;
	void *pool[slots] = {};

	run_together(4, [&](int n) {
		std::mt19937 random(n);

		for (int i = 0; i < 20000; i++) {
			size_t size = sizeof(size_t) + random() % 3000;
			void *fresh = kmalloc(size, GFP_KERNEL), *old;

			*static_cast<size_t *>(fresh) = size;
			memset(static_cast<char *>(fresh) + sizeof(size), n, size - sizeof(size));
			old = xchg(&pool[random() % slots], fresh);
			if (old) {
				EXPECT_EQ(*static_cast<size_t *>(old), ksize(old));
				kfree(old);
			}
		}
	});
	for (void *p : pool)
		kfree(p);
}

} // namespace
