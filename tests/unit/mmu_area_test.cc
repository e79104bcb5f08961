// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Areas of guest programs, with each way of delivering faults.
 *
 *      area    | 0 | 1 | 2 | 3 | ...        what a test maps there: frame base + n
 */
#include "forbid_userfaultfd.h"
#include "mmu_fixture.h"

#include <cstddef>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

namespace
{

using namespace mmu_test;

class mmu_areas : public testing::TestWithParam<mmu_delivery>
{
protected:
	void SetUp() override
	{
		world w;
		const char *problem = mmu_delivery_problem(GetParam());

		if (problem)
			GTEST_SKIP() << problem;
	}
};

std::string delivery_name(const testing::TestParamInfo<mmu_delivery> &info)
{
	return info.param == MMU_DELIVER_INLINE    ? "inline"
	       : info.param == MMU_DELIVER_HANDLER ? "handler"
						   : "mprotect";
}

INSTANTIATE_TEST_SUITE_P(, mmu_areas,
			 testing::Values(MMU_DELIVER_INLINE, MMU_DELIVER_HANDLER,
					 MMU_DELIVER_MPROTECT),
			 delivery_name);

TEST_P(mmu_areas, LoadFaultsOnceAndSeesTheFrame)
{
	world w;
	area a(4, GetParam(), map_frames(w, 10));

	EXPECT_EQ(mmu_area_delivery(a.get()), GetParam());
	*w.word(12) = 1234;
	EXPECT_FALSE(a.pte(2).present);
	for (int i = 0; i < 3; i++)
		EXPECT_EQ(kshim_user_load32(a.at(2)), 1234u);
	EXPECT_EQ(a.read_faults, 1);
	EXPECT_EQ(a.write_faults, 0);
	EXPECT_TRUE(a.pte(2).present);
	EXPECT_FALSE(a.pte(2).writable);
	EXPECT_EQ(a.pte(2).page, w.page(12));
	EXPECT_FALSE(a.pte(1).present);
	EXPECT_FALSE(a.pte(3).present);
}

TEST_P(mmu_areas, FaultsCarryTheirAddressAndKind)
{
	world w;
	std::vector<std::pair<unsigned long, bool>> seen;
	area a(4, GetParam(), [&](area &self, unsigned long addr, bool write) {
		seen.push_back({addr, write});
		return mmu_map(self.get(), addr, w.page(self.index(addr)), write ? MMU_RW : MMU_RO);
	});

	(void)kshim_user_load8(a.at(1, 77));
	kshim_user_store8(a.at(1, 4095), 1);
	kshim_user_store32(a.at(3, 8), 1);
	ASSERT_EQ(seen.size(), 3u);
	EXPECT_EQ(seen[0], std::make_pair(a.at(1, 77), false));
	EXPECT_EQ(seen[1], std::make_pair(a.at(1, 4095), true));
	EXPECT_EQ(seen[2], std::make_pair(a.at(3, 8), true));
}

TEST_P(mmu_areas, InstallingThePteIsAStepOfItsOwn)
{
	world w;
	int calls = 0;
	area a(1, GetParam(), [&](area &self, unsigned long addr, bool write) {
		/* The first two times nothing is installed: the access just comes back. */
		EXPECT_FALSE(self.pte(0).present);
		if (++calls < 3)
			return 0;
		return mmu_map(self.get(), addr, w.page(0), write ? MMU_RW : MMU_RO);
	});

	kshim_user_store32(a.at(0), 5);
	EXPECT_EQ(calls, 3);
	EXPECT_EQ(*w.word(0), 5u);
}

TEST_P(mmu_areas, StoreToReadOnlyRefaultsAndUpgrades)
{
	world w;
	area a(2, GetParam(), map_frames(w, 0));

	EXPECT_EQ(kshim_user_load32(a.at(1)), 0u);
	kshim_user_store32(a.at(1), 1);
	kshim_user_store32(a.at(1), 2);
	EXPECT_EQ(a.read_faults, 1);
	EXPECT_EQ(a.write_faults, 1);
	EXPECT_TRUE(a.pte(1).writable);
	EXPECT_EQ(*w.word(1), 2u);
}

TEST_P(mmu_areas, StoreAfterProtectRefaultsButLoadDoesNot)
{
	world w;
	area a(4, GetParam(), map_frames(w, 0));

	for (u32 round = 1; round <= 5; round++) {
		for (unsigned long i = 0; i < 4; i++)
			kshim_user_store32(a.at(i), round);
		EXPECT_EQ(a.write_faults, 4 * (int)round);
		mmu_protect(a.get(), a.at(0), 4, MMU_RO);
		for (unsigned long i = 0; i < 4; i++) {
			EXPECT_TRUE(a.pte(i).present);
			EXPECT_FALSE(a.pte(i).writable);
			EXPECT_EQ(kshim_user_load32(a.at(i)), round);
		}
	}
	EXPECT_EQ(a.read_faults, 0);
	mmu_protect(a.get(), a.at(2), 1, MMU_RW);
	kshim_user_store32(a.at(2), 9);
	EXPECT_EQ(a.write_faults, 20);
}

TEST_P(mmu_areas, ProtectingPagesThatAreNotThereDoesNotInstallThem)
{
	world w;
	area a(4, GetParam(), map_frames(w, 0));

	kshim_user_store32(a.at(1), 1);
	mmu_protect(a.get(), a.at(0), 4, MMU_RO);
	mmu_protect(a.get(), a.at(0), 4, MMU_RW);
	EXPECT_FALSE(a.pte(0).present);
	EXPECT_TRUE(a.pte(1).writable);
	kshim_user_store32(a.at(0), 1);
	(void)kshim_user_load32(a.at(2));
	EXPECT_EQ(a.write_faults, 2);
	EXPECT_EQ(a.read_faults, 1);
	EXPECT_FALSE(a.pte(2).writable);
}

TEST_P(mmu_areas, ZappedPagesFaultAgainAndTheFrameKeepsItsContent)
{
	world w;
	area a(3, GetParam(), map_frames(w, 7));

	for (unsigned long i = 0; i < 3; i++)
		kshim_user_store32(a.at(i), 100 + (u32)i);
	mmu_protect(a.get(), a.at(2), 1, MMU_RO);
	mmu_zap(a.get(), a.at(1), 2);
	EXPECT_TRUE(a.pte(0).present);
	EXPECT_FALSE(a.pte(1).present);
	EXPECT_FALSE(a.pte(2).present);
	for (u32 i = 0; i < 3; i++)
		EXPECT_EQ(kshim_user_load32(a.at(i)), 100 + i);
	EXPECT_EQ(a.read_faults, 2);
	EXPECT_EQ(a.write_faults, 3);
	kshim_user_store32(a.at(2), 5);
	EXPECT_EQ(a.write_faults, 4);
	EXPECT_EQ(*w.word(9), 5u);
}

TEST_P(mmu_areas, AnotherFrameReplacesTheOldOne)
{
	world w;
	area a(3, GetParam(), map_frames(w, 0));

	for (unsigned long i = 0; i < 3; i++)
		kshim_user_store32(a.at(i), 1);
	for (unsigned long frame = 50; frame < 60; frame++) {
		*w.word(frame) = (u32)frame;
		ASSERT_EQ(mmu_map(a.get(), a.at(1), w.page(frame), MMU_RO), 0);
		EXPECT_EQ(kshim_user_load32(a.at(1)), frame);
		EXPECT_EQ(a.pte(1).page, w.page(frame));
	}
	EXPECT_EQ(a.read_faults, 0);
	EXPECT_EQ(*w.word(1), 1u);
	EXPECT_EQ(kshim_user_load32(a.at(0)), 1u);
	EXPECT_EQ(kshim_user_load32(a.at(2)), 1u);
}

TEST_P(mmu_areas, OneFrameInTwoAreasHasTwoRights)
{
	world w;
	area a(1, GetParam(), map_frames(w, 3)), b(1, GetParam(), map_frames(w, 3));

	kshim_user_store32(a.at(0), 11);
	EXPECT_EQ(kshim_user_load32(b.at(0)), 11u);
	EXPECT_TRUE(a.pte(0).writable);
	EXPECT_FALSE(b.pte(0).writable);
	mmu_protect(a.get(), a.at(0), 1, MMU_RO);
	kshim_user_store32(b.at(0), 12);
	EXPECT_EQ(kshim_user_load32(a.at(0)), 12u);
	EXPECT_EQ(a.write_faults, 1);
}

TEST_P(mmu_areas, FaultThatFailsLeavesKshimTryAndMayWorkLater)
{
	world w;
	bool allowed = false;
	area a(2, GetParam(), [&](area &self, unsigned long addr, bool write) {
		if (!allowed)
			return -EFAULT;
		return mmu_map(self.get(), addr, w.page(self.index(addr)), write ? MMU_RW : MMU_RO);
	});

	EXPECT_FALSE(can_load(a.at(0)));
	EXPECT_FALSE(can_store(a.at(1), 1));
	EXPECT_GE(w.stats().faults_failed, 2u);
	allowed = true;
	EXPECT_TRUE(can_store(a.at(1), 2));
	EXPECT_TRUE(can_load(a.at(0)));
	EXPECT_EQ(*w.word(1), 2u);
}

TEST_P(mmu_areas, BoundFramesShareOneHostMapping)
{
	world w;
	area a(64, GetParam(), map_frames(w, 100));
	std::vector<struct page *> frames;
	u64 before = w.stats().host_mappings;

	for (unsigned long i = 0; i < 64; i++)
		frames.push_back(w.page(100 + i));
	ASSERT_EQ(mmu_bind(a.get(), a.at(0), frames.data(), 64), 0);
	EXPECT_FALSE(a.pte(5).present);
	EXPECT_EQ(w.stats().rebinds, 1u);
	EXPECT_EQ(w.stats().host_mappings, before);
	for (unsigned long i = 0; i < 64; i++)
		kshim_user_store32(a.at(i), (u32)i);
	EXPECT_EQ(w.stats().rebinds, 1u);
	EXPECT_EQ(w.stats().host_mappings, before);
	EXPECT_EQ(a.write_faults, 64);
	EXPECT_EQ(*w.word(163), 63u);
	EXPECT_EQ(mmu_bind(a.get(), a.at(63), frames.data(), 2), -EINVAL);
}

TEST_P(mmu_areas, MappingsBeyondTheBudgetAreRefusedAndComeBack)
{
	world w;
	/* No two neighbours have neighbouring frames. */
	area a(100, GetParam(), [&](area &self, unsigned long addr, bool) {
		return mmu_map(self.get(), addr, w.page(2 * self.index(addr)), MMU_RW);
	});
	unsigned long n = 0;

	mmu_set_mapping_budget(w.machine(), w.stats().host_mappings + 20);
	while (n < 100 && can_store(a.at(n), 1))
		n++;
	EXPECT_GE(n, 10u);
	EXPECT_LT(n, 30u);
	EXPECT_NE(w.log().find("vm.max_map_count"), std::string::npos);
	mmu_set_mapping_budget(w.machine(), 1000);
	EXPECT_TRUE(can_store(a.at(n), 1));
	a.destroy();
	EXPECT_EQ(w.stats().host_mappings, 0u);
}

/* Any of our system calls fails: no access passes unseen, nothing is left behind. */
TEST_P(mmu_areas, AnyFailingSystemCallLeavesNothingBehind)
{
	long nth;

	for (nth = 1; nth < 200; nth++) {
		world w;
		static const mmu_area_ops ops = {
			.fault = [](mmu_area *self, unsigned long addr, bool write) {
				const world *of = static_cast<const world *>(mmu_area_owner(self));
				unsigned long i = (addr - mmu_area_start(self)) >> PAGE_SHIFT;

				return mmu_map(self, addr, of->page(i), write ? MMU_RW : MMU_RO);
			}};
		mmu_fail_call(w.machine(), nth);
		mmu_area *a = mmu_area_create(4 * PAGE_SIZE, GetParam(), &ops, &w);

		if (IS_ERR(a)) {
			EXPECT_EQ(PTR_ERR(a), -ENOMEM);
			continue;
		}
		const unsigned long start = mmu_area_start(a);

		for (u32 round = 0; round < 2; round++) {
			for (unsigned long i = 0; i < 4; i++) {
				unsigned long addr = start + (i << PAGE_SHIFT);

				(void)can_load(addr);
				if (can_store(addr, 7 + round)) {
					EXPECT_TRUE(mmu_pte(a, addr).writable);
					EXPECT_EQ(*w.word(i), 7 + round);
				}
			}
			mmu_protect(a, start, 4, MMU_RO);
			for (unsigned long i = 0; i < 4; i++)
				EXPECT_FALSE(mmu_pte(a, start + (i << PAGE_SHIFT)).writable);
			mmu_zap(a, start + PAGE_SIZE, 2);
			EXPECT_FALSE(mmu_pte(a, start + PAGE_SIZE).present);
		}
		/* Once the failure is over everything works. */
		long left = mmu_fail_call(w.machine(), 0);

		EXPECT_TRUE(can_store(start + PAGE_SIZE, 1));
		EXPECT_TRUE(can_store(start, 1));
		mmu_area_destroy(a);
		if (left)
			break;
	}
	EXPECT_GT(nth, 10);
	EXPECT_LT(nth, 200);
}

TEST_P(mmu_areas, AddressesOutsideAreRefused)
{
	world w;
	area a(2, GetParam(), map_frames(w, 0));

	EXPECT_EQ(mmu_map(a.get(), a.at(2), w.page(0), MMU_RO), -EINVAL);
	EXPECT_EQ(mmu_map(a.get(), a.at(0) - 1, w.page(0), MMU_RO), -EINVAL);
	EXPECT_EQ(mmu_map(a.get(), a.at(0), w.page(0) - 1, MMU_RO), -EINVAL);
	EXPECT_EQ(mmu_map(a.get(), a.at(0), w.page(1024), MMU_RO), -EINVAL);
	EXPECT_FALSE(a.pte(2).present);
	EXPECT_FALSE(can_load(a.at(2)));
	EXPECT_FALSE(can_load(a.at(0) - 4));
	EXPECT_EQ(mmu_area_create(0, GetParam(), nullptr, nullptr), ERR_PTR(-EINVAL));
}

TEST_P(mmu_areas, ThousandAreasComeAndGo)
{
	world w;

	for (int round = 0; round < 10; round++) {
		std::vector<std::unique_ptr<area>> areas;

		for (unsigned long i = 0; i < 100; i++)
			areas.push_back(
				std::make_unique<area>(1 + i % 5, GetParam(), map_frames(w, i)));
		for (u32 i = 0; i < 100; i++)
			kshim_user_store32(areas[i]->at(0), i);
		for (u32 i = 0; i < 100; i += 2)
			areas[i].reset();
		for (u32 i = 1; i < 100; i += 2)
			EXPECT_EQ(*w.word(i), i);
	}
	EXPECT_EQ(w.stats().host_mappings, 0u);
}

TEST_P(mmu_areas, AreaThatIsGoneFaultsForGood)
{
	world w;
	area a(2, GetParam(), map_frames(w, 0));
	unsigned long addr = a.at(0);

	kshim_user_store32(addr, 1);
	a.destroy();
	EXPECT_FALSE(can_load(addr));
	EXPECT_FALSE(can_store(addr, 2));
	EXPECT_EQ(*w.word(0), 1u);
}

TEST_P(mmu_areas, LargeAreaSpansSlots)
{
	world w(16ul << 20);
	area a(2048, GetParam(), map_frames(w, 0)), b(1, GetParam(), map_frames(w, 2048));

	for (unsigned long i = 0; i < 2048; i += 127)
		kshim_user_store32(a.at(i), (u32)i);
	kshim_user_store32(b.at(0), 1);
	EXPECT_EQ(*w.word(127), 127u);
	EXPECT_FALSE(can_load(a.at(2048)));
}

TEST_P(mmu_areas, TwoMachinesShareNoFaultsAndNoFrames)
{
	world first;
	area a(1, GetParam(), map_frames(first, 0));
	{
		world second;
		area b(1, GetParam(), [&](area &self, unsigned long addr, bool) {
			EXPECT_EQ(current_machine(), second.machine());
			return mmu_map(self.get(), addr, second.page(0), MMU_RW);
		});

		/* From a thread that is bound to no machine. */
		std::thread([&] {
			kshim_user_store32(b.at(0), 2);
			kshim_user_store32(a.at(0), 1);
			EXPECT_EQ(current_machine(), nullptr);
		}).join();
		EXPECT_EQ(*second.word(0), 2u);
		EXPECT_EQ(page_to_pfn(second.page(3)), 3u);
		EXPECT_EQ(virt_to_page(page_address(second.page(3))), second.page(3));
		EXPECT_EQ(mmu_map(a.get(), a.at(0), second.page(0), MMU_RW), -EINVAL);
	}
	EXPECT_EQ(*first.word(0), 1u);
	mmu_zap(a.get(), a.at(0), 1);
	EXPECT_EQ(kshim_user_load32(a.at(0)), 1u);
}

TEST_P(mmu_areas, SystemCallsMayTouchHandlerAreasOnly)
{
	world w;
	area a(8, GetParam(), map_frames(w, 0));
	std::vector<char> data(8 * PAGE_SIZE, 'x');
	char path[] = "/tmp/pvshim-mmu-XXXXXX";
	int fd = mkstemp(path);

	ASSERT_GE(fd, 0);
	unlink(path);
	ASSERT_EQ(write(fd, data.data(), data.size()), (ssize_t)data.size());
	errno = 0;
	ssize_t got = pread(fd, (void *)a.at(0), data.size(), 0);

	if (GetParam() == MMU_DELIVER_HANDLER) {
		EXPECT_EQ(got, (ssize_t)data.size());
		EXPECT_EQ(a.write_faults, 8);
		EXPECT_EQ(memcmp((const char *)w.word(7), data.data(), PAGE_SIZE), 0);
		mmu_zap(a.get(), a.at(0), 8);
		EXPECT_EQ(pwrite(fd, (void *)a.at(0), data.size(), 0), (ssize_t)data.size());
		EXPECT_EQ(a.read_faults, 8);
	} else {
		EXPECT_EQ(got, -1);
		EXPECT_EQ(errno, EFAULT);
		EXPECT_EQ(a.write_faults, 0);
	}
	close(fd);
}

TEST_P(mmu_areas, SystemCallOnAFaultThatFailsGetsEfault)
{
	world w;
	area a(1, GetParam(), [](area &, unsigned long, bool) { return -EIO; });
	int fd = open("/dev/zero", O_RDONLY | O_CLOEXEC);

	ASSERT_GE(fd, 0);
	errno = 0;
	EXPECT_EQ(read(fd, (void *)a.at(0), 16), -1);
	EXPECT_EQ(errno, EFAULT);
	close(fd);
}

/* In a process of its own. 0: as it should be. */
int use_inline_area_without_userfaultfd()
{
	world w;
	area a(1, MMU_DELIVER_INLINE, map_frames(w, 0));

	if (mmu_area_delivery(a.get()) != MMU_DELIVER_MPROTECT)
		return 1;
	if (!mmu_delivery_problem(MMU_DELIVER_INLINE) || mmu_delivery_problem(MMU_DELIVER_MPROTECT))
		return 2;
	if (w.log().find("page faults by mprotect and SIGSEGV: userfaultfd cannot be opened") ==
	    std::string::npos)
		return 3;
	kshim_user_store32(a.at(0), 7);
	return *w.word(0) == 7 && a.write_faults == 1 ? 0 : 4;
}

TEST(mmu_areas_death, InlineBecomesMprotectWhereUserfaultfdIsForbidden)
{
	expect_passes_without_userfaultfd(use_inline_area_without_userfaultfd);
}

} // namespace
