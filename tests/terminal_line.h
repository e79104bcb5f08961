/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * terminal_line.h - one line on standard error about something that takes a while
 *
 * On a terminal it is written over and over, and wiped in the end; elsewhere a line comes every few
 * seconds, for logs.
 */
#ifndef TESTS_TERMINAL_LINE_H
#define TESTS_TERMINAL_LINE_H

#include <cstdio>
#include <string>
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
		std::fprintf(stderr, "\r%s%*s", line.c_str(),
			     (int)(shown_ > line.size() ? shown_ - line.size() : 0), "");
		shown_ = line.size();
	}

private:
	static constexpr double LOG_SECONDS = 5;

	const bool terminal_;
	std::size_t shown_ = 0; /* characters that stand on the terminal */
	double next_ = LOG_SECONDS;
};

} // namespace tests

#endif
