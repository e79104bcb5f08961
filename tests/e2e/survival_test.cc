/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * survival_test.cc - daemon, X server and programs stop, die and come back
 */
#include <gtest/gtest.h>

#include <algorithm>
#include <csignal>
#include <cstring>
#include <ctime>
#include <fstream>

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "running_daemon.h"

using namespace e2e;

namespace
{

/* A stretch of time which is the scenario itself; nothing is waited for. */
void let_pass(double seconds)
{
	timespec t;

	t.tv_sec = static_cast<time_t>(seconds);
	t.tv_nsec = static_cast<long>((seconds - static_cast<double>(t.tv_sec)) * 1e9);
	nanosleep(&t, nullptr);
}

/* How much of it a process uses. */
rlim_t address_space(pid_t pid)
{
	std::ifstream file("/proc/" + std::to_string(pid) + "/statm");
	rlim_t pages = 0;

	file >> pages;
	return pages * static_cast<rlim_t>(sysconf(_SC_PAGESIZE));
}

child x_server(const mount_dir &dir, const std::string &mode = "640x480x24")
{
	return child({"Xvfb", "-displayfd", "1", "-screen", "0", mode, "-fbdir", dir.path(),
		      "-nolisten", "tcp", "-noreset"});
}

} // namespace

TEST(survival, daemon_stopped_while_drawing_loses_nothing)
{
	mount_dir dir;
	running_daemon d(dir);
	child c = drawer(dir, "7");

	let_pass(0.5);
	d.process().signal(SIGSTOP);
	let_pass(5);
	d.process().signal(SIGCONT);
	ASSERT_TRUE(c.wait_for_output("drew")) << "the program hangs";
	EXPECT_EQ(differing_pixels(dir), 0u);
}

TEST(survival, killed_daemon_is_replaced_on_the_same_mount_point)
{
	mount_dir dir;

	for (int round = 0; round < 5; round++) {
		auto d = std::make_unique<running_daemon>(dir);
		child c = drawer(dir, "600");

		/*
		 * Anywhere: between two periods, or in a pull, which then waits for a dead daemon.
		 */
		let_pass(0.1 + 0.03 * round);
		d->process().signal(SIGKILL);

		running_daemon next(dir);
		EXPECT_EQ(dir.mounts(), 1) << "the dead mount is gone, not covered";
		EXPECT_TRUE(d->process().wait()) << "the killed daemon never ends";
		c.kill();
		child again = drawer(dir, "0.2");
		ASSERT_TRUE(again.wait_for_output("drew"));
		EXPECT_EQ(differing_pixels(dir), 0u);
		again.close_stdin();
		EXPECT_TRUE(again.wait());
		next.process().signal(SIGTERM);
		ASSERT_TRUE(next.process().wait());
		EXPECT_EQ(next.process().code(), 0) << next.process().output();
		EXPECT_EQ(dir.mounts(), 0);
	}
}

TEST(survival, killed_daemon_that_nobody_used_and_nobody_waits_for_is_replaced)
{
	mount_dir dir;

	/*
	 * Its parent has not waited for it (in a container often nobody ever does), so it looks as
	 * if it could not end; and no program has a file open.
	 */
	running_daemon d(dir);
	d.process().signal(SIGKILL);
	const std::string stat = "/proc/" + std::to_string(d.process().pid()) + "/stat";
	ASSERT_TRUE(eventually([&] {
		const std::vector<std::uint8_t> text = read_file(stat);

		return std::string(text.begin(), text.end()).find(") Z ") != std::string::npos;
	}));

	running_daemon next(dir);
	EXPECT_EQ(dir.mounts(), 1);
	EXPECT_TRUE(next.shown("fb0"));
}

TEST(survival, of_two_started_at_once_one_gets_the_mount_point)
{
	for (int round = 0; round < 10; round++) {
		mount_dir dir;
		child two[] = {child({daemon_path(), "-f", dir.path()}),
			       child({daemon_path(), "-f", dir.path()})};

		for (child &c : two)
			ASSERT_TRUE(eventually([&] {
				return c.wait(milliseconds(0)) ||
				       c.output().find("now run:") != std::string::npos;
			}));
		const int loser = two[0].code() < 0 ? 1 : 0;
		ASSERT_EQ(two[1 - loser].code(), -1) << "none of them runs";
		EXPECT_EQ(dir.mounts(), 1);
		ASSERT_EQ(two[loser].code(), 3) << "both run: " << two[loser].output();
		EXPECT_NE(two[loser].output().find("in use"), std::string::npos);
		two[1 - loser].signal(SIGTERM);
		ASSERT_TRUE(two[1 - loser].wait());
		EXPECT_EQ(two[1 - loser].code(), 0);
		EXPECT_EQ(dir.mounts(), 0);
	}
}

TEST(survival, killed_x_server_leaves_its_screen_until_another_takes_it)
{
	mount_dir dir;
	running_daemon d(dir);
	const std::string png = dir.file("Xvfb_screen0.png");

	child x = x_server(dir);
	ASSERT_TRUE(eventually([&] { return d.shown("Xvfb_screen0"); })) << x.output();
	x.kill();
	EXPECT_TRUE(d.shown("Xvfb_screen0"));
	EXPECT_EQ(d.stats()["viewed"], "Xvfb_screen0");
	const picture_file left = read_png(png);
	EXPECT_EQ(left.width, 640u);

	/* A larger one in its place: the file grows, the frame with it. */
	x = x_server(dir, "800x600x24");
	ASSERT_TRUE(eventually([&] {
		return d.shown("Xvfb_screen0") && d.screen("Xvfb_screen0")["width"] == 800;
	})) << x.output()
	    << d.process().output() << d.stats().dump(1);
	EXPECT_EQ(read_png(png).width, 800u);

	/* It removes the file when it ends by itself. */
	x.signal(SIGTERM);
	ASSERT_TRUE(x.wait());
	EXPECT_TRUE(eventually([&] { return d.screen("Xvfb_screen0").is_null(); }));
	EXPECT_TRUE(eventually([&] { return access(png.c_str(), F_OK) != 0; }));
	EXPECT_EQ(read_png(dir.file("screen.png")).width, 1024u) << "fb0 is viewed again";
	EXPECT_EQ(d.stats()["viewed"], "fb0");
}

TEST(survival, no_address_space_left_is_survived)
{
	for (const rlim_t more : {0ul, 256ul << 10, 4ul << 20}) {
		mount_dir dir;
		running_daemon d(dir);
		struct stat st {
		};
		const rlimit tight{address_space(d.process().pid()) + more, RLIM_INFINITY};
		const rlimit none{RLIM_INFINITY, RLIM_INFINITY};

		ASSERT_EQ(prlimit(d.process().pid(), RLIMIT_AS, &tight, nullptr), 0);
		/* Threads that have allocated nothing yet do so now, each request another one. */
		for (int i = 0; i < 100; i++)
			EXPECT_NE(stat(dir.file("missing" + std::to_string(i)).c_str(), &st), 0);
		run_command({"cat", dir.file("screen.png"), dir.file("stats.json")});
		ASSERT_EQ(prlimit(d.process().pid(), RLIMIT_AS, &none, nullptr), 0);
		EXPECT_EQ(stat(dir.file("fb0").c_str(), &st), 0) << std::strerror(errno);
		d.process().signal(SIGTERM);
		ASSERT_TRUE(d.process().wait());
		EXPECT_EQ(d.process().code(), 0) << d.process().output();
	}
}

TEST(survival, sigterm_and_sigint_unmount_and_leave_the_folder)
{
	for (const int number : {SIGTERM, SIGINT}) {
		mount_dir dir;
		running_daemon d(dir);
		child c = drawer(dir, "600");

		d.process().signal(number);
		ASSERT_TRUE(d.process().wait());
		EXPECT_EQ(d.process().code(), 0) << d.process().output();
		EXPECT_EQ(dir.mounts(), 0);
		EXPECT_EQ(access(dir.path().c_str(), F_OK), 0);
	}
}

TEST(survival, ends_while_files_are_being_rendered)
{
	for (int round = 0; round < 6; round++) {
		mount_dir dir;
		running_daemon d(dir, {"--mode", "1920x1080x32"});
		std::vector<child> readers;

		/* Pictures, each slow, and behind them the counters. */
		for (int i = 0; i < 8; i++)
			readers.emplace_back(std::vector<std::string>{
				"sh", "-c",
				"while cat \"$0\"/screen.png \"$0\"/stats.json >/dev/null "
				"2>&1; do :; done",
				dir.path()});
		ASSERT_TRUE(eventually(
			[&] { return d.screen("fb0")["display"]["flushes"].get<int>() > 8; }));
		d.process().signal(SIGTERM);
		ASSERT_TRUE(d.process().wait());
		EXPECT_EQ(d.process().code(), 0) << d.process().output();
		EXPECT_EQ(d.process().output().find("fuse:"), std::string::npos)
			<< d.process().output();
		for (child &reader : readers)
			EXPECT_TRUE(reader.wait());
	}
}

TEST(survival, started_without_standard_streams_it_serves_and_ends)
{
	for (const char *closed : {"<&-", ">&-", "2>&-", "<&- >&-", "<&- 2>&-", "<&- >&- 2>&-"}) {
		mount_dir dir;
		const std::string script = std::string("exec \"$0\" \"$1\" ") + closed;

		EXPECT_EQ(run_command({"sh", "-c", script, daemon_path(), dir.path()}).code, 0);
		EXPECT_EQ(dir.mounts(), 1) << closed;
		pid_t pid = 0;
		try {
			const std::vector<std::uint8_t> text = read_file(dir.file("stats.json"));

			pid = nlohmann::json::parse(text.begin(), text.end())["pid"];
		} catch (const std::exception &e) {
			ADD_FAILURE() << closed << ": " << e.what();
			continue;
		}
		ASSERT_EQ(kill(pid, SIGTERM), 0);
		EXPECT_TRUE(eventually([&] { return dir.mounts() == 0; })) << closed;
	}
}

TEST(survival, interrupted_while_it_starts_it_leaves_no_daemon)
{
	mount_dir dir;
	child c({daemon_path(), dir.path()});
	const std::string of = "/proc/" + std::to_string(c.pid()) + "/task/" +
			       std::to_string(c.pid()) + "/children";
	std::string child_pid;

	ASSERT_TRUE(eventually([&] {
		const std::vector<std::uint8_t> text = read_file(of);

		child_pid.assign(text.begin(), text.end());
		return !child_pid.empty();
	}));
	/* Stopped, it cannot be faster than the interrupt. */
	const pid_t pid = static_cast<pid_t>(std::stol(child_pid));
	ASSERT_EQ(kill(pid, SIGSTOP), 0);
	c.signal(SIGINT);
	ASSERT_TRUE(c.wait());
	ASSERT_EQ(c.code(), 128 + SIGINT) << c.output();
	ASSERT_EQ(kill(pid, SIGCONT), 0);
	EXPECT_TRUE(eventually([&] { return kill(pid, 0) != 0 || dir.mounts() == 1; }));
	EXPECT_TRUE(eventually([&] { return dir.mounts() == 0; }, std::chrono::seconds(10)))
		<< "nobody knows of this daemon";
	kill(pid, SIGTERM);
}

TEST(survival, ignored_signals_stay_ignored)
{
	for (const char *name : {"HUP", "INT"}) {
		mount_dir dir;
		child c({"sh", "-c", std::string("trap '' ") + name + "; exec \"$0\" -f \"$1\"",
			 daemon_path(), dir.path()});

		ASSERT_TRUE(c.wait_for_output("now run:")) << c.output();
		c.signal(std::string(name) == "HUP" ? SIGHUP : SIGINT);
		/* An ending daemon says so before it does anything else. */
		EXPECT_FALSE(c.wait_for_output("unmounting", milliseconds(200))) << name;
		c.signal(SIGTERM);
		ASSERT_TRUE(c.wait());
		EXPECT_EQ(c.code(), 0) << c.output();
		EXPECT_EQ(dir.mounts(), 0);
	}
}

TEST(survival, unmounted_from_outside_as_soon_as_nobody_uses_it)
{
	for (const char *tool : {"umount", "fusermount3"}) {
		mount_dir dir;
		running_daemon d(dir);
		child c = drawer(dir, "0.1");

		ASSERT_TRUE(c.wait_for_output("drew"));
		std::vector<std::string> words = {tool, dir.path()};
		if (words[0] == "fusermount3")
			words.insert(words.begin() + 1, "-u");
		EXPECT_NE(run_command(words).code, 0) << "busy: a program has fb0 mapped";
		c.close_stdin();
		ASSERT_TRUE(c.wait());
		/* The daemon itself does not keep it busy for longer than a few periods. */
		EXPECT_TRUE(eventually([&] { return run_command(words).code == 0; })) << tool;
		ASSERT_TRUE(d.process().wait());
		EXPECT_EQ(d.process().code(), 0) << d.process().output();
		EXPECT_EQ(dir.mounts(), 0);
	}
}

/* At one harvest a second: whatever takes a period takes a second. */
TEST(survival, the_last_close_frees_the_mount_at_any_rate)
{
	mount_dir dir;
	running_daemon d(dir, {"--rate", "1"});
	child c = drawer(dir, "0.1");

	ASSERT_TRUE(c.wait_for_output("drew"));
	c.close_stdin();
	ASSERT_TRUE(c.wait());
	const auto closed = std::chrono::steady_clock::now();
	EXPECT_TRUE(eventually([&] { return umount(dir.path().c_str()) == 0; }));
	EXPECT_LT(std::chrono::steady_clock::now() - closed, milliseconds(700));
	ASSERT_TRUE(d.process().wait());
}

/* The folder above is given another name: what is stored is noticed, and so is the last close. */
TEST(survival, the_folder_above_is_moved)
{
	mount_dir dir;
	const std::string above = dir.path() + "/above", moved = dir.path() + "/moved";

	ASSERT_EQ(mkdir(above.c_str(), 0700), 0);
	ASSERT_EQ(mkdir((above + "/screen").c_str(), 0700), 0);
	child daemon({daemon_path(), "-f", "--mode", "320x200x32", above + "/screen"});
	ASSERT_TRUE(daemon.wait_for_output("now run")) << daemon.output();
	ASSERT_EQ(rename(above.c_str(), moved.c_str()), 0);
	{
		const int fd = open((moved + "/screen/fb0").c_str(), O_RDWR | O_CLOEXEC);
		void *p = mmap(nullptr, 320 * 200 * 4, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

		close(fd);
		ASSERT_NE(p, MAP_FAILED);
		std::memset(p, 0x7f, 320 * 200 * 4);
		const picture_file seen = read_png(moved + "/screen/fb0.png");
		EXPECT_EQ(std::count(seen.rgb.begin(), seen.rgb.end(), 0x7f), 320 * 200 * 3);
		munmap(p, 320 * 200 * 4);
	}
	EXPECT_TRUE(eventually([&] { return umount((moved + "/screen").c_str()) == 0; }));
	ASSERT_TRUE(daemon.wait());
	rmdir((moved + "/screen").c_str());
	rmdir(moved.c_str());
}

TEST(survival, unmounted_lazily_while_drawing_ends_with_the_last_program)
{
	mount_dir dir;
	running_daemon d(dir);
	child c = drawer(dir, "0.3");

	ASSERT_EQ(umount2(dir.path().c_str(), MNT_DETACH), 0);
	ASSERT_TRUE(c.wait_for_output("drew"));
	c.close_stdin();
	ASSERT_TRUE(c.wait());
	EXPECT_EQ(c.code(), 0);
	ASSERT_TRUE(d.process().wait());
	EXPECT_EQ(d.process().code(), 0) << d.process().output();
}

TEST(survival, still_screen_costs_no_context_switch)
{
	mount_dir dir;
	running_daemon d(dir, {"--vnc", free_address()});
	child x = x_server(dir);
	child c = drawer(dir, "0.2");

	ASSERT_TRUE(c.wait_for_output("drew"));
	ASSERT_TRUE(eventually([&] { return d.shown("Xvfb_screen0"); })) << x.output();
	/* Programs keep their mappings and store nothing. Looking into /proc wakes nobody. */
	bool still = false;
	for (int i = 0; i < 12 && !still; i++) {
		const std::uint64_t before = d.context_switches();

		let_pass(5);
		still = d.context_switches() == before;
	}
	EXPECT_TRUE(still) << "the daemon never rests";
	EXPECT_EQ(d.screen("fb0")["tracker"]["state"], "idle");
	EXPECT_EQ(d.screen("Xvfb_screen0")["tracker"]["state"], "idle");
	c.close_stdin();
}
