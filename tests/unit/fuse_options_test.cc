/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * fuse_options_test.cc - what the command line accepts, and the line and code for what it does not
 */
#include <gtest/gtest.h>

#include <vector>

#include "message.h"
#include "options.h"

using namespace fuse_fb;

namespace
{

std::optional<daemon_options> parse(std::vector<std::string> words)
{
	std::vector<char *> argv;

	words.insert(words.begin(), "pvshim-fb");
	for (std::string &w : words)
		argv.push_back(w.data());
	argv.push_back(nullptr);
	return parse_options(static_cast<int>(words.size()), argv.data());
}

void expect_refused(const std::vector<std::string> &words, exit_code code)
{
	try {
		parse(words);
		FAIL() << "accepted " << words.back();
	} catch (const startup_error &e) {
		EXPECT_EQ(e.code(), code) << e.what();
		EXPECT_EQ(std::string(e.what()).find('\n'), std::string::npos)
			<< "one line: " << e.what();
		EXPECT_GT(std::string(e.what()).size(), 20u);
	}
}

} // namespace

TEST(fuse_options, defaults_listen_to_nobody)
{
	const auto o = parse({"/mnt"});

	ASSERT_TRUE(o);
	EXPECT_EQ(o->mount_point, "/mnt");
	EXPECT_EQ(o->mode, (screen_geometry{1024, 768, 32, 4096, 0}));
	EXPECT_EQ(o->rate, 60u);
	EXPECT_FALSE(o->vnc);
	EXPECT_FALSE(o->foreground);
}

TEST(fuse_options, everything_given)
{
	const auto o = parse({"/mnt", "--mode", "800x600x16", "--rate", "30", "--vnc",
			      "0.0.0.0:5999", "-f", "-o", "allow_other", "-o", "noatime,nodev",
			      "--memory", "1G", "-P", "vmap.policy=batch:16", "-P", "vmap.debug"});

	ASSERT_TRUE(o);
	EXPECT_EQ(o->mode, (screen_geometry{800, 600, 16, 1600, 0}));
	EXPECT_EQ(o->rate, 30u);
	EXPECT_TRUE(o->vnc);
	EXPECT_EQ(o->vnc_host, "0.0.0.0");
	EXPECT_EQ(o->vnc_port, 5999);
	EXPECT_TRUE(o->foreground);
	EXPECT_EQ(o->mount_options, "allow_other,noatime,nodev");
	EXPECT_EQ(o->memory_bytes, 1ul << 30);
	EXPECT_EQ(o->params, "vmap.policy=batch:16 vmap.debug");
	EXPECT_FALSE(o->help_params);
}

TEST(fuse_options, parameters_are_listed_without_a_mount_point)
{
	const auto o = parse({"--help-params"});

	ASSERT_TRUE(o);
	EXPECT_TRUE(o->help_params);
}

TEST(fuse_options, parameters_are_words_with_a_module)
{
	for (const char *word :
	     {"lazy_pages=5", "vmap.=5", ".x=1", "vmap.policy=lazy pin.policy=x", ""})
		expect_refused({"/mnt", "-P", word}, exit_code::usage);
}

TEST(fuse_options, vnc_alone_means_loopback)
{
	const auto o = parse({"/mnt", "--vnc"});

	ASSERT_TRUE(o);
	EXPECT_TRUE(o->vnc);
	EXPECT_EQ(o->vnc_host, "127.0.0.1");
	EXPECT_EQ(o->vnc_port, 5900);
}

TEST(fuse_options, depths_and_addresses)
{
	std::string host = "127.0.0.1";
	std::uint16_t port = 5900;

	EXPECT_EQ(parse_mode("640x480x8").line_length, 640u);
	EXPECT_EQ(parse_mode("640x480x24").bits_per_pixel, 24u);
	parse_vnc(":5901", &host, &port);
	EXPECT_EQ(host, "127.0.0.1");
	EXPECT_EQ(port, 5901);
	parse_vnc("5902", &host, &port);
	EXPECT_EQ(port, 5902);
	parse_vnc("[::1]:5903", &host, &port);
	EXPECT_EQ(host, "::1");
	EXPECT_EQ(port, 5903);
}

TEST(fuse_options, nonsense_is_one_line_and_a_code)
{
	for (const char *mode :
	     {"x", "1024x768", "1024x768x32x1", "0x768x32", "1024x0x32", "1024x768x15", "-1x768x32",
	      "99999x768x32", "1024x768x32 ", "4294967297x1x8", " 1x1x8"})
		expect_refused({"/mnt", std::string("--mode=") + mode}, exit_code::mode);
	for (const char *vnc : {"127.0.0.1:0", "127.0.0.1:65536", "127.0.0.1:", "host:port"})
		expect_refused({"/mnt", "--vnc", vnc}, exit_code::vnc);
	for (const char *memory : {"1", "0", "5T", "x", "-1M", "65G", "18446744073709551615"})
		expect_refused({"/mnt", std::string("--memory=") + memory}, exit_code::usage);
	for (const char *rate : {"0", "-5", "x", "1001"})
		expect_refused({"/mnt", std::string("--rate=") + rate}, exit_code::usage);
	expect_refused({}, exit_code::usage);
	expect_refused({"/mnt", "--no-such-option"}, exit_code::usage);
	expect_refused({"/mnt", "/other"}, exit_code::usage);
}
