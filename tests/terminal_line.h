/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * terminal_line.h - one line on standard error about something that takes a while
 *
 * On a terminal it is written over and over, and wiped in the end; elsewhere a line comes every few
 * seconds, for logs.
 */
#ifndef TESTS_TERMINAL_LINE_H
#define TESTS_TERMINAL_LINE_H

#include <algorithm>
#include <cstdio>
#include <string>
#include <sys/ioctl.h>
#include <unistd.h>

namespace tests
{

class terminal_line
{
public:
	terminal_line() : terminal_(isatty(STDERR_FILENO) == 1) {}
	~terminal_line()
	{
		if (shown_)
			std::fprintf(stderr, "\r%*s\r", (int)shown_, "");
	}
	terminal_line(const terminal_line &) = delete;
	terminal_line &operator=(const terminal_line &) = delete;

	/* @seconds: since it began. */
	void show(const std::string &line, double seconds)
	{
		if (!terminal_ && seconds < next_)
			return;
		next_ = seconds + LOG_SECONDS;
		if (!terminal_) {
			std::fprintf(stderr, "%s\n", line.c_str());
			return;
		}
		/* A line that the terminal breaks could not be written over. */
		const std::size_t size = std::min(line.size(), columns() - 1);

		std::fprintf(stderr, "\r%.*s%*s", (int)size, line.c_str(),
			     (int)(shown_ > size ? shown_ - size : 0), "");
		shown_ = size;
	}

private:
	static constexpr double LOG_SECONDS = 5;

	static std::size_t columns()
	{
		struct winsize size;

		return ioctl(STDERR_FILENO, TIOCGWINSZ, &size) || !size.ws_col ? 80 : size.ws_col;
	}

	const bool terminal_;
	std::size_t shown_ = 0; /* characters that stand on the terminal */
	double next_ = LOG_SECONDS;
};

} // namespace tests

#endif
