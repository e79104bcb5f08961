/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * x11_input_test.cc - what a viewer types and points at arrives at the program under its pointer
 */
#include <gtest/gtest.h>

#include <string>

#include <unistd.h>

#include "running_daemon.h"
#include "unit/viewers_rfb_client.h"

using namespace e2e;

namespace
{

constexpr std::uint32_t enter = 0xff0d;

void type(fuse_fb::rfb_client &viewer, std::uint32_t symbol)
{
	viewer.key(true, symbol);
	viewer.key(false, symbol);
}

} // namespace

TEST(x11_input, a_line_typed_by_a_viewer_is_read_by_a_program)
{
	if (run_command({"/bin/sh", "-c", "command -v Xvfb && command -v xterm"}).code != 0)
		GTEST_SKIP() << "Xvfb or xterm is not installed";
	mount_dir dir;
	const std::string display = ":" + std::to_string(900 + getpid() % 700);
	const std::string file = dir.path() + ".typed";
	running_daemon daemon(dir, {"--vnc", free_address(), "--x11-input", display});
	child server({"Xvfb", display, "-screen", "0", "640x480x24", "-fbdir", dir.path()});
	ASSERT_TRUE(eventually([&] { return daemon.shown("Xvfb_screen0"); }));
	/* Focus follows the pointer when there is no window manager. */
	const std::string ready = file + ".ready";
	child::setup with;
	with.env = {"DISPLAY=" + display, "LC_ALL=C.UTF-8"};
	child terminal({"xterm", "-u8", "-geometry", "80x24+0+0", "-e",
			"touch " + ready + "; read -r line; printf %s \"$line\" > " + file +
				".new; mv " + file + ".new " + file},
		       with);
	ASSERT_TRUE(eventually([&] { return access(ready.c_str(), F_OK) == 0; }))
		<< terminal.output();
	unlink(ready.c_str());
	fuse_fb::rfb_client viewer(daemon.vnc_port());
	viewer.shake_hands();
	EXPECT_EQ(viewer.width, 640u);

	const std::string text = "Hello, World_7";
	viewer.pointer(0, 100, 100);
	for (const char c : text)
		type(viewer, static_cast<unsigned char>(c));
	type(viewer, 0x1000394); /* no keyboard has this: a Greek delta */
	type(viewer, enter);
	ASSERT_TRUE(eventually([&] { return access(file.c_str(), F_OK) == 0; }))
		<< terminal.output();
	const std::vector<std::uint8_t> line = read_file(file);
	unlink(file.c_str());
	EXPECT_EQ(std::string(line.begin(), line.end()), text + "\316\224");
}
