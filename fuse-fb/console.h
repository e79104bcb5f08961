/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * console.h - a terminal for programs that look for a virtual one and find none
 *
 *      program --read, write, tcsetattr--> /dev/pts/N | master: read here, and dropped
 *
 * A pseudo terminal, made when the first program asks and the same for all, as a console is. What
 * programs print there is dropped, so that none ever waits for room; nothing is ever typed. The
 * thread sleeps while nobody has it open: it holds the slave's side open itself.
 */
#pragma once

#include <mutex>
#include <string>
#include <thread>

namespace fuse_fb
{

class console
{
public:
	console() = default;
	~console();
	console(const console &) = delete;
	console &operator=(const console &) = delete;

	/* The terminal's path. Return: 0 or negative errno. Any thread. */
	int path(std::string *out);

private:
	int make();
	void drain();

	std::mutex lock_;
	int master_ = -1; /* protected by lock_ until the thread runs, then constant */
	int slave_ = -1;
	int stop_ = -1;
	std::string path_; /* protected by lock_ */
	std::thread thread_;
};

} // namespace fuse_fb
