/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Guest programs that map the framebuffer, with real faults in each delivery. The historical bugs
 * of such code (facts: what a mapping may do to the dirty record) have a test each.
 *
 *      VMA 1   |p0|p1|p2|...            of the whole frame
 *      VMA 2      |p1|p2|...            mapped at an offset: its page i is the frame's i + 1
 */
#include "unit/video_fixture.h"

#include <atomic>
#include <memory>
#include <random>

using namespace video_test;

namespace
{

struct mm_deleter {
	void operator()(mm_struct *mm) const { mmput(mm); }
};
struct file_deleter {
	void operator()(file *f) const { fput(f); }
};

/* One guest program: an address space, an open device and mappings of it. */
class program
{
public:
	program(fb_info *info, enum mmu_delivery delivery) : mm_(mm_alloc()), file_(fb_open(info))
	{
		mm_->delivery = delivery;
	}
	[[nodiscard]] unsigned long try_map(size_t len, size_t offset = 0,
					    unsigned long prot = PROT_READ | PROT_WRITE)
	{
		return vm_mmap(mm_.get(), file_.get(), len, prot, MAP_SHARED, offset);
	}
	volatile u32 *map(size_t len, size_t offset = 0,
			  unsigned long prot = PROT_READ | PROT_WRITE)
	{
		unsigned long addr = try_map(len, offset, prot);

		EXPECT_FALSE(IS_ERR_VALUE(addr)) << (long)addr;
		return (volatile u32 *)addr;
	}
	int unmap(volatile void *addr, size_t len)
	{
		return vm_munmap(mm_.get(), (unsigned long)addr, len);
	}
	void close() { file_.reset(); }
	void exit()
	{
		mm_.reset();
		close();
	}
	file *get() { return file_.get(); }

private:
	std::unique_ptr<mm_struct, mm_deleter> mm_;
	std::unique_ptr<file, file_deleter> file_;
};

bool delivery_works(enum mmu_delivery delivery)
{
	world w;
	framebuffer fb(mode{});
	program p(fb.info(), delivery);

	return !IS_ERR_VALUE(p.try_map(PAGE_SIZE));
}

bool can_store(volatile u32 *at)
{
	return kshim_try([](void *arg) { *(volatile u32 *)arg = 77; }, (void *)at);
}

bool can_load(volatile u32 *at)
{
	return kshim_try([](void *arg) { (void)*(volatile u32 *)arg; }, (void *)at);
}

constexpr size_t words = PAGE_SIZE / 4;

class video_fb_defio_vma : public testing::TestWithParam<enum mmu_delivery>
{
protected:
	void SetUp() override
	{
		if (!delivery_works(GetParam()))
			GTEST_SKIP() << "this delivery of faults does not work on this host";
	}
	program start(framebuffer &fb) { return program(fb.info(), GetParam()); }
	static u32 frame_word(framebuffer &fb, size_t index)
	{
		return ((const u32 *)fb.frame())[index];
	}
	static u64 write_faults(framebuffer &fb)
	{
		struct fb_defio_vma_stats stats;

		fb_defio_vma_stats(fb.info(), &stats);
		return stats.write_faults;
	}
	static mode quiet()
	{
		mode m;

		m.period = 3600ul * 1000000; /* only flushes harvest */
		return m;
	}
};

} // namespace

TEST_P(video_fb_defio_vma, a_program_sees_the_frame_and_its_stores_arrive_by_themselves)
{
	world w;
	framebuffer fb(mode{});

	fb.info()->screen_buffer[4] = 9;
	program p = start(fb);
	volatile u32 *screen = p.map(fb.size());

	EXPECT_EQ(screen[1], 9u);
	screen[2] = 0x123456;
	/*
	 * The first run may be a leftover; the store's own comes at the latest as the second one.
	 */
	ASSERT_TRUE(fb.wait_refreshes(1));
	ASSERT_EQ(fb_fsync(fb.info()), 0);
	EXPECT_EQ(frame_word(fb, 2), 0x123456u);
	EXPECT_EQ(fb.wrongly_shown(), 0u);
	p.exit();
}

TEST_P(video_fb_defio_vma, reading_never_dirties)
{
	world w;
	framebuffer fb(quiet());
	program p = start(fb);
	volatile u32 *screen = p.map(fb.size());
	struct fb_defio_stats stats;

	for (size_t i = 0; i < fb.size() / 4; i += words)
		EXPECT_EQ(screen[i], 0u);
	EXPECT_EQ(write_faults(fb), 0u);
	fb_defio_stats(fb.info(), &stats);
	EXPECT_EQ(stats.kicks, 0u);
	p.exit();
}

TEST_P(video_fb_defio_vma, many_stores_into_a_page_are_one_fault_a_period)
{
	world w;
	framebuffer fb(quiet());
	program p = start(fb);
	volatile u32 *screen = p.map(fb.size());

	for (u32 period = 1; period <= 3; period++) {
		for (size_t i = 0; i < 2 * words; i++)
			screen[i] = period;
		EXPECT_EQ(write_faults(fb), 2 * period);
		ASSERT_EQ(fb_fsync(fb.info()), 0);
		EXPECT_EQ(frame_word(fb, 0), period);
	}
	p.exit();
}

TEST_P(video_fb_defio_vma, a_store_after_the_harvest_faults_again)
{
	world w;
	framebuffer fb(quiet());
	program p = start(fb);
	volatile u32 *screen = p.map(fb.size());

	for (u32 i = 1; i < 200; i++) {
		screen[3] = i;
		ASSERT_EQ(fb_fsync(fb.info()), 0);
		ASSERT_EQ(frame_word(fb, 3), i);
	}
	p.exit();
}

TEST_P(video_fb_defio_vma, two_mappings_of_one_page_have_one_record)
{
	world w;
	framebuffer fb(quiet());
	program p = start(fb), q = start(fb);
	volatile u32 *one = p.map(fb.size()), *two = q.map(fb.size());
	struct fb_defio_vma_stats stats;

	one[0] = 1;
	two[1] = 2;
	ASSERT_EQ(fb_fsync(fb.info()), 0);
	fb_defio_vma_stats(fb.info(), &stats);
	EXPECT_EQ(stats.pages_harvested, 1u);
	EXPECT_EQ(frame_word(fb, 0), 1u);
	EXPECT_EQ(frame_word(fb, 1), 2u);
	/* Both were protected. */
	one[0] = 3;
	ASSERT_EQ(fb_fsync(fb.info()), 0);
	two[1] = 4;
	ASSERT_EQ(fb_fsync(fb.info()), 0);
	EXPECT_EQ(frame_word(fb, 0), 3u);
	EXPECT_EQ(frame_word(fb, 1), 4u);
	p.exit();
	q.exit();
}

TEST_P(video_fb_defio_vma, a_read_fault_through_a_second_mapping_leaves_the_record_alone)
{
	world w;
	framebuffer fb(quiet());
	program p = start(fb), q = start(fb);
	volatile u32 *one = p.map(fb.size()), *two = q.map(fb.size());

	one[words] = 5;
	EXPECT_EQ(two[words], 5u); /* the same page */
	ASSERT_EQ(fb_fsync(fb.info()), 0);
	EXPECT_EQ(frame_word(fb, words), 5u);
	p.exit();
	q.exit();
}

TEST_P(video_fb_defio_vma, what_is_stored_at_an_offset_arrives_there)
{
	world w;
	framebuffer fb(quiet());
	program p = start(fb);
	volatile u32 *second = p.map(fb.size() - PAGE_SIZE, PAGE_SIZE);

	second[7] = 8;
	ASSERT_EQ(fb_fsync(fb.info()), 0);
	EXPECT_EQ(frame_word(fb, words + 7), 8u);
	EXPECT_EQ(frame_word(fb, 7), 0u);
	second[7] = 9;
	ASSERT_EQ(fb_fsync(fb.info()), 0);
	EXPECT_EQ(frame_word(fb, words + 7), 9u);
	p.exit();
}

TEST_P(video_fb_defio_vma, the_last_image_is_shown_after_unmap_and_close)
{
	world w;
	framebuffer fb(quiet());
	program p = start(fb);
	volatile u32 *screen = p.map(fb.size());

	screen[0] = 10;
	ASSERT_EQ(p.unmap(screen, fb.size()), 0);
	p.exit();
	EXPECT_EQ(frame_word(fb, 0), 10u);
	EXPECT_EQ(fb.wrongly_shown(), 0u); /* and the driver was told */
}

TEST_P(video_fb_defio_vma, the_last_close_flushes_though_the_mapping_lives)
{
	world w;
	framebuffer fb(quiet());
	program p = start(fb);
	volatile u32 *screen = p.map(fb.size());

	/* A mapping holds the file: closing the descriptor alone is not the last close. */
	p.close();
	screen[0] = 11;
	p.exit();
	EXPECT_EQ(frame_word(fb, 0), 11u);
	EXPECT_EQ(fb.wrongly_shown(), 0u);
}

TEST_P(video_fb_defio_vma, one_of_two_programs_closing_does_not_disturb_the_other)
{
	world w;
	framebuffer fb(quiet());
	program p = start(fb), q = start(fb);
	volatile u32 *one = p.map(fb.size()), *two = q.map(fb.size());

	one[0] = 1;
	two[words] = 2;
	p.exit();
	two[words] = 3;
	two[0] = 4;
	ASSERT_EQ(fb_fsync(fb.info()), 0);
	EXPECT_EQ(frame_word(fb, words), 3u);
	EXPECT_EQ(frame_word(fb, 0), 4u);
	two[0] = 5;
	ASSERT_EQ(fb_fsync(fb.info()), 0);
	EXPECT_EQ(frame_word(fb, 0), 5u);
	q.exit();
}

TEST_P(video_fb_defio_vma, mapping_again_shows_the_frame_as_it_is_now)
{
	world w;
	framebuffer fb(quiet());
	program p = start(fb);
	volatile u32 *screen = p.map(fb.size());
	u32 drawn = 77;

	screen[0] = 1;
	ASSERT_EQ(p.unmap(screen, fb.size()), 0);
	fb_damage_absorb(fb.info(), 0, &drawn, 4);
	screen = p.map(fb.size());
	EXPECT_EQ(screen[0], 77u);
	p.exit();
}

TEST_P(video_fb_defio_vma, after_unplugging_every_access_fails_and_nothing_is_freed)
{
	world w;
	auto fb = std::make_unique<framebuffer>(quiet());
	program p = start(*fb);
	size_t size = fb->size();
	volatile u32 *screen = p.map(size);
	fb_info *info = fb->info();

	screen[0] = 12;
	(void)screen[words];
	get_fb_info_ref(info);
	fb->unplug();
	EXPECT_EQ(frame_word(*fb, 0), 12u); /* harvested on the way out */
	fb.reset();
	EXPECT_FALSE(can_store(&screen[0]));
	EXPECT_FALSE(can_load(&screen[0]));
	EXPECT_FALSE(can_load(&screen[words]));
	EXPECT_FALSE(can_store(&screen[2 * words])); /* never touched before */
	EXPECT_EQ(fb_fsync(info), -ENODEV);
	EXPECT_EQ(PTR_ERR(fb_open(info)), -ENODEV);
	EXPECT_EQ((long)p.try_map(size), -ENODEV);
	p.exit();
	put_fb_info(info);
}

TEST_P(video_fb_defio_vma, protections_are_kept)
{
	world w;
	framebuffer fb(quiet());
	program p = start(fb);
	volatile u32 *screen = p.map(fb.size(), 0, PROT_READ);

	EXPECT_EQ(screen[0], 0u);
	EXPECT_FALSE(can_store(&screen[0]));
	EXPECT_FALSE(can_store(&screen[words]));
	EXPECT_EQ(write_faults(fb), 0u);
	p.exit();
}

TEST_P(video_fb_defio_vma, bad_mappings_are_refused)
{
	world w;
	framebuffer fb(quiet());
	program p = start(fb);

	EXPECT_EQ((long)p.try_map(0), -EINVAL);
	EXPECT_EQ((long)p.try_map(fb.size() + PAGE_SIZE), -EINVAL);
	EXPECT_EQ((long)p.try_map(fb.size(), PAGE_SIZE), -EINVAL);
	EXPECT_EQ((long)p.try_map(PAGE_SIZE, ~0ul & PAGE_MASK), -EINVAL);
	EXPECT_EQ((long)p.try_map(PAGE_SIZE, 100), -EINVAL);
	EXPECT_EQ((long)p.try_map(~0ul), -EINVAL);
	volatile u32 *screen = p.map(fb.size());
	EXPECT_EQ(p.unmap(screen, PAGE_SIZE), -EINVAL);
	EXPECT_EQ(p.unmap(screen + words, fb.size()), -EINVAL);
	EXPECT_EQ(p.unmap(screen, fb.size()), 0);
	EXPECT_EQ(p.unmap(screen, fb.size()), -EINVAL);
	p.exit();
}

TEST_P(video_fb_defio_vma, a_frame_that_is_a_file_cannot_be_mapped_by_guests_too)
{
	world w;
	framebuffer fb(quiet());
	program p = start(fb);
	static const fb_defio_mapping_ops ops = {"a file", FB_DEFIO_FILE,
						 [](fb_defio_mapping *) { return false; },
						 [](fb_defio_mapping *) {}};
	fb_defio_mapping file = {&ops, {}};

	ASSERT_EQ(fb_defio_add_mapping(fb.info(), &file), 0);
	EXPECT_EQ((long)p.try_map(fb.size()), -EBUSY);
	fb_defio_remove_mapping(fb.info(), &file);
	p.map(fb.size());
	EXPECT_EQ(fb_defio_add_mapping(fb.info(), &file), -EBUSY);
	p.exit();
}

TEST_P(video_fb_defio_vma, unplugging_while_programs_store_ends_them_and_leaks_nothing)
{
	world w;

	for (int round = 0; round < 10; round++) {
		auto fb = std::make_unique<framebuffer>(mode{});
		fb_info *info = fb->info();
		std::atomic<int> storing = 0;
		std::vector<std::thread> threads;

		get_fb_info_ref(info);
		for (unsigned int t = 0; t < 3; t++) {
			threads.push_back(w.thread([&, t] {
				program p(info, GetParam());
				size_t size = info->screen_size;
				volatile u32 *screen = p.map(size);
				std::mt19937 random(t);

				storing++;
				while (can_store(&screen[random() % (size / 4)]))
					;
				p.exit();
			}));
		}
		while (storing < 3)
			std::this_thread::yield();
		fb.reset();
		for (auto &thread : threads)
			thread.join();
		put_fb_info(info);
	}
}

INSTANTIATE_TEST_SUITE_P(all, video_fb_defio_vma,
			 testing::Values(MMU_DELIVER_INLINE, MMU_DELIVER_HANDLER,
					 MMU_DELIVER_MPROTECT),
			 [](const auto &param) {
				 switch (param.param) {
				 case MMU_DELIVER_INLINE:
					 return "inline";
				 case MMU_DELIVER_HANDLER:
					 return "handler";
				 default:
					 return "mprotect";
				 }
			 });
