/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * options.cc - the command line of pvshim-fb; see options.h
 */
#include "options.h"

#include <cstdio>
#include <iostream>
#include <limits>

#include <CLI/CLI.hpp>

#include "message.h"

namespace fuse_fb
{

static constexpr std::uint32_t side_max = 16384;
static constexpr unsigned rate_max = 1000;

static const char *const footer =
	"In the mount:\n"
	"  fb0               the framebuffer: a file of whole pages, to be mapped and drawn into\n"
	"  Xvfb_screenN      screens of an X server:  Xvfb :1 -screen 0 1024x768x24 -fbdir "
	"MOUNTPOINT\n"
	"  screen.png        the newest screen, rendered when opened; NAME.png the one called "
	"NAME\n"
	"  stats.json        counters\n"
	"  damage            what changes, a line of JSON for each update; screen.y4m the film:\n"
	"                    ffmpeg -i MOUNTPOINT/screen.y4m film.mp4\n"
	"  mode              the mode of fb0; another one is written to it:  echo 640x480x16 > "
	"mode\n"
	"Programs that want /dev/fb0 find it here:  pvshim-run PROGRAM\n"
	"Writing beyond the end of fb0 fails with ENOSPC at the end and EFBIG behind it; "
	"truncating it changes\n"
	"nothing. An X server's file may have up to 240 MiB (EFBIG), the mount up to 16 of them "
	"(ENOSPC); other\n"
	"names cannot be created (EPERM).\n"
	"Exit codes: 0 ended by a signal or unmounted, 1 other failures, 2 options, 3 mount point "
	"(missing, in\n"
	"use, unreadable), 4 FUSE (/dev/fuse or fusermount3 missing, mount refused), 5 allow_other "
	"not\n"
	"permitted, 6 mode (unknown, frame too large), 7 VNC address or\n"
	"password file.";

[[noreturn]] static void bad_mode(const std::string &text, const std::string &why)
{
	throw startup_error(
		exit_code::mode,
		format_string("mode '%s': %s; give WIDTHxHEIGHTxDEPTH, for example 1024x768x32",
			      text.c_str(), why.c_str()));
}

screen_geometry parse_mode(const std::string &text)
{
	unsigned width = 0, height = 0, depth = 0;
	int used = 0;

	if (text.find_first_not_of("0123456789x") != std::string::npos || text.size() > 20 ||
	    std::sscanf(text.c_str(), "%5ux%5ux%2u%n", &width, &height, &depth, &used) != 3 ||
	    static_cast<std::size_t>(used) != text.size())
		bad_mode(text, "is not understood");
	if (depth != 8 && depth != 16 && depth != 24 && depth != 32)
		bad_mode(text, "the depth is none of 8, 16, 24, 32");
	if (width == 0 || height == 0 || width > side_max || height > side_max)
		bad_mode(text,
			 format_string("width and height must be between 1 and %u", side_max));

	screen_geometry g;
	g.width = width;
	g.height = height;
	g.bits_per_pixel = depth;
	g.line_length = width * (g.bits_per_pixel / 8);
	return g;
}

void parse_vnc(const std::string &text, std::string *host, std::uint16_t *port)
{
	std::string rest = text;

	if (!rest.empty() && rest[0] == '[') {
		const std::size_t end = rest.find(']');

		if (end != std::string::npos) {
			*host = rest.substr(1, end - 1);
			rest = rest.substr(end + 1);
		}
	} else if (const std::size_t colon = rest.rfind(':'); colon != std::string::npos) {
		if (colon > 0)
			*host = rest.substr(0, colon);
		rest = rest.substr(colon);
	}
	if (!rest.empty() && rest[0] == ':')
		rest = rest.substr(1);
	if (rest.empty() && !text.empty() && text.back() != ':')
		return;

	unsigned long value = 0;
	if (rest.empty() || rest.size() > 5 ||
	    rest.find_first_not_of("0123456789") != std::string::npos ||
	    (value = std::stoul(rest)) == 0 || value > std::numeric_limits<std::uint16_t>::max())
		throw startup_error(
			exit_code::vnc,
			format_string(
				"--vnc '%s': no port between 1 and 65535; give ADDRESS:PORT, for "
				"example 127.0.0.1:5900",
				text.c_str()));
	*port = static_cast<std::uint16_t>(value);
}

std::size_t parse_bytes(const std::string &text, const char *option)
{
	static constexpr std::size_t least = 4ul << 20, most = 64ul << 30;
	char unit = 0, more = 0;
	unsigned long value = 0;
	const bool digits = !text.empty() && text.size() < 16 && text[0] >= '0' && text[0] <= '9';
	const int n = digits ? std::sscanf(text.c_str(), "%lu%c%c", &value, &unit, &more) : 0;
	const int shift = n < 2                        ? 0
			  : unit == 'K' || unit == 'k' ? 10
			  : unit == 'M' || unit == 'm' ? 20
			  : unit == 'G' || unit == 'g' ? 30
						       : -1;

	if (n < 1 || n > 2 || shift < 0 || value > most >> shift || value << shift < least)
		throw startup_error(
			exit_code::usage,
			format_string("%s '%s' is not a size between 4M and 64G; for example 512M",
				      option, text.c_str()));
	return (value << shift) & ~(page_bytes - 1);
}

/* "module.name=value"; a bool's value may be left out. The machine says whether there is one. */
static void check_param(const std::string &word)
{
	const std::size_t dot = word.find('.');

	if (dot == std::string::npos || dot == 0 || dot + 1 == word.size() ||
	    word[dot + 1] == '=' || word.find_first_of(" \t\n") != std::string::npos)
		throw startup_error(exit_code::usage,
				    format_string("-P '%s' is not module.name=value, such as "
						  "vmap.lazy_pages=8192; see --help-params",
						  word.c_str()));
}

std::optional<daemon_options> parse_options(int argc, char **argv)
{
	CLI::App app{
		"pvshim-fb: a framebuffer that is a file. Programs map it and draw; a Xen virtual\n"
		"framebuffer carries what changed to viewers (VNC, PNG).",
		"pvshim-fb"};
	daemon_options o;
	std::string mode, memory, vram;
	std::vector<std::string> vnc, mount_options, params;

	app.add_option("MOUNTPOINT", o.mount_point, "an empty directory of yours")->required();
	app.add_option("-m,--mode", mode, "size and depth of fb0 (1024x768x32)")
		->type_name("WxHxD");
	app.add_option("-r,--rate", o.rate, "refreshes a second (60)")->type_name("HZ");
	app.add_option("--vnc-password", o.vnc_password_file,
		       "a file whose first line viewers must know; only you may read it")
		->type_name("FILE");
	app.add_option("--x11-input", o.x11_input,
		       "while an X server's screen is shown, viewers type and point there")
		->type_name("DISPLAY");
	CLI::Option *vnc_option =
		app.add_option("--vnc", vnc,
			       "let VNC viewers in, at 127.0.0.1:5900 unless told otherwise")
			->type_name("[ADDR:PORT]")
			->expected(0, 1);
	app.add_flag("-f,--foreground", o.foreground,
		     "stay in the foreground, log to standard error");
	app.add_option("-o", mount_options, "mount options, see mount.fuse3(8)")
		->type_name("OPTIONS")
		->expected(1)
		->take_all();
	app.add_option("--memory", memory, "memory of the machine that holds the frames (512M)")
		->type_name("BYTES");
	app.add_option(
		   "--vram", vram,
		   "memory of fb0 at least, for larger modes and virtual screens (what its mode "
		   "needs)")
		->type_name("BYTES");
	app.add_flag(
		"--status", o.status,
		"show what the daemon that is mounted there does: rates, clients, every second");
	app.add_flag("--pattern", o.pattern,
		     "draw a test picture on fb0, and again when its mode is set by the file or a "
		     "viewer");
	app.add_option("-P", params, "a parameter of the machine, such as vmap.lazy_pages=8192")
		->type_name("MODULE.NAME=VALUE")
		->expected(1)
		->take_all();
	app.add_flag_callback(
		"--help-params",
		[&o] {
			o.help_params = true;
			throw CLI::Success();
		},
		"print the parameters of the machine and exit");
	app.set_version_flag("-V,--version", PVSHIM_VERSION);
	app.footer(footer);

	try {
		app.parse(argc, argv);
	} catch (const CLI::CallForHelp &e) {
		app.exit(e);
		return std::nullopt;
	} catch (const CLI::CallForVersion &e) {
		app.exit(e);
		return std::nullopt;
	} catch (const CLI::Success &e) {
		return o;
	} catch (const CLI::ParseError &e) {
		throw startup_error(exit_code::usage,
				    std::string(e.what()) + "; see pvshim-fb --help");
	}
	if (!mode.empty())
		o.mode = parse_mode(mode);
	if (o.rate == 0 || o.rate > rate_max)
		throw startup_error(exit_code::usage,
				    format_string("--rate %u is not between 1 and %u; 60 is usual",
						  o.rate, rate_max));
	if (!memory.empty())
		o.memory_bytes = parse_bytes(memory);
	if (!vram.empty())
		o.vram_bytes = parse_bytes(vram, "--vram");
	if (vnc_option->count() > 0) {
		o.vnc = true;
		if (!vnc.empty() && !vnc[0].empty())
			parse_vnc(vnc[0], &o.vnc_host, &o.vnc_port);
	}
	for (const std::string &word : params) {
		check_param(word);
		o.params += (o.params.empty() ? "" : " ") + word;
	}
	for (const std::string &part : mount_options)
		o.mount_options += (o.mount_options.empty() ? "" : ",") + part;
	return o;
}

} // namespace fuse_fb
