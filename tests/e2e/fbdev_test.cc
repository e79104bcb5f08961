/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * fbdev_test.cc - programs that know nothing of us draw to /dev/fb0 under pvshim-run
 */
#include <gtest/gtest.h>

#include <csignal>
#include <cstdlib>
#include <fstream>
#include <string>
#include <vector>

#include <sys/stat.h>
#include <unistd.h>

#include "running_daemon.h"

using namespace e2e;

namespace
{

std::string runner()
{
	return build_folder() + "/../fuse-fb/preload/pvshim-run";
}

bool installed(const std::string &program)
{
	return run_command({"/bin/sh", "-c", "command -v " + program}).code == 0;
}

class fbdev : public testing::Test
{
protected:
	/* Runs a program on our mount. */
	finished run(std::vector<std::string> argv, std::vector<std::string> env = {})
	{
		child::setup with;

		with.env = std::move(env);
		argv.insert(argv.begin(), {runner(), "-m", dir.path()});
		return run_command(argv, with);
	}
	void expect_well(const std::vector<std::string> &argv, std::vector<std::string> env = {})
	{
		const finished f = run(argv, std::move(env));

		EXPECT_EQ(f.code, 0) << f.output;
		EXPECT_EQ(f.output, "");
	}
	void client(std::vector<std::string> argv, std::vector<std::string> env = {})
	{
		argv.insert(argv.begin(), build_folder() + "/e2e/fb_client");
		expect_well(argv, std::move(env));
	}
	picture_file picture() { return read_png(dir.file("screen.png")); }

	mount_dir dir;
};

/* What fb_client draws, as a channel of n bits shows it. */
std::uint8_t through(unsigned value8, unsigned bits)
{
	const unsigned most = (1u << bits) - 1, kept = value8 >> (8 - bits);

	return static_cast<std::uint8_t>((kept * 255 + most / 2) / most);
}

struct colour {
	unsigned c[3];
};

colour colour_of(unsigned x, unsigned y)
{
	return {{(x * 3 + y) & 255, (x + y * 5) & 255, (x * y + 17) & 255}};
}

/* How many pixels of @p are not what fb_client draws at this depth. */
std::size_t wrong_pixels(const picture_file &p, unsigned bits)
{
	const unsigned lengths[3] = {bits == 16 ? 5u : 8u, bits == 16 ? 6u : 8u,
				     bits == 16 ? 5u : 8u};
	std::size_t wrong = 0;

	for (unsigned y = 0; y < p.height; y++) {
		for (unsigned x = 0; x < p.width; x++) {
			const colour want =
				bits == 8 ? colour_of((x ^ y) & 255, 0) : colour_of(x, y);
			const std::uint8_t *got = &p.rgb[(std::size_t{y} * p.width + x) * 3];

			for (unsigned i = 0; i < 3; i++)
				if (got[i] != through(want.c[i], lengths[i])) {
					wrong++;
					break;
				}
		}
	}
	return wrong;
}

} // namespace

TEST_F(fbdev, fbset_shows_and_changes_the_mode)
{
	if (!installed("fbset"))
		GTEST_SKIP() << "fbset is not installed";
	running_daemon daemon(dir);
	const finished shown = run({"fbset", "-i"});

	EXPECT_EQ(shown.code, 0) << shown.output;
	for (const char *part :
	     {"geometry 1024 768 1024 768 32", "rgba 8/16,8/8,8/0", "Name        : xen",
	      "Size        : 3145728", "LineLength  : 4096", "TRUECOLOR"})
		EXPECT_NE(shown.output.find(part), std::string::npos)
			<< part << " in " << shown.output;

	expect_well({"fbset", "-g", "640", "480", "640", "480", "16"});
	EXPECT_EQ(picture().width, 640u);
	EXPECT_EQ(picture().height, 480u);
	EXPECT_NE(run({"fbset"}).output.find("rgba 5/11,6/5,5/0"), std::string::npos);
	EXPECT_EQ(daemon.screen("fb0")["bits_per_pixel"], 16);
	expect_well({"fbset", "-g", "1024", "768", "1024", "768", "32"});
	EXPECT_EQ(picture().width, 1024u);
}

TEST_F(fbdev, ffmpeg_draws_and_captures_exactly)
{
	if (!installed("ffmpeg"))
		GTEST_SKIP() << "ffmpeg is not installed";
	running_daemon daemon(dir, {"--mode", "640x480x32"});
	const std::string raw = dir.path() + ".raw", captured = dir.path() + ".captured";
	const std::vector<std::string> source = {
		"ffmpeg", "-v",    "error",    "-y",
		"-f",     "lavfi", "-i",       "testsrc=size=640x480:rate=10",
		"-t",     "3",     "-pix_fmt", "bgra",
		"-f"};
	auto with = [](std::vector<std::string> argv, const std::vector<std::string> &more) {
		argv.insert(argv.end(), more.begin(), more.end());
		return argv;
	};

	expect_well(with(source, {"fbdev", "/dev/fb0"}));
	ASSERT_EQ(run_command(with(source, {"rawvideo", raw})).code, 0);
	expect_well({"ffmpeg", "-v", "error", "-y", "-f", "fbdev", "-i", "/dev/fb0", "-frames:v",
		     "1", "-f", "rawvideo", captured});
	const std::vector<std::uint8_t> frames = read_file(raw), back = read_file(captured);
	const picture_file p = picture();
	unlink(raw.c_str());
	unlink(captured.c_str());

	const std::size_t pixels = std::size_t{640} * 480;
	ASSERT_EQ(frames.size(), 30 * pixels * 4);
	const std::uint8_t *last = &frames[29 * pixels * 4];
	EXPECT_TRUE(back.size() == pixels * 4 && std::equal(back.begin(), back.end(), last));
	ASSERT_EQ(p.rgb.size(), pixels * 3);
	std::size_t wrong = 0;
	for (std::size_t i = 0; i < pixels; i++)
		wrong += p.rgb[i * 3] != last[i * 4 + 2] || p.rgb[i * 3 + 1] != last[i * 4 + 1] ||
			 p.rgb[i * 3 + 2] != last[i * 4];
	EXPECT_EQ(wrong, 0u);
}

TEST_F(fbdev, every_depth_is_shown_as_it_was_drawn)
{
	running_daemon daemon(dir, {"--mode", "640x480x32"});

	for (const unsigned bits : {8u, 16u, 24u, 32u}) {
		SCOPED_TRACE(bits);
		client({"draw", "301", "203", std::to_string(bits)});
		const picture_file p = picture();
		ASSERT_EQ(p.width, 301u);
		ASSERT_EQ(p.height, 203u);
		EXPECT_EQ(wrong_pixels(p, bits), 0u);
	}
}

TEST_F(fbdev, panning_shows_the_other_half)
{
	running_daemon daemon(dir);

	client({"flip"});
	const picture_file p = picture();
	ASSERT_EQ(p.height, 120u);
	std::size_t green = 0;
	for (std::size_t i = 0; i < p.rgb.size(); i += 3)
		green += p.rgb[i] == 0 && p.rgb[i + 1] == 255 && p.rgb[i + 2] == 0;
	EXPECT_EQ(green, p.rgb.size() / 3);
}

TEST_F(fbdev, requests_answer_as_linux_says_also_to_nonsense)
{
	running_daemon daemon(dir);

	client({"calls"});
	EXPECT_EQ(daemon.process().code(), -1);
}

TEST_F(fbdev, threads_children_and_copied_descriptors)
{
	running_daemon daemon(dir);

	client({"many"});
}

TEST_F(fbdev, two_programs_change_modes_at_once)
{
	running_daemon daemon(dir);
	const std::vector<std::string> argv = {
		runner(), "-m", dir.path(), build_folder() + "/e2e/fb_client", "modes", "300"};
	child one(argv), two(argv);

	EXPECT_TRUE(one.wait() && two.wait());
	EXPECT_EQ(one.code(), 0) << one.output();
	EXPECT_EQ(two.code(), 0) << two.output();
	client({"draw", "320", "200", "16"});
	EXPECT_EQ(wrong_pixels(picture(), 16), 0u);
}

TEST_F(fbdev, a_virtual_terminal_where_there_is_none)
{
	running_daemon daemon(dir);

	client({"console"}, {"PVSHIM_CONSOLE=1"});
	client({"console"}, {"PVSHIM_CONSOLE=1"});
}

/* What the X server itself says it shows, as red, green, blue; empty: no dump. */
std::vector<std::uint8_t> root_window(const std::string &display)
{
	const std::string file = "/tmp/pvshim-root-" + std::to_string(getpid()) + ".xwd";
	child::setup with;

	with.env = {"DISPLAY=" + display};
	if (run_command({"xwd", "-root", "-silent", "-out", file}, with).code != 0)
		return {};
	const std::vector<std::uint8_t> dump = read_file(file);
	unlink(file.c_str());
	auto word = [&](std::size_t i) {
		return std::size_t{dump[i * 4]} << 24 | std::size_t{dump[i * 4 + 1]} << 16 |
		       std::size_t{dump[i * 4 + 2]} << 8 | dump[i * 4 + 3];
	};
	/* Words of the header: size, width, height, bytes of a line, colours of 12 bytes. */
	const std::size_t pixels = word(0) + word(19) * 12;
	std::vector<std::uint8_t> rgb;
	for (std::size_t y = 0; y < word(5); y++)
		for (std::size_t x = 0; x < word(4); x++)
			for (const unsigned channel : {2u, 1u, 0u})
				rgb.push_back(dump[pixels + y * word(12) + x * 4 + channel]);
	return rgb;
}

TEST_F(fbdev, an_x_server_with_the_fbdev_driver)
{
	const std::string server = "/usr/lib/xorg/Xorg", config = dir.path() + ".conf",
			  log = dir.path() + ".log";

	if (access(server.c_str(), X_OK) || !installed("xwd") || !installed("xclock") ||
	    access("/usr/lib/xorg/modules/drivers/fbdev_drv.so", R_OK))
		GTEST_SKIP() << "Xorg, its fbdev driver, xwd or xclock is not installed";
	running_daemon daemon(dir, {"--mode", "640x480x32"});
	std::ofstream(config) << "Section \"ServerFlags\"\n"
				 " Option \"AutoAddDevices\" \"false\"\n"
				 "EndSection\n"
				 "Section \"Device\"\n"
				 " Identifier \"fb\"\n Driver \"fbdev\"\n"
				 "EndSection\n"
				 "Section \"Screen\"\n Identifier \"screen\"\n Device \"fb\"\n"
				 "EndSection\n";
	const std::string display = ":" + std::to_string(200 + getpid() % 700);
	child::setup with;
	with.env = {"DISPLAY=" + display};
	child x({runner(), "-c", "-m", dir.path(), server, display, "-config", config, "-logfile",
		 log, "-noreset", "-nocursor", "-sharevts", "-novtswitch", "vt7"});
	ASSERT_TRUE(eventually([&] {
		return x.wait(milliseconds(0)) ||
		       run_command({"xsetroot", "-solid", "#4080c0"}, with).code == 0;
	})) << x.output();
	ASSERT_EQ(x.code(), -1) << x.output();
	child clock({"xclock", "-geometry", "300x300+100+50"}, with);

	/* The driver draws when it has time: until what came over is what the server has. */
	const bool same = eventually([&] {
		const std::vector<std::uint8_t> root = root_window(display);
		const picture_file p = picture();

		return p.width == 640 && p.rgb == root && p.rgb[0] == 0x40 && p.rgb[2] == 0xc0 &&
		       p.rgb[(std::size_t{200} * 640 + 110) * 3] == 0xff; /* the clock's face */
	});
	EXPECT_TRUE(same);
	clock.kill();
	x.signal(SIGTERM);
	EXPECT_TRUE(x.wait());
	unlink(config.c_str());
	unlink(log.c_str());
}

TEST_F(fbdev, sysfs_says_what_the_ioctls_say)
{
	running_daemon daemon(dir, {"--mode", "800x600x16"});
	auto attribute = [&](const std::string &name) {
		return run({"cat", "/sys/class/graphics/fb0/" + name}).output;
	};

	EXPECT_EQ(attribute("virtual_size"), "800,600\n");
	EXPECT_EQ(attribute("bits_per_pixel"), "16\n");
	EXPECT_EQ(attribute("stride"), "1600\n");
	EXPECT_EQ(attribute("name"), "xen\n");
	EXPECT_EQ(attribute("dev"), "29:0\n");
	EXPECT_EQ(run({"readlink", "/sys/class/graphics/fb0"}).output,
		  "../../devices/vfb-0/graphics/fb0\n");
	EXPECT_EQ(run({"cat", "/proc/fb"}).output, "0 xen\n");
	EXPECT_NE(attribute("nothing").find("No such file"), std::string::npos);
	EXPECT_EQ(run({"stat", "-c", "%F", "/dev/fb0"}).output, "character special file\n");
}

/* It goes into any program: a library that it needed would go in as well. */
TEST_F(fbdev, the_library_needs_the_c_library_only)
{
	if (!installed("readelf"))
		GTEST_SKIP() << "readelf is not installed";
	const finished f = run_command(
		{"readelf", "-d", build_folder() + "/../fuse-fb/preload/libpvshim-fb.so"});
	std::size_t needed = 0;

	for (std::size_t at = 0; (at = f.output.find("(NEEDED)", at)) != std::string::npos; at++)
		needed++;
	EXPECT_EQ(needed, 1u) << f.output;
	EXPECT_NE(f.output.find("[libc.so.6]"), std::string::npos) << f.output;
}

TEST_F(fbdev, what_cannot_be_helped_is_told_so)
{
	const std::string file = dir.path() + ".static";
	const finished none = run({"true"});

	EXPECT_EQ(none.code, 3);
	EXPECT_NE(none.output.find("pvshim-fb " + dir.path()), std::string::npos) << none.output;

	running_daemon daemon(dir);
	/* A program without a dynamic linker: the head of this one, without what names it. */
	std::vector<std::uint8_t> image = read_file(build_folder() + "/e2e/fb_client");
	image.resize(64);
	image[56] = image[57] = 0; /* e_phnum */
	std::ofstream(file).write(reinterpret_cast<const char *>(image.data()),
				  static_cast<std::streamsize>(image.size()));
	chmod(file.c_str(), 0700);
	const finished f = run({file});
	unlink(file.c_str());
	EXPECT_EQ(f.code, 126);
	EXPECT_NE(f.output.find("statically linked"), std::string::npos) << f.output;

	EXPECT_EQ(run({"no-such-program"}).code, 127);
	EXPECT_EQ(run_command({runner()}).code, 2);
	EXPECT_EQ(run_command({runner(), "--nonsense"}).code, 2);
}
