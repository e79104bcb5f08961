/* SPDX-License-Identifier: GPL-2.0-or-later */
/* processes.cc - children, files and mappings of the bench (see bench.h) */
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <stdexcept>
#include <system_error>
#include <thread>

#include <fcntl.h>
#include <nlohmann/json.hpp>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "bench.h"

namespace bench
{

namespace
{

[[noreturn]] void fail(const std::string &what)
{
	throw std::system_error(errno, std::generic_category(), what);
}

template <typename condition>
void wait_for(const char *what, condition holds)
{
	auto deadline = clock::now() + 60s;

	while (!holds()) {
		if (clock::now() > deadline)
			throw std::runtime_error(std::string("waited 60 s for ") + what);
		std::this_thread::sleep_for(10ms);
	}
}

std::string daemon_path()
{
	return std::filesystem::read_symlink("/proc/self/exe").parent_path().string() +
	       "/../../fuse-fb/pvshim-fb";
}

std::string make_folder(const std::string &parent)
{
	std::string name = parent + "/pvshim-bench-XXXXXX";

	if (!mkdtemp(name.data()))
		fail("cannot make a folder in " + parent);
	return name;
}

} // namespace

child child::self(const std::vector<std::string> &args)
{
	std::vector<std::string> command = {std::filesystem::read_symlink("/proc/self/exe"),
					    "--child"};

	command.insert(command.end(), args.begin(), args.end());
	return child(command);
}

child::child(const std::vector<std::string> &command)
{
	std::vector<char *> argv;
	int ends[2];
	pid_t parent = getpid();

	for (const std::string &word : command)
		argv.push_back(const_cast<char *>(word.c_str()));
	argv.push_back(nullptr);
	if (pipe2(ends, O_CLOEXEC) != 0)
		fail("cannot make a pipe");
	err_ = memfd_create("stderr", MFD_CLOEXEC);
	if (err_ < 0)
		fail("cannot make a file in memory");
	pid_ = fork();
	if (pid_ < 0)
		fail("cannot fork");
	if (pid_ == 0) {
		/* The thread that starts a child lives as long as the bench: main(). */
		prctl(PR_SET_PDEATHSIG, SIGTERM);
		if (getppid() != parent)
			_exit(1);
		dup2(ends[1], STDOUT_FILENO);
		dup2(err_, STDERR_FILENO);
		execv(argv[0], argv.data());
		_exit(127);
	}
	close(ends[1]);
	out_ = ends[0];
}

child::child(child &&other) noexcept : pid_(other.pid_), out_(other.out_), err_(other.err_)
{
	other.pid_ = -1;
	other.out_ = -1;
	other.err_ = -1;
}

child::~child()
{
	end();
	for (int fd : {out_, err_})
		if (fd >= 0)
			close(fd);
}

int child::status()
{
	int status;

	while (waitpid(pid_, &status, 0) < 0 && errno == EINTR)
		;
	pid_ = -1;
	return status;
}

bool child::judge(bool ended_well)
{
	char buffer[256];
	ssize_t n;

	if (!ended_well)
		for (off_t at = 0; (n = pread(err_, buffer, sizeof(buffer), at)) > 0; at += n)
			fwrite(buffer, 1, (size_t)n, stderr);
	return ended_well;
}

bool child::end()
{
	if (pid_ < 0)
		return true;
	kill(pid_, SIGTERM);
	int how = status();
	return judge((WIFSIGNALED(how) && WTERMSIG(how) == SIGTERM) ||
		     (WIFEXITED(how) && WEXITSTATUS(how) == 0));
}

bool child::wait()
{
	int how = status();

	return judge(WIFEXITED(how) && WEXITSTATUS(how) == 0);
}

std::string child::output()
{
	std::string text;
	char buffer[256];
	ssize_t n;

	while ((n = read(out_, buffer, sizeof(buffer))) > 0)
		text.append(buffer, (size_t)n);
	return text;
}

double child::cpu() const
{
	struct timespec used;
	clockid_t id;

	if (clock_getcpuclockid(pid_, &id) != 0 || clock_gettime(id, &used) != 0)
		fail("cannot read the CPU time of process " + std::to_string(pid_));
	return (double)used.tv_sec + (double)used.tv_nsec * 1e-9;
}

std::uint64_t child::switches() const
{
	std::uint64_t sum = 0;
	std::string line;

	for (const auto &task :
	     std::filesystem::directory_iterator("/proc/" + std::to_string(pid_) + "/task")) {
		std::ifstream status(task.path() / "status");
		while (std::getline(status, line))
			if (line.find("voluntary_ctxt_switches:") != std::string::npos)
				sum += std::stoull(line.substr(line.find(':') + 1));
	}
	return sum;
}

folder::folder(const std::string &parent) : path(make_folder(parent)) {}

folder::~folder()
{
	std::error_code ignored;

	std::filesystem::remove_all(path, ignored);
}

std::string make_frame_file(const folder &where)
{
	std::string path = where.path + "/frame";
	std::ofstream(path).close();

	std::filesystem::resize_file(path, (frame_bytes + 4095) & ~4095ul);
	return path;
}

mapping::mapping(const std::string &path, std::size_t bytes) : bytes_(bytes)
{
	int fd = open(path.c_str(), O_RDWR | O_CLOEXEC);

	if (fd < 0)
		fail("cannot open " + path);
	start_ = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	if (start_ == MAP_FAILED)
		fail("cannot map " + path);
}

mapping::~mapping()
{
	munmap(start_, bytes_);
}

daemon_process::daemon_process()
	: mount_(std::filesystem::temp_directory_path()),
	  process_({daemon_path(), "-f", "--mode", "1920x1080x32", mount_.path})
{
	wait_for("pvshim-fb to mount", [this] {
		std::ifstream stats(mount_.path + "/stats.json");
		return stats.good() && std::filesystem::exists(frame());
	});
}

daemon_process::~daemon_process()
{
	/* It unmounts; only then may the folder go. */
	process_.end();
}

bool daemon_process::idle() const
{
	std::ifstream file(mount_.path + "/stats.json");
	nlohmann::json stats = nlohmann::json::parse(file);

	return stats["screens"][0]["tracker"]["state"] == "idle";
}

} // namespace bench
