/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * options.h - the command line of pvshim-fb
 *
 * Parsing checks form only: what a mode or an address means in this machine (memory, page
 * directory, port) is checked by who uses it, and reported with the same exit codes.
 */
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "display.h"

namespace fuse_fb
{

struct daemon_options {
	std::string mount_point;
	screen_geometry mode{1024, 768, 32, 4096, 0};
	unsigned rate = 60; /* refreshes a second */
	bool foreground = false;
	std::string mount_options;              /* as after -o */
	std::size_t memory_bytes = 512ul << 20; /* of the machine */
	std::string params;                     /* of its subsystems: "vmap.policy=lazy ..." */
	bool help_params = false;               /* nothing else is asked for */
	std::size_t vram_bytes = 0;             /* of fb0 at least; 0: what its mode needs */
	bool status = false;                    /* show what a running one does, instead */
	bool pattern = false;                   /* draw a test picture on fb0 */
	bool vnc = false;
	std::string vnc_host = "127.0.0.1";
	std::uint16_t vnc_port = 5900;
	std::string vnc_password_file;
	std::string x11_input; /* DISPLAY, or empty */
};

/* "WIDTHxHEIGHTxDEPTH"; depth 8, 16, 24 (in three bytes) or 32. Throws startup_error(mode). */
screen_geometry parse_mode(const std::string &text);

/* "ADDR:PORT", "[ADDR6]:PORT", ":PORT" or "PORT". Throws startup_error(vnc). */
void parse_vnc(const std::string &text, std::string *host, std::uint16_t *port);

/* "512M", "2G", bytes; @option is what it is called. Throws startup_error(usage). */
std::size_t parse_bytes(const std::string &text, const char *option = "--memory");

/**
 * parse_options - the whole command line
 * Return: the options, or nothing after --help or --version (which have been printed).
 * Throws startup_error.
 */
std::optional<daemon_options> parse_options(int argc, char **argv);

} // namespace fuse_fb
