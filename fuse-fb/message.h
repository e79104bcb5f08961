/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * message.h - one line for whoever runs the daemon
 *
 * Lines go to syslog, and with -f (openlog() with LOG_PERROR in main.cc) to standard error as well.
 * A line says what, on what, why, and what happens now or what to do.
 */
#pragma once

#include <stdexcept>
#include <string>

namespace fuse_fb
{

enum class message_kind { info, warning, error };

/* Any thread. */
void message(message_kind kind, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* printf into a string. */
std::string format_string(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Exit codes, listed in --help. */
enum class exit_code : int {
	ok = 0,
	failure = 1,     /* anything without a number of its own */
	usage = 2,       /* options that make no sense */
	mount_point = 3, /* missing, not a directory, unreadable, in use */
	fuse = 4,        /* /dev/fuse or fusermount3 missing, or the mount was refused */
	permission = 5,  /* allow_other without permission */
	mode = 6,        /* unknown mode, frame too large */
	vnc = 7,         /* VNC address taken or wrong; password file that cannot be used */
};

/* The daemon cannot start (or go on). what() is the line to print. */
class startup_error : public std::runtime_error
{
public:
	startup_error(exit_code code, const std::string &line)
		: std::runtime_error(line), code_(code)
	{
	}
	exit_code code() const { return code_; }

private:
	exit_code code_;
};

} // namespace fuse_fb
