// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The small parts of the kernel API: bits, lists, counts, strings, errors, jiffies.
 */
#include "core_test.h"

#include <asm/page.h>
#include <linux/atomic.h>
#include <linux/bitmap.h>
#include <linux/kref.h>
#include <linux/list.h>
#include <linux/ratelimit.h>
#include <linux/string.h>

#include <algorithm>
#include <random>

namespace
{

using Api = machine_test;

TEST_F(Api, FindBitAgreesWithLookingAtEachBit)
{
	std::mt19937_64 random(2);
	DECLARE_BITMAP(map, 300);

	for (int round = 0; round < 300; round++) {
		unsigned long size = 1 + random() % 300, start = random() % 310, expected, bit;
		unsigned int weight = 0;

		for (unsigned long &word : map)
			word = round % 3 ? random() & random() & random() : (round % 2 ? 0 : ~0UL);
		for (expected = start; expected < size && !test_bit(expected, map); expected++)
			;
		EXPECT_EQ(find_next_bit(map, size, start), std::min(expected, size));
		for (expected = start; expected < size && test_bit(expected, map); expected++)
			;
		EXPECT_EQ(find_next_zero_bit(map, size, start), std::min(expected, size));
		for_each_set_bit (bit, map, size) {
			EXPECT_TRUE(test_bit(bit, map));
			weight++;
		}
		EXPECT_EQ(bitmap_weight(map, size), weight);
	}
}

TEST_F(Api, BitOperations)
{
	unsigned long *map = bitmap_zalloc(200, GFP_KERNEL);

	EXPECT_TRUE(bitmap_empty(map, 200));
	EXPECT_FALSE(test_and_set_bit(130, map));
	EXPECT_TRUE(test_and_set_bit(130, map));
	EXPECT_EQ(find_first_bit(map, 200), 130u);
	EXPECT_TRUE(test_and_clear_bit(130, map));
	EXPECT_FALSE(test_and_clear_bit(130, map));
	bitmap_set(map, 60, 10);
	EXPECT_EQ(bitmap_weight(map, 200), 10u);
	bitmap_clear(map, 60, 9);
	EXPECT_EQ(find_first_bit(map, 200), 69u);
	EXPECT_EQ(bitmap_weight(map, 69), 0u);
	bitmap_zero(map, 200);
	/* Different bits of one word, set and cleared by four threads: none is lost. */
	run_together(4, [&](int n) {
		for (int i = 0; i < 10001; i++) {
			for (int b = n; b < 64; b += 4)
				i % 2 ? clear_bit(b, map) : set_bit(b, map);
		}
	});
	EXPECT_EQ(map[0], ~0UL);
	bitmap_free(map);
	EXPECT_EQ(GENMASK(7, 4), 0xf0u);
	EXPECT_EQ(GENMASK(63, 0), ~0UL);
	EXPECT_EQ(fls(0), 0);
	EXPECT_EQ(fls(0x80000000u), 32);
	EXPECT_EQ(ilog2(4096), 12);
	EXPECT_EQ(__ffs(0x50), 4u);
	EXPECT_EQ(__fls(0x50), 6u);
}

TEST_F(Api, AtomicsCountExactly)
{
	atomic_t a = ATOMIC_INIT(0);
	atomic64_t b = ATOMIC64_INIT(0);
	u32 word = 0;

	run_together(4, [&](int) {
		for (int i = 0; i < 20000; i++) {
			u32 seen = READ_ONCE(word);

			atomic_inc(&a);
			atomic64_add(3, &b);
			while (!try_cmpxchg(&word, &seen, seen + 1))
				;
		}
	});
	EXPECT_EQ(atomic_read(&a), 80000);
	EXPECT_EQ(atomic64_read(&b), 240000);
	EXPECT_EQ(word, 80000u);
	atomic_set(&a, 1);
	EXPECT_TRUE(atomic_dec_and_test(&a));
	EXPECT_FALSE(atomic_inc_not_zero(&a));
	EXPECT_EQ(atomic_add_return(5, &a), 5);
	EXPECT_EQ(atomic_fetch_or(2, &a), 5);
	EXPECT_EQ(atomic_xchg(&a, 9), 7);
	EXPECT_EQ(atomic_cmpxchg(&a, 8, 1), 9);
	EXPECT_EQ(atomic_cmpxchg(&a, 9, 1), 9);
	EXPECT_EQ(atomic_read(&a), 1);
	const char *text = "a";
	EXPECT_STREQ(xchg(&text, "b"), "a");
	EXPECT_STREQ(cmpxchg(&text, text, nullptr), "b");
	EXPECT_EQ(text, nullptr);
}

struct item {
	int value;
	struct list_head node;
	struct hlist_node hnode;
};

TEST_F(Api, Lists)
{
	LIST_HEAD(list);
	LIST_HEAD(other);
	item items[5], *x, *next;
	std::vector<int> seen;

	EXPECT_TRUE(list_empty(&list));
	for (int i = 0; i < 5; i++) {
		items[i].value = i;
		list_add_tail(&items[i].node, &list);
	}
	list_move(&items[4].node, &list);
	list_move_tail(&items[0].node, &list);
	list_for_each_entry_safe (x, next, &list, node) {
		seen.push_back(x->value);
		if (x->value == 2)
			list_del_init(&x->node);
	}
	EXPECT_EQ(seen, (std::vector<int>{4, 1, 2, 3, 0}));
	EXPECT_TRUE(list_empty(&items[2].node));
	list_splice_tail_init(&list, &other);
	EXPECT_TRUE(list_empty(&list));
	EXPECT_EQ(list_first_entry(&other, item, node)->value, 4);
	EXPECT_EQ(list_last_entry(&other, item, node)->value, 0);
	EXPECT_EQ(list_first_entry_or_null(&list, item, node), nullptr);
	seen.clear();
	list_for_each_entry_reverse(x, &other, node) seen.push_back(x->value);
	EXPECT_EQ(seen, (std::vector<int>{0, 3, 1, 4}));

	struct hlist_head bucket = HLIST_HEAD_INIT;
	struct hlist_node *n;
	for (item &it : items) {
		INIT_HLIST_NODE(&it.hnode);
		hlist_add_head(&it.hnode, &bucket);
	}
	hlist_del_init(&items[4].hnode);
	hlist_del_init(&items[4].hnode);
	hlist_del(&items[1].hnode);
	seen.clear();
	hlist_for_each_entry(x, &bucket, hnode) seen.push_back(x->value);
	EXPECT_EQ(seen, (std::vector<int>{3, 2, 0}));
	hlist_for_each_entry_safe(x, n, &bucket, hnode) hlist_del(&x->hnode);
	EXPECT_TRUE(hlist_empty(&bucket));
}

TEST_F(Api, MisuseOfListsAndCountsIsAViolation)
{
	GTEST_FLAG_SET(death_test_style, "threadsafe");
	LIST_HEAD(list);
	item it;
	refcount_t refs = REFCOUNT_INIT(1);

	list_add(&it.node, &list);
	list_del(&it.node);
	EXPECT_DEATH(list_del(&it.node), "not on a list");
	EXPECT_TRUE(refcount_dec_and_test(&refs));
	EXPECT_FALSE(refcount_inc_not_zero(&refs));
	EXPECT_DEATH(refcount_inc(&refs), "use after free");
	EXPECT_DEATH((void)refcount_dec_and_test(&refs), "one put too many");
	EXPECT_DEATH(BUG_ON(refs.refs.counter == 0), "BUG_ON\\(refs.refs.counter == 0\\)");
}

TEST_F(Api, KrefReleasesOnce)
{
	static int released;
	struct kref kref;

	released = 0;
	kref_init(&kref);
	kref_get(&kref);
	EXPECT_EQ(kref_put(&kref, [](struct kref *) { released++; }), 0);
	EXPECT_EQ(kref_put(&kref, [](struct kref *) { released++; }), 1);
	EXPECT_EQ(released, 1);
	EXPECT_FALSE(kref_get_unless_zero(&kref));
}

TEST_F(Api, Strings)
{
	char buf[5];

	EXPECT_EQ(strscpy(buf, "abcd", sizeof(buf)), 4);
	EXPECT_EQ(strscpy(buf, "abcde", sizeof(buf)), -E2BIG);
	EXPECT_STREQ(buf, "abcd");
	EXPECT_EQ(strscpy(buf, "x", 0), -E2BIG);
	EXPECT_EQ(scnprintf(buf, sizeof(buf), "%d", 123456), 4);
	EXPECT_TRUE(strstarts("device/vfb", "device"));
	EXPECT_FALSE(strstarts("dev", "device"));
}

TEST_F(Api, Numbers)
{
	unsigned long long u;
	long long s;
	unsigned int ui;
	int i;

	EXPECT_EQ(kstrtoull("123\n", 10, &u), 0);
	EXPECT_EQ(u, 123u);
	EXPECT_EQ(kstrtoull("0x1F", 0, &u), 0);
	EXPECT_EQ(u, 31u);
	EXPECT_EQ(kstrtoull("ff", 16, &u), 0);
	EXPECT_EQ(u, 255u);
	EXPECT_EQ(kstrtoll("-5", 10, &s), 0);
	EXPECT_EQ(s, -5);
	EXPECT_EQ(kstrtouint("4294967295", 10, &ui), 0);
	EXPECT_EQ(kstrtouint("4294967296", 10, &ui), -ERANGE);
	EXPECT_EQ(kstrtoint("-2147483648", 10, &i), 0);
	EXPECT_EQ(kstrtoint("2147483648", 10, &i), -ERANGE);
	EXPECT_EQ(kstrtoull("99999999999999999999999", 10, &u), -ERANGE);
	for (const char *bad : {"", " 1", "1 ", "-1", "1x", "x", "+", "1\n\n", "--1"})
		EXPECT_EQ(kstrtoull(bad, 10, &u), -EINVAL) << '"' << bad << '"';
}

TEST_F(Api, ErrorsInPointers)
{
	int *p = ERR_PTR(-ENOSPC);

	EXPECT_TRUE(IS_ERR(p));
	EXPECT_EQ(PTR_ERR(p), -ENOSPC);
	EXPECT_EQ(PTR_ERR_OR_ZERO(p), -ENOSPC);
	char *q = ERR_CAST(p);
	EXPECT_EQ(PTR_ERR(q), -ENOSPC);
	int x;
	EXPECT_FALSE(IS_ERR(&x));
	EXPECT_TRUE(IS_ERR_OR_NULL(nullptr));
	EXPECT_EQ(PTR_ERR_OR_ZERO(&x), 0);
}

TEST_F(Api, RoundingAndMinMax)
{
	EXPECT_EQ(round_up(5, 4), 8);
	EXPECT_EQ(round_up(8ul, 4), 8ul);
	EXPECT_EQ(round_down(7, 4), 4);
	EXPECT_EQ(roundup(7, 5), 10);
	EXPECT_EQ(DIV_ROUND_UP(7, 5), 2);
	EXPECT_EQ(PAGE_ALIGN(1), PAGE_SIZE);
	EXPECT_EQ(clamp(5, 1, 3), 3);
	EXPECT_EQ(min_t(int, 3u, -1), -1);
	EXPECT_EQ(max3(1, 9, 4), 9);
	EXPECT_TRUE(time_after(1ul, ~0ul));
	EXPECT_EQ(msecs_to_jiffies(16), 16000u);
	EXPECT_EQ(jiffies_to_msecs(HZ), 1000u);
}

TEST_F(Api, RatelimitLetsABurstThroughAndCountsTheRest)
{
	struct ratelimit_state rs;
	int through = 0;

	ratelimit_state_init(&rs, 3600 * HZ, 5);
	for (int i = 0; i < 100; i++)
		through += __ratelimit(&rs);
	EXPECT_EQ(through, 5);
}

} // namespace
