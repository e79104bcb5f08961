/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * streams_test.cc - files that are read as it comes, through a real mount: waiting, not waiting,
 * polling, being interrupted, reading slowly, the end; and viewers that read or do not
 */
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstring>
#include <fstream>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include <fcntl.h>
#include <poll.h>
#include <sys/mman.h>
#include <unistd.h>

#include "running_daemon.h"
#include "unit/viewers_rfb_client.h"

using namespace e2e;
using nlohmann::json;

namespace
{

class descriptor
{
public:
	descriptor(const std::string &path, int flags) : fd(open(path.c_str(), flags | O_CLOEXEC))
	{
	}
	~descriptor()
	{
		if (fd >= 0)
			close(fd);
	}
	descriptor(const descriptor &) = delete;
	descriptor &operator=(const descriptor &) = delete;

	bool readable(int ms) const
	{
		pollfd p{fd, POLLIN, 0};

		return poll(&p, 1, ms) == 1;
	}
	/* One line; waits for it. Null: the end, or too long. */
	json line()
	{
		while (text_.find('\n') == std::string::npos) {
			char buf[4096];
			const ssize_t n = readable(60000) ? read(fd, buf, sizeof(buf)) : -1;

			if (n <= 0)
				return nullptr;
			text_.append(buf, static_cast<std::size_t>(n));
		}
		const std::size_t end = text_.find('\n');
		const json one = json::parse(text_.substr(0, end));
		text_.erase(0, end + 1);
		return one;
	}
	const int fd;

private:
	std::string text_;
};

class mapped
{
public:
	mapped(const mount_dir &dir, std::size_t size)
		: file_(dir.file("fb0"), O_RDWR), size_(size),
		  at_(mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED, file_.fd, 0))
	{
		if (at_ == MAP_FAILED)
			throw std::runtime_error("fb0 cannot be mapped");
	}
	~mapped() { munmap(at_, size_); }
	mapped(const mapped &) = delete;
	mapped &operator=(const mapped &) = delete;
	std::uint32_t *pixels() const { return static_cast<std::uint32_t *>(at_); }

private:
	descriptor file_;
	const std::size_t size_;
	void *const at_;
};

constexpr unsigned width = 320, height = 200;
const std::vector<std::string> small = {"--mode", "320x200x32"};

void nothing(int) {}

/* Time until what was just stored is told, the median of many, in ms. */
double damage_latency(descriptor &damage, const mapped &screen, unsigned seconds,
		      std::uint32_t *next)
{
	using clock = std::chrono::steady_clock;
	const auto end = clock::now() + std::chrono::seconds(seconds);
	std::vector<double> ms;

	while (clock::now() < end) {
		const auto begin = clock::now();

		screen.pixels()[*next % (width * height)] = *next;
		++*next;
		damage.line();
		ms.push_back(
			std::chrono::duration<double, std::milli>(clock::now() - begin).count());
	}
	std::sort(ms.begin(), ms.end());
	return ms[ms.size() / 2];
}

std::size_t resident_kb(pid_t pid)
{
	std::ifstream status("/proc/" + std::to_string(pid) + "/status");
	std::string line;

	while (std::getline(status, line))
		if (line.rfind("VmRSS:", 0) == 0)
			return std::stoul(line.substr(6));
	return 0;
}

} // namespace

TEST(streams, damage_tells_where_a_program_drew)
{
	mount_dir dir;
	running_daemon daemon(dir, small);
	descriptor damage(dir.file("damage"), O_RDONLY);
	const mapped screen(dir, width * height * 4);

	EXPECT_EQ(damage.line()["rects"], json::parse("[[0,0,320,200]]"));
	for (const auto &[x, y] : {std::pair{5u, 7u}, std::pair{319u, 199u}}) {
		screen.pixels()[y * width + x] = 0x123456;
		EXPECT_TRUE(damage.readable(60000));
		const json line = damage.line();
		EXPECT_EQ(line["rects"], json({{x, y, 1, 1}}));
		EXPECT_EQ(line["updates"], 1);
	}
	EXPECT_FALSE(damage.readable(0));
}

TEST(streams, who_does_not_want_to_wait_or_is_interrupted)
{
	mount_dir dir;
	running_daemon daemon(dir, small);
	descriptor damage(dir.file("damage"), O_RDONLY | O_NONBLOCK);
	char byte;

	damage.line();
	EXPECT_EQ(read(damage.fd, &byte, 1), -1);
	EXPECT_EQ(errno, EAGAIN);

	struct sigaction act {
	};
	act.sa_handler = nothing; /* without SA_RESTART */
	sigaction(SIGUSR1, &act, nullptr);
	fcntl(damage.fd, F_SETFL, 0);
	const pthread_t reader = pthread_self();
	std::atomic<bool> done{false};
	std::thread other([&] {
		/* Again: one may come before it waits. */
		while (!eventually([&] { return done.load(); }, milliseconds(20)))
			pthread_kill(reader, SIGUSR1);
	});
	EXPECT_EQ(read(damage.fd, &byte, 1), -1);
	EXPECT_EQ(errno, EINTR);
	done = true;
	other.join();
}

TEST(streams, a_reader_that_never_reads_costs_nothing_and_gets_all)
{
	mount_dir dir;
	running_daemon daemon(dir, small);
	descriptor slow(dir.file("damage"), O_RDONLY), quick(dir.file("damage"), O_RDONLY);
	const mapped screen(dir, width * height * 4);
	std::uint64_t last = 0;

	slow.line();
	quick.line();
	for (std::uint32_t i = 1; i <= 40; i++) {
		screen.pixels()[i * 1501] = i;
		last = quick.line()["seq"];
	}
	const json all = slow.line();
	EXPECT_EQ(all["updates"], last - 1);
	EXPECT_FALSE(slow.readable(0));
	EXPECT_GE(all["rects"].size(), 1u);
}

TEST(streams, the_end_of_the_mount_ends_those_who_wait)
{
	mount_dir dir;
	auto daemon = std::make_unique<running_daemon>(dir, small);
	descriptor damage(dir.file("damage"), O_RDONLY);

	damage.line();
	std::thread reader([&] { EXPECT_TRUE(damage.line().is_null()); });
	/* Whether it waits already or comes afterwards: both must end. */
	daemon->process().signal(SIGTERM);
	EXPECT_TRUE(daemon->process().wait());
	EXPECT_EQ(daemon->process().code(), 0);
	reader.join();
}

TEST(streams, ffmpeg_reads_the_film)
{
	if (run_command({"/bin/sh", "-c", "command -v ffmpeg"}).code != 0)
		GTEST_SKIP() << "ffmpeg is not installed";
	mount_dir dir;
	running_daemon daemon(dir, {"--mode", "320x200x32", "--pattern"});
	const std::string file = dir.path() + ".rgb";
	const finished f =
		run_command({"ffmpeg", "-v", "error", "-y", "-i", dir.file("screen.y4m"),
			     "-frames:v", "3", "-pix_fmt", "rgb24", "-f", "rawvideo", file});
	EXPECT_EQ(f.code, 0) << f.output;
	const std::vector<std::uint8_t> film = read_file(file);
	unlink(file.c_str());
	const picture_file p = read_png(dir.file("screen.png"));

	ASSERT_EQ(film.size(), p.rgb.size() * 3);
	int worst = 0;
	for (std::size_t i = 0; i < film.size(); i++)
		worst = std::max(worst, std::abs(film[i] - p.rgb[i % p.rgb.size()]));
	EXPECT_LE(worst, 4) << "more than two conversions lose";
}

TEST(streams, status_shows_what_it_does)
{
	mount_dir dir;
	running_daemon daemon(dir, small);
	const finished f = run_command({daemon_path(), "--status", dir.path()});

	EXPECT_EQ(f.code, 0);
	for (const char *part : {"VNC off", "320x200x32", "fb0", "idle", "refresh/s"})
		EXPECT_NE(f.output.find(part), std::string::npos) << part << " in " << f.output;
	mount_dir nobody;
	EXPECT_EQ(run_command({daemon_path(), "--status", nobody.path()}).code, 3);
}

/* PV_SECONDS of each part; the numbers are printed. */
TEST(streams, clients_that_do_not_read_stall_nobody)
{
	const char *wanted = std::getenv("PV_SECONDS");
	const unsigned seconds = wanted ? static_cast<unsigned>(std::atoi(wanted)) : 4;
	mount_dir dir;
	running_daemon daemon(dir, {"--mode", "320x200x32", "--vnc", free_address()});
	const std::uint16_t port = daemon.vnc_port();
	descriptor damage(dir.file("damage"), O_RDONLY);
	const mapped screen(dir, width * height * 4);

	damage.line();
	std::uint32_t next = 1;
	const double alone = damage_latency(damage, screen, seconds, &next);
	std::atomic<bool> stop{false};
	std::atomic<unsigned> updates{0};
	std::vector<std::thread> readers;
	for (int i = 0; i < 7; i++)
		readers.emplace_back([&] {
			fuse_fb::rfb_client c(port);

			c.shake_hands();
			for (bool first = true; !stop; first = false) {
				c.request(!first);
				if (!c.readable(100) && !stop)
					continue;
				c.update();
				updates++;
			}
		});
	/* Asks for all there is, again and again, and takes nothing. */
	fuse_fb::rfb_client deaf(port, 4096);
	deaf.shake_hands();
	for (int i = 0; i < 200; i++)
		deaf.request(false);
	ASSERT_TRUE(eventually([&] { return updates >= 7; }));
	const std::size_t before = resident_kb(daemon.process().pid());
	const double crowded = damage_latency(damage, screen, seconds, &next);
	const std::size_t after = resident_kb(daemon.process().pid());

	/* libvncserver gives the deaf one 20 s. */
	EXPECT_GE(daemon.stats()["vnc"]["clients"], 7);
	stop = true;
	screen.pixels()[0] = ~0u; /* who waits for an update gets one */
	for (std::thread &r : readers)
		r.join();
	std::printf("  damage is told after %.2f ms alone, %.2f ms with 8 clients (1 deaf); "
		    "%u updates; resident %zu -> %zu kB\n",
		    alone, crowded, updates.load(), before, after);
	/* One refresh period in either case. */
	EXPECT_LT(crowded, alone + 1000.0 / 60);
	EXPECT_LT(after, before + 16384);
}
