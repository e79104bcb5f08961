/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * mount_point.cc - is the mount point usable; see mount_point.h
 */
#include "mount_point.h"

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <sstream>
#include <vector>

#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

namespace fuse_fb
{

static constexpr const char *source_prefix = "pvshim-fb:";
static constexpr int recover_tries = 64; /* mounts stacked on one directory */

struct mount_entry {
	dev_t dev;
	std::string type;
	std::string source;
};

/* mountinfo writes a space, a tab, a line feed and a backslash as \ooo. */
static std::string unescape(const std::string &s)
{
	std::string out;

	for (std::size_t i = 0; i < s.size(); i++) {
		if (s[i] == '\\' && i + 3 < s.size()) {
			out += static_cast<char>(std::stoi(s.substr(i + 1, 3), nullptr, 8));
			i += 3;
		} else {
			out += s[i];
		}
	}
	return out;
}

/* What is mounted on @path, lowest first. */
static std::vector<mount_entry> mounts_on(const std::string &path)
{
	std::vector<mount_entry> found;
	std::ifstream file("/proc/self/mountinfo");
	std::string line;

	while (std::getline(file, line)) {
		std::istringstream words(line);
		std::string id, parent, dev, root, point, word;
		unsigned major = 0, minor = 0;
		mount_entry entry;

		words >> id >> parent >> dev >> root >> point;
		if (unescape(point) != path)
			continue;
		while (words >> word && word != "-")
			;
		words >> entry.type >> entry.source;
		if (std::sscanf(dev.c_str(), "%u:%u", &major, &minor) != 2)
			continue;
		entry.dev = makedev(major, minor);
		entry.source = unescape(entry.source);
		found.push_back(entry);
	}
	return found;
}

/* What to do about a path that cannot be had. */
static std::string path_hint(const std::string &path, int error)
{
	return error == ENOENT ? "create it with: mkdir -p " + path : "choose a directory of yours";
}

/* The absolute path, without looking at what is mounted there: a dead daemon's mount may block. */
static std::string resolve(const std::string &path)
{
	std::string p = path;
	char link[4096];

	while (p.size() > 1 && p.back() == '/')
		p.pop_back();
	const std::size_t slash = p.rfind('/');
	const std::string name = slash == std::string::npos ? p : p.substr(slash + 1);
	const std::string dir = slash == std::string::npos ? "."
				: slash == 0               ? "/"
							   : p.substr(0, slash);
	const bool plain = !name.empty() && name != "." && name != ".." &&
			   readlink(p.c_str(), link, sizeof(link)) < 0;

	char *real = realpath(plain ? dir.c_str() : p.c_str(), nullptr);
	if (!real)
		throw startup_error(exit_code::mount_point,
				    format_string("mount point %s: %s; %s", path.c_str(),
						  std::strerror(errno),
						  path_hint(path, errno).c_str()));
	std::string result = real;
	std::free(real);
	if (plain)
		result += (result == "/" ? "" : "/") + name;
	return result;
}

/* The state letter and flags of /proc/PID/stat. False when there is no such process. */
static bool process_state(pid_t pid, char *state, unsigned long *flags)
{
	std::ifstream file("/proc/" + std::to_string(pid) + "/stat");
	std::string line;
	long skip;

	if (!std::getline(file, line))
		return false;
	/* The name in parentheses may hold anything. */
	const std::size_t after = line.rfind(')');
	if (after == std::string::npos)
		return false;
	std::istringstream words(line.substr(after + 1));
	words >> *state >> skip >> skip >> skip >> skip >> skip >> *flags;
	return !words.fail();
}

enum class owner { dead, exiting, alive };

/* PF_EXITING of the kernel's task flags, as /proc/PID/stat shows them. */
static constexpr unsigned long flag_exiting = 4;

static owner daemon_of(const mount_entry &mount)
{
	const pid_t pid = static_cast<pid_t>(
		std::strtol(mount.source.c_str() + std::strlen(source_prefix), nullptr, 10));
	unsigned long flags = 0;
	char state = 0;

	if (pid <= 0 || !process_state(pid, &state, &flags))
		return owner::dead;
	if (state == 'Z' || state == 'X' || (flags & flag_exiting))
		return owner::exiting;

	/* The number may belong to somebody else by now; a daemon of ours has /dev/fuse open. */
	const std::string dir = "/proc/" + std::to_string(pid) + "/fd";
	DIR *fds = opendir(dir.c_str());
	if (!fds)
		return owner::alive; /* not ours to look at: better believe it */
	bool has_fuse = false;
	while (const dirent *d = readdir(fds)) {
		char target[64];
		const ssize_t n = readlinkat(dirfd(fds), d->d_name, target, sizeof(target) - 1);

		if (n > 0 && std::string(target, static_cast<std::size_t>(n)) == "/dev/fuse")
			has_fuse = true;
	}
	closedir(fds);
	return has_fuse ? owner::alive : owner::dead;
}

/* Makes every request of the connection fail, so that threads stuck on it can end. */
static bool abort_connection(const std::string &path, dev_t dev)
{
	const std::string file =
		"/sys/fs/fuse/connections/" + std::to_string(minor(dev)) + "/abort";
	const int fd = open(file.c_str(), O_WRONLY | O_CLOEXEC);

	if (fd >= 0) {
		const bool done = write(fd, "1", 1) == 1;

		close(fd);
		if (done)
			return true;
	}
	/* Without fusectl: a forced unmount aborts too, even if it then says busy. */
	return geteuid() == 0 && (umount2(path.c_str(), MNT_FORCE) == 0 || errno == EBUSY);
}

/* Runs fusermount3 -u -z. Return: its exit code, or -1. */
static int run_fusermount(const std::string &path)
{
	const char *argv[] = {"fusermount3", "-u", "-z", "-q", "--", path.c_str(), nullptr};
	pid_t pid;
	int status;

	if (posix_spawnp(&pid, argv[0], nullptr, nullptr, const_cast<char **>(argv), environ))
		return -1;
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return -1;
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* Detaches what is mounted on @path if it is device @dev; nothing to do counts as done. */
static bool detach(const std::string &path, dev_t dev)
{
	const std::vector<mount_entry> mounts = mounts_on(path);

	if (mounts.empty() || mounts.back().dev != dev ||
	    umount2(path.c_str(), MNT_DETACH | UMOUNT_NOFOLLOW) == 0)
		return true;
	const int error = errno;
	const bool done = run_fusermount(path) == 0;
	errno = error;
	return done;
}

void detach_dead_mount(const std::string &path, dev_t dev)
{
	if (!detach(path, dev))
		message(message_kind::warning,
			"a dead mount is left on %s; remove it with: fusermount3 -u -z %s",
			path.c_str(), path.c_str());
}

/* Takes down one mount that is in the way, or throws. */
static void recover(const std::string &path, const mount_entry &top)
{
	if (top.source.rfind(source_prefix, 0) != 0 || top.type.rfind("fuse", 0) != 0)
		throw startup_error(exit_code::mount_point,
				    format_string("mount point %s is in use: %s (%s) is mounted "
						  "there; unmount it or choose "
						  "another directory",
						  path.c_str(), top.source.c_str(),
						  top.type.c_str()));

	const char *pid = top.source.c_str() + std::strlen(source_prefix);
	switch (daemon_of(top)) {
	case owner::alive:
		throw startup_error(
			exit_code::mount_point,
			format_string(
				"mount point %s is in use by pvshim-fb with pid %s; end that one "
				"first (kill %s) or choose another directory",
				path.c_str(), pid, pid));
	case owner::exiting:
		if (!abort_connection(path, top.dev))
			throw startup_error(exit_code::mount_point,
					    format_string("the daemon %s that served %s was killed "
							  "and cannot end; as root: "
							  "umount -f %s",
							  pid, path.c_str(), path.c_str()));
		break;
	case owner::dead:
		break;
	}
	/* A forced unmount, to abort, has done it already when nobody had a file open. */
	if (!detach(path, top.dev))
		throw startup_error(
			exit_code::mount_point,
			format_string(
				"cannot remove the dead mount on %s: %s; try: fusermount3 -u -z %s",
				path.c_str(), std::strerror(errno), path.c_str()));
	message(message_kind::info, "removed the mount that a dead daemon (pid %s) had left on %s",
		pid, path.c_str());
}

std::string prepare_mount_point(const std::string &path)
{
	if (path.empty())
		throw startup_error(exit_code::mount_point,
				    "the mount point is an empty string; name a directory");
	const std::string resolved = resolve(path);

	for (int i = 0; i < recover_tries; i++) {
		const std::vector<mount_entry> mounts = mounts_on(resolved);

		if (mounts.empty())
			break;
		recover(resolved, mounts.back());
	}

	struct stat st {
	};
	if (stat(resolved.c_str(), &st)) {
		const int error = errno;

		throw startup_error(exit_code::mount_point,
				    format_string("mount point %s: %s; %s", path.c_str(),
						  std::strerror(error),
						  path_hint(path, error).c_str()));
	}
	if (!S_ISDIR(st.st_mode))
		throw startup_error(
			exit_code::mount_point,
			format_string("mount point %s is not a directory; name an empty directory",
				      path.c_str()));
	if (access(resolved.c_str(), R_OK | W_OK | X_OK))
		throw startup_error(
			exit_code::mount_point,
			format_string(
				"mount point %s: %s for this user; choose a directory of yours",
				path.c_str(), std::strerror(errno)));
	return resolved;
}

mount_turn::mount_turn(const std::string &path)
	: fd_(open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NONBLOCK))
{
	/* Where a directory cannot be locked, only the race between two is not decided. */
	const bool busy = fd_ >= 0 && flock(fd_, LOCK_EX | LOCK_NB) && errno == EWOULDBLOCK;

	if (!busy && mounts_on(path).empty())
		return;
	if (fd_ >= 0)
		close(fd_);
	throw startup_error(exit_code::mount_point,
			    format_string("mount point %s is in use: another pvshim-fb is just "
					  "being started on it; choose another directory",
					  path.c_str()));
}

mount_turn::~mount_turn()
{
	if (fd_ >= 0)
		close(fd_);
}

static bool has_option(const std::string &options, const std::string &name)
{
	std::istringstream words(options);
	std::string word;

	while (std::getline(words, word, ','))
		if (word == name)
			return true;
	return false;
}

void check_fuse_usable(const std::string &options)
{
	struct stat st {
	};

	/* libfuse wants the number again in the handshake, and otherwise serves nothing. */
	if (("," + options).find(",max_read=") != std::string::npos)
		throw startup_error(exit_code::usage,
				    "mount option max_read is not supported; leave it out");
	if (stat("/dev/fuse", &st))
		throw startup_error(
			exit_code::fuse,
			format_string("/dev/fuse: %s; load the module (modprobe fuse), or give the "
				      "container the device",
				      std::strerror(errno)));
	if (!S_ISCHR(st.st_mode))
		throw startup_error(
			exit_code::fuse,
			"/dev/fuse is not a device; remove it and load the module (modprobe fuse)");
	if (geteuid() == 0)
		return;

	const bool other = has_option(options, "allow_other") || has_option(options, "allow_root");
	if (other) {
		std::ifstream conf("/etc/fuse.conf");
		std::string line;
		bool allowed = false;

		while (std::getline(conf, line))
			allowed |= line.rfind("user_allow_other", 0) == 0;
		if (!allowed)
			throw startup_error(
				exit_code::permission,
				"option allow_other is not permitted to this user; let root add "
				"the line "
				"user_allow_other to /etc/fuse.conf, or leave the option out");
	}
}

std::string mount_source()
{
	return source_prefix + std::to_string(getpid());
}

const char *descriptors_hint(int error)
{
	return error == EMFILE || error == ENFILE ? "; let it have more open files (ulimit -n)"
						  : "";
}

startup_error mount_refused(const std::string &path, const std::string &options, int error,
			    const std::string &why)
{
	const std::string reason = !why.empty() ? why : std::strerror(error);
	const char *descriptors = descriptors_hint(error);
	/* fusermount3 opens the device with the user's rights. */
	const char *todo = *descriptors                       ? descriptors
			   : access("/dev/fuse", R_OK | W_OK) ? "; as root: chmod 666 /dev/fuse"
			   : geteuid() != 0 ? "; install the package fuse3 (fusermount3)"
					    : "";

	return startup_error(exit_code::fuse,
			     format_string("cannot mount on %s%s%s: %s%s", path.c_str(),
					   options.empty() ? "" : " with -o ", options.c_str(),
					   reason.c_str(), todo));
}

void raise_dirty_limit(dev_t dev, std::size_t frame_bytes)
{
	const std::string dir = format_string("/sys/class/bdi/%u:%u/", major(dev), minor(dev));
	unsigned long long limit = 0;
	{
		std::ofstream strict(dir + "strict_limit");
		std::ofstream ratio(dir + "max_ratio");

		strict << "0" << std::flush;
		ratio << "100" << std::flush;
		if (strict.good() && ratio.good())
			return;
	}
	std::ifstream max_bytes(dir + "max_bytes");
	if (max_bytes >> limit && limit > 0 && frame_bytes > limit)
		message(message_kind::warning,
			"a frame has %zu bytes, more than the %llu bytes the kernel lets this "
			"mount have dirty: "
			"programs that draw all of it are slowed down; as root: echo 0 > "
			"%sstrict_limit",
			frame_bytes, limit, dir.c_str());
}

stderr_capture::stderr_capture()
{
	file_ = memfd_create("stderr", MFD_CLOEXEC);
	if (file_ >= 0)
		saved_ = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3);
	if (file_ < 0 || saved_ < 0 || dup2(file_, STDERR_FILENO) < 0) {
		const int error = errno;

		for (const int fd : {file_, saved_})
			if (fd >= 0)
				close(fd);
		throw startup_error(exit_code::failure,
				    format_string("cannot prepare the mount: %s%s",
						  std::strerror(error), descriptors_hint(error)));
	}
}

std::string stderr_capture::text()
{
	std::string out;

	if (saved_ >= 0) {
		dup2(saved_, STDERR_FILENO);
		close(saved_);
		saved_ = -1;
	}
	if (file_ >= 0) {
		char buf[512];
		ssize_t n;

		lseek(file_, 0, SEEK_SET);
		while ((n = read(file_, buf, sizeof(buf))) > 0)
			out.append(buf, static_cast<std::size_t>(n));
		close(file_);
		file_ = -1;
	}
	while (!out.empty() && out.back() == '\n')
		out.pop_back();
	for (std::size_t at; (at = out.find('\n')) != std::string::npos;)
		out.replace(at, 1, "; ");
	return out;
}

stderr_capture::~stderr_capture()
{
	const std::string rest = text();

	if (!rest.empty())
		message(message_kind::warning, "%s", rest.c_str());
}

} // namespace fuse_fb
