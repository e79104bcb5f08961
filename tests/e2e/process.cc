/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * process.cc - processes and mount points of the end-to-end tests; see process.h
 */
#include "process.h"

#include <cerrno>
#include <climits>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <fstream>
#include <sstream>
#include <stdexcept>
#include <utility>

#include <fcntl.h>
#include <poll.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

namespace e2e
{

std::string build_folder()
{
	char path[PATH_MAX];
	const ssize_t n = readlink("/proc/self/exe", path, sizeof(path) - 1);
	const std::string exe(path, n > 0 ? static_cast<std::size_t>(n) : 0);

	return exe.substr(0, exe.rfind('/'));
}

std::string helper_path()
{
	return build_folder() + "/e2e/e2e_helper";
}

std::string daemon_path()
{
	return build_folder() + "/../fuse-fb/pvshim-fb";
}

bool eventually(const std::function<bool()> &thing, std::chrono::nanoseconds limit)
{
	const auto end = std::chrono::steady_clock::now() + limit;

	for (;;) {
		if (thing())
			return true;
		if (std::chrono::steady_clock::now() > end)
			return false;
		const timespec pause{0, 1000000};
		nanosleep(&pause, nullptr);
	}
}

child::child(const std::vector<std::string> &argv, const setup &with)
{
	std::vector<char *> words, env;
	std::vector<std::string> kept = with.env;
	int out[2], in[2] = {-1, -1};

	for (const std::string &w : argv)
		words.push_back(const_cast<char *>(w.c_str()));
	words.push_back(nullptr);
	for (char **e = environ; *e; e++)
		env.push_back(*e);
	for (std::string &e : kept)
		env.push_back(e.data());
	env.push_back(nullptr);
	if (pipe2(out, O_CLOEXEC) || (with.with_stdin && pipe2(in, O_CLOEXEC)))
		throw std::runtime_error("pipe");
	const int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	const pid_t parent = getpid();

	/* Between fork and exec only what is allowed in a process with threads. */
	pid_ = fork();
	if (pid_ < 0)
		throw std::runtime_error("fork");
	if (pid_ == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (getppid() != parent)
			_exit(127);
		dup2(with.with_stdin ? in[0] : null, 0);
		dup2(out[1], 1);
		dup2(out[1], 2);
		if (with.descriptor3 >= 0) {
			if (with.descriptor3 == 3)
				fcntl(3, F_SETFD, 0);
			else
				dup2(with.descriptor3, 3);
		}
		sigset_t none;
		sigemptyset(&none);
		sigprocmask(SIG_SETMASK, &none, nullptr);
		if (with.user && (setgid(with.user) || setuid(with.user)))
			_exit(126);
		execvpe(words[0], words.data(), env.data());
		_exit(127);
	}
	close(out[1]);
	close(null);
	out_ = out[0];
	fcntl(out_, F_SETFL, O_NONBLOCK);
	if (with.with_stdin) {
		close(in[0]);
		in_ = in[1];
	}
}

child::child(child &&other) noexcept
{
	*this = std::move(other);
}

child &child::operator=(child &&other) noexcept
{
	if (this == &other)
		return *this;
	kill();
	pid_ = std::exchange(other.pid_, -1);
	out_ = std::exchange(other.out_, -1);
	in_ = std::exchange(other.in_, -1);
	code_ = std::exchange(other.code_, -1);
	text_ = std::move(other.text_);
	return *this;
}

child::~child()
{
	kill();
}

void child::kill()
{
	if (pid_ > 0 && code_ < 0) {
		::kill(pid_, SIGKILL);
		/* A daemon may wait for itself until its mount is taken away: not for ever. */
		wait();
		code_ = 128 + SIGKILL;
	}
	if (out_ >= 0)
		close(std::exchange(out_, -1));
	close_stdin();
	pid_ = -1;
}

void child::signal(int number) const
{
	if (pid_ > 0 && code_ < 0)
		::kill(pid_, number);
}

void child::close_stdin()
{
	if (in_ >= 0)
		close(std::exchange(in_, -1));
}

void child::drain()
{
	char buf[4096];
	ssize_t n;

	while (out_ >= 0 && (n = read(out_, buf, sizeof(buf))) > 0)
		text_.append(buf, static_cast<std::size_t>(n));
}

std::string child::output()
{
	drain();
	return text_;
}

bool child::wait_for_output(const std::string &text, std::chrono::nanoseconds limit)
{
	return eventually([&] { return output().find(text) != std::string::npos; }, limit);
}

bool child::wait(std::chrono::nanoseconds limit)
{
	return eventually(
		[&] {
			int status;

			drain();
			if (code_ >= 0)
				return true;
			if (waitpid(pid_, &status, WNOHANG) != pid_)
				return false;
			code_ = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
			drain();
			return true;
		},
		limit);
}

finished run_command(const std::vector<std::string> &argv, const child::setup &with)
{
	child c(argv, with);

	c.wait();
	return {c.code(), c.output()};
}

mount_dir::mount_dir()
{
	char name[] = "/tmp/pvshim-e2e-XXXXXX";
	int ends[2];

	if (!mkdtemp(name) || pipe2(ends, O_CLOEXEC))
		throw std::runtime_error(std::string("mount point: ") + std::strerror(errno));
	path_ = name;
	alive_ = ends[1];
	const std::string helper = helper_path();
	reaper_ = fork();
	if (reaper_ == 0) {
		/* Outlives the test on purpose. */
		if (ends[0] == 3)
			fcntl(3, F_SETFD, 0);
		else
			dup2(ends[0], 3);
		setsid();
		execl(helper.c_str(), helper.c_str(), "reap", name, nullptr);
		_exit(127);
	}
	close(ends[0]);
}

mount_dir::~mount_dir()
{
	int status;

	close(alive_);
	while (waitpid(reaper_, &status, 0) < 0 && errno == EINTR)
		;
}

int mount_dir::mounts() const
{
	std::ifstream file("/proc/self/mountinfo");
	std::string line;
	int n = 0;

	while (std::getline(file, line)) {
		std::istringstream words(line);
		std::string id, parent, dev, root, point;

		words >> id >> parent >> dev >> root >> point;
		n += point == path_;
	}
	return n;
}

} // namespace e2e
