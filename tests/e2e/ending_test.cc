/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * ending_test.cc - ends while pages of the mapping are dirty hang nobody
 *
 * The daemon maps a file of its own mount (state DENSE). Giving the mapping up sends dirty pages,
 * and somebody must answer: own_file.h tells how an unmapping is kept from it, mm_holder.h how the
 * end of a killed daemon is.
 */
#include <gtest/gtest.h>

#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <fstream>
#include <thread>

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fb_fs.h"
#include "memory_sink.h"
#include "running_daemon.h"

using namespace e2e;

namespace
{

constexpr std::chrono::seconds soon{20};

bool looks(const running_daemon &d)
{
	return d.screen("fb0")["tracker"]["state"] == "dense";
}

bool maps_fb0(const child &daemon, const mount_dir &dir)
{
	std::ifstream maps("/proc/" + std::to_string(daemon.pid()) + "/maps");
	const std::string file = dir.file("fb0");
	std::string line;

	while (std::getline(maps, line))
		if (line.ends_with(file))
			return true;
	return false;
}

/* A mount of ours with one file that nobody tracks. */
class bare_mount : public fuse_fb::fs_host
{
public:
	explicit bare_mount(const mount_dir &dir) : fs(*this, false)
	{
		fuse_fb::channel_config config;

		ino = fs.add_file("fb0", std::make_shared<page>());
		config.mount_point = dir.path();
		config.source = "ending_test";
		channel =
			std::make_unique<fuse_fb::fuse_channel>(config, fuse_fb::fb_fs::ops(), &fs);
		channel->start();
	}

	fuse_fb::fb_fs fs;
	std::unique_ptr<fuse_fb::fuse_channel> channel;
	std::uint64_t ino;

private:
	struct page : fuse_fb::served_file {
		fuse_fb::content &bytes() override { return bytes_; }
		void accessed() override {}
		void unused() override {}
		void control(unsigned, std::string, control_answer answer) override
		{
			answer(-ENOTTY, "");
		}
		fuse_fb::content bytes_{
			std::make_unique<fuse_fb::memory_sink>(4096), 4096, {4096, true}};
	};
	std::shared_ptr<fuse_fb::served_file> create_file(const std::string &, int *error) override
	{
		*error = -EPERM;
		return nullptr;
	}
	void file_created(const std::string &, std::uint64_t,
			  std::shared_ptr<fuse_fb::served_file>) override
	{
	}
	void file_removed(std::uint64_t) override {}
	void file_forgotten(std::shared_ptr<fuse_fb::served_file>) override {}
	void run_job(std::function<void()> job) override { job(); }
};

} // namespace

TEST(ending, killed_daemon_ends_by_itself_whatever_is_dirty)
{
	for (int round = 0; round < 4; round++) {
		mount_dir dir;
		running_daemon d(dir);
		child c = drawer(dir, "600");
		struct stat st {
		};

		ASSERT_TRUE(eventually([&] { return looks(d); }));
		ASSERT_TRUE(maps_fb0(d.process(), dir)) << "not what this test is about";
		d.process().signal(SIGKILL);
		ASSERT_TRUE(d.process().wait(soon)) << "it waits for an answer of its own";
		EXPECT_EQ(stat(dir.file("fb0").c_str(), &st), -1);
		EXPECT_EQ(errno, ENOTCONN);
		c.kill();
		EXPECT_TRUE(c.wait(soon)) << "the program hangs";
	}
}

TEST(ending, daemon_and_program_in_the_same_instant)
{
	for (int round = 0; round < 8; round++) {
		mount_dir dir;
		running_daemon d(dir, {"--mode", "1920x1080x32"});
		child c = drawer(dir, "600");

		ASSERT_TRUE(eventually([&] { return looks(d); }));
		d.process().signal(SIGTERM);
		c.signal(round % 2 ? SIGKILL : SIGTERM);
		ASSERT_TRUE(d.process().wait(soon)) << "stuck between unmapping and serving";
		EXPECT_EQ(d.process().code(), 0) << d.process().output();
		EXPECT_TRUE(c.wait(soon));
		EXPECT_EQ(dir.mounts(), 0);
	}
}

TEST(ending, mapping_stays_as_long_as_somebody_may_dirty_pages_of_it)
{
	mount_dir dir;
	running_daemon d(dir);
	child c = drawer(dir, "1");

	ASSERT_TRUE(eventually([&] { return looks(d); }));
	ASSERT_TRUE(c.wait_for_output("drew"));
	ASSERT_TRUE(eventually([&] { return d.screen("fb0")["tracker"]["state"] == "idle"; }));
	EXPECT_TRUE(maps_fb0(d.process(), dir)) << "unmapped while the program has it";
	c.close_stdin();
	ASSERT_TRUE(c.wait());
	EXPECT_TRUE(eventually([&] { return !maps_fb0(d.process(), dir); }))
		<< "keeps the mount busy for nothing";
	EXPECT_EQ(differing_pixels(dir), 0u);
}

/* Each close lets the daemon give its own descriptor up; the next open comes in the middle. */
TEST(ending, opens_that_come_while_the_daemon_lets_go_are_served)
{
	mount_dir dir;
	running_daemon d(dir);
	const std::string file = dir.file("fb0");
	unsigned failed = 0;

	for (unsigned round = 1; round <= 3000; round++) {
		const int fd = open(file.c_str(), O_RDWR | O_CLOEXEC);
		void *p = fd < 0 ? MAP_FAILED
				 : mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

		ASSERT_NE(p, MAP_FAILED) << std::strerror(errno);
		if (*static_cast<volatile unsigned *>(p) != round - 1)
			failed++;
		*static_cast<volatile unsigned *>(p) = round;
		munmap(p, 4096);
		close(fd);
	}
	EXPECT_EQ(failed, 0u) << "stores got lost between two programs";
	EXPECT_EQ(differing_pixels(dir), 0u);
	EXPECT_EQ(d.screen("fb0")["users"], 0);
}

/* What keeps the unmapping alone with the file: without it, a page could be dirty again. */
TEST(ending, opens_wait_for_the_end_of_a_sole_use)
{
	mount_dir dir;
	bare_mount m(dir);
	const std::string file = dir.file("fb0");
	std::atomic<bool> over{false};
	struct stat st {
	};
	bool waited = false;
	int fd = -1;
	std::thread opener;

	/* Known to the kernel: what comes now is the OPEN alone. */
	ASSERT_EQ(stat(file.c_str(), &st), 0);
	{
		const fuse_fb::fb_fs::sole_use alone(m.fs, m.ino);
		const std::uint64_t before = m.channel->newest_ticket();

		ASSERT_TRUE(alone);
		opener = std::thread([&] {
			fd = open(file.c_str(), O_RDWR | O_CLOEXEC);
			waited = over;
		});
		EXPECT_TRUE(eventually([&] { return m.channel->newest_ticket() > before; }));
		/* Others are served meanwhile: long enough for an answer to have come. */
		for (int i = 0; i < 100; i++)
			EXPECT_NE(stat(dir.file("missing" + std::to_string(i)).c_str(), &st), 0);
		EXPECT_EQ(m.fs.users(m.ino), 0u);
		over = true;
	}
	opener.join();
	EXPECT_GE(fd, 0);
	EXPECT_TRUE(waited) << "opened in the middle of a sole use";
	EXPECT_EQ(m.fs.users(m.ino), 1u);
	{
		const fuse_fb::fb_fs::sole_use alone(m.fs, m.ino);

		EXPECT_FALSE(alone) << "somebody has it open";
	}
	close(fd);
	EXPECT_TRUE(eventually([&] { return m.fs.users(m.ino) == 0; }));
}
