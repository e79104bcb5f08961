/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * modes_test.cc - the three ways to another mode: a program's, the mode file, a viewer's wish
 */
#include <gtest/gtest.h>

#include <cerrno>
#include <cstring>
#include <string>

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "running_daemon.h"
#include "unit/viewers_rfb_client.h"

using namespace e2e;

namespace
{

/* Return: 0 or errno. */
int write_mode(const mount_dir &dir, const std::string &text)
{
	const int fd = open(dir.file("mode").c_str(), O_WRONLY | O_TRUNC | O_CLOEXEC);
	const bool done =
		fd >= 0 && write(fd, text.data(), text.size()) == static_cast<ssize_t>(text.size());
	const int error = done ? 0 : errno;

	if (fd >= 0)
		close(fd);
	return error;
}

std::string mode_of(const mount_dir &dir)
{
	const std::vector<std::uint8_t> text = read_file(dir.file("mode"));

	return {text.begin(), text.end()};
}

} // namespace

TEST(modes, the_file_says_and_sets_the_mode)
{
	mount_dir dir;
	running_daemon daemon(dir, {"--mode", "640x480x32"});

	EXPECT_EQ(mode_of(dir), "640x480x32\n");
	for (const char *mode : {"320x200x8", "400x300x16", "200x100x24", "640x480x32"}) {
		EXPECT_EQ(write_mode(dir, mode + std::string("\n")), 0);
		EXPECT_EQ(mode_of(dir), mode + std::string("\n"));
		const picture_file p = read_png(dir.file("screen.png"));
		EXPECT_EQ(std::to_string(p.width) + "x" + std::to_string(p.height) + "x",
			  std::string(mode).substr(0, std::string(mode).rfind('x') + 1));
	}
	for (const char *nonsense : {"", "x", "640x480", "640x480x31", "0x0x8", "640x480x32 more"})
		EXPECT_EQ(write_mode(dir, nonsense), *nonsense ? EINVAL : 0) << nonsense;
	/* No more than its memory. */
	EXPECT_EQ(write_mode(dir, "641x480x32"), ENOSPC);
	EXPECT_EQ(write_mode(dir, "16000x16000x8"), ENOSPC);
	EXPECT_EQ(mode_of(dir), "640x480x32\n");
}

TEST(modes, more_memory_makes_room_for_larger_ones)
{
	mount_dir dir;
	running_daemon daemon(dir, {"--mode", "640x480x32", "--vram", "8M"});

	EXPECT_EQ(write_mode(dir, "1600x1200x32"), 0);
	EXPECT_EQ(read_png(dir.file("screen.png")).width, 1600u);
	EXPECT_EQ(write_mode(dir, "1600x1400x32"), ENOSPC);
}

TEST(modes, what_was_mapped_stays_mapped)
{
	mount_dir dir;
	running_daemon daemon(dir, {"--mode", "640x480x32"});
	const std::size_t size = std::size_t{640} * 480 * 4;
	const int fd = open(dir.file("fb0").c_str(), O_RDWR | O_CLOEXEC);
	void *const map = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	ASSERT_NE(map, MAP_FAILED);
	for (const char *mode : {"64x48x8", "640x480x32", "100x100x24", "640x480x32"}) {
		ASSERT_EQ(write_mode(dir, mode), 0);
		/* Every page, also where nothing is shown now. */
		std::memset(map, mode[0] + mode[3], size);
	}
	EXPECT_EQ(differing_pixels(dir), 0u);
	munmap(map, size);
	close(fd);
}

TEST(modes, what_the_guest_draws_is_seen_by_who_has_it_mapped)
{
	mount_dir dir;
	running_daemon daemon(dir, {"--mode", "640x480x32", "--pattern"});
	const std::size_t size = std::size_t{640} * 480 * 4;
	const int fd = open(dir.file("fb0").c_str(), O_RDWR | O_CLOEXEC);
	void *const map = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	ASSERT_NE(map, MAP_FAILED);
	for (const char *mode : {"640x480x32", "320x240x32", "640x480x32"}) {
		/* Dirty pages, clean ones, and each after the other. */
		std::memset(map, 0x77, size / 2);
		ASSERT_EQ(write_mode(dir, mode), 0);
		const picture_file p = read_png(dir.file("screen.png"));
		const auto *pixel = static_cast<const std::uint32_t *>(map);
		std::size_t wrong = 0;
		for (std::size_t i = 0; i < p.rgb.size() / 3; i++)
			wrong += (pixel[i] & 0xffffff) !=
				 (unsigned{p.rgb[i * 3]} << 16 | unsigned{p.rgb[i * 3 + 1]} << 8 |
				  p.rgb[i * 3 + 2]);
		EXPECT_EQ(wrong, 0u) << mode;
		/* The first line's edge inverts white; a bar below it does not. */
		EXPECT_EQ(pixel[p.width + 1] & 0xffffff, 0xffffffu);
		EXPECT_EQ(pixel[1] & 0xffffff, 0u);
	}
	munmap(map, size);
	close(fd);
}

TEST(modes, viewers_follow_and_may_ask_for_a_size)
{
	mount_dir dir;
	running_daemon daemon(dir,
			      {"--mode", "640x480x32", "--vram", "4M", "--vnc", free_address()});
	fuse_fb::rfb_client viewer(daemon.vnc_port());

	viewer.shake_hands();
	EXPECT_EQ(viewer.width, 640u);
	viewer.can_resize();
	viewer.request(false);
	viewer.update(); /* now it is known what we can follow */
	ASSERT_EQ(write_mode(dir, "320x200x16"), 0);
	while (viewer.width != 320) {
		viewer.request(true);
		viewer.update();
	}
	viewer.ask_for_size(800, 600);
	while (viewer.answer == -1 || viewer.width != 800) {
		viewer.request(true);
		viewer.update();
	}
	EXPECT_EQ(viewer.answer, 0);
	EXPECT_EQ(mode_of(dir), "800x600x16\n");

	viewer.answer = -1;
	viewer.ask_for_size(8000, 6000);
	while (viewer.answer == -1) {
		viewer.request(true);
		viewer.update();
	}
	EXPECT_NE(viewer.answer, 0);
	EXPECT_EQ(mode_of(dir), "800x600x16\n");
}
