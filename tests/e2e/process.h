/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * process.h - processes and mount points of the end-to-end tests, which go whatever happens
 *
 * A child is killed and waited for by its destructor. A mount_dir is a new directory; a reaper
 * process unmounts and removes it even when the test is killed.
 */
#pragma once

#include <chrono>
#include <functional>
#include <string>
#include <vector>

#include <sys/types.h>

namespace e2e
{

using std::chrono::milliseconds;
/* For "happens": never reached when the code is right, on the noisiest host. */
constexpr std::chrono::seconds patience{60};

/* The folder of the build that holds this test program; helpers lie beside it. */
std::string build_folder();
std::string helper_path();
std::string daemon_path();

/* Looks every millisecond until @thing is true. Return: false after @limit. */
bool eventually(const std::function<bool()> &thing, std::chrono::nanoseconds limit = patience);

class child
{
public:
	struct setup {
		int descriptor3 = -1; /* becomes descriptor 3 */
		bool with_stdin = false;
		uid_t user = 0;               /* not root: setuid to it */
		std::vector<std::string> env; /* NAME=VALUE, added */
	};
	child() = default;
	child(const std::vector<std::string> &argv, const setup &with);
	explicit child(const std::vector<std::string> &argv) : child(argv, setup()) {}
	~child();
	child(child &&other) noexcept;
	child &operator=(child &&other) noexcept;

	pid_t pid() const { return pid_; }
	void signal(int number) const;
	/* Return: false when it still runs after @limit. */
	bool wait(std::chrono::nanoseconds limit = patience);
	/* Exit code, 128 + signal, or -1 while it runs. */
	int code() const { return code_; }
	/* What it printed so far (both streams). */
	std::string output();
	/* Waits for @text in the output. */
	bool wait_for_output(const std::string &text, std::chrono::nanoseconds limit = patience);
	void close_stdin();
	void kill();

private:
	void drain();

	pid_t pid_ = -1;
	int out_ = -1;
	int in_ = -1;
	int code_ = -1;
	std::string text_;
};

/* Runs to the end. */
struct finished {
	int code;
	std::string output;
};
finished run_command(const std::vector<std::string> &argv, const child::setup &with);
inline finished run_command(const std::vector<std::string> &argv)
{
	return run_command(argv, child::setup());
}

class mount_dir
{
public:
	mount_dir();
	~mount_dir();
	mount_dir(const mount_dir &) = delete;
	mount_dir &operator=(const mount_dir &) = delete;

	const std::string &path() const { return path_; }
	std::string file(const std::string &name) const { return path_ + "/" + name; }
	/* How many mounts lie on it. */
	int mounts() const;

private:
	std::string path_;
	int alive_ = -1; /* the pipe whose end the reaper waits for */
	pid_t reaper_ = -1;
};

} // namespace e2e
