/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * main.cc - pvshim-fb: options, going to the background, waiting for the end
 *
 * To the background: the parent stays until the child has mounted, prints the child's line (what to
 * run next, or what went wrong) and exits with its code. The child forks before any thread exists.
 * A parent that was interrupted meanwhile takes the child with it: nobody knows of the mount.
 * Signals: SIGINT, SIGTERM and SIGHUP are blocked in every thread and read by the main thread, but
 * SIGINT and SIGHUP stay ignored if they were (nohup, `&` in a script); SIGPIPE is ignored (a VNC
 * client may go at any time).
 */
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <exception>
#include <memory>
#include <string>

#include <fcntl.h>
#include <poll.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <syslog.h>
#include <unistd.h>

#include "daemon.h"
#include "message.h"
#include "mount_point.h"
#include "options.h"
#include "params.h"
#include "status.h"

using namespace fuse_fb;

/*
 * jemalloc(3), TUNING: one arena for all threads, made before main(). With more, a thread's first
 * allocation makes one, and where there is no memory for it jemalloc 5.3 goes on with a null
 * pointer instead of returning one.
 */
extern "C" {
extern const char *const malloc_conf;
const char *const malloc_conf = "narenas:1";
}

static int say_error(const std::string &line, exit_code code)
{
	std::fprintf(stderr, "pvshim-fb: %s\n", line.c_str());
	return static_cast<int>(code);
}

/* In the parent: waits for the child's report, "CODE LINE". Does not return in the parent. */
static int to_background()
{
	int report[2];

	if (pipe2(report, O_CLOEXEC))
		throw startup_error(exit_code::failure,
				    format_string("cannot make a pipe: %s", std::strerror(errno)));
	const pid_t child = fork();
	if (child < 0)
		throw startup_error(
			exit_code::failure,
			format_string("cannot go to the background: %s; -f stays in the foreground",
				      std::strerror(errno)));
	if (child == 0) {
		close(report[0]);
		setsid();
		return report[1];
	}

	close(report[1]);
	std::string text;
	char buf[512];
	for (ssize_t n; (n = read(report[0], buf, sizeof(buf))) != 0;) {
		if (n > 0)
			text.append(buf, static_cast<std::size_t>(n));
		else if (errno != EINTR)
			break;
	}
	if (text.size() < 2)
		std::_Exit(
			say_error("the daemon ended without a word; try -f", exit_code::failure));
	const int code = text[0] - '0';
	std::fprintf(code ? stderr : stdout, "pvshim-fb: %s\n", text.c_str() + 2);
	std::fflush(nullptr);
	std::_Exit(code);
}

/* Return: false when there is no parent any more. */
static bool report_to_parent(int fd, exit_code code, const std::string &line)
{
	const std::string text = std::to_string(static_cast<int>(code)) + " " + line;
	const bool told = write(fd, text.data(), text.size()) >= 0;

	if (!told && code != exit_code::ok)
		message(message_kind::error, "%s", line.c_str());
	close(fd);
	return told;
}

/*
 * Descriptors 0 to 2 are there, or what is opened next would become them: close_stdio() would
 * overwrite it, and lines for a person would go into it.
 */
static void open_stdio()
{
	int fd;

	do
		fd = open("/dev/null", O_RDWR);
	while (fd >= 0 && fd <= 2);
	if (fd > 2)
		close(fd);
}

/* From here on nobody reads what we print; lines go to syslog. */
static void close_stdio()
{
	const int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	if (chdir("/") || null < 0)
		return;
	for (int fd = 0; fd <= 2; fd++)
		dup2(null, fd);
	close(null);
}

static void wait_for_end(const fuse_fb::daemon &d, int signals)
{
	for (;;) {
		pollfd fds[2] = {{signals, POLLIN, 0}, {d.ended_fd(), POLLIN, 0}};

		if (poll(fds, 2, -1) < 0) {
			if (errno == EINTR)
				continue;
			message(message_kind::error, "poll: %s", std::strerror(errno));
			return;
		}
		if (fds[1].revents) {
			message(message_kind::info, "%s was unmounted", d.mount_point().c_str());
			return;
		}
		signalfd_siginfo info;
		if (fds[0].revents && read(signals, &info, sizeof(info)) == sizeof(info)) {
			message(message_kind::info, "signal %u: unmounting %s", info.ssi_signo,
				d.mount_point().c_str());
			return;
		}
	}
}

static int run(const daemon_options &options, int report)
{
	sigset_t ends;

	sigemptyset(&ends);
	for (const int s : {SIGINT, SIGTERM, SIGHUP}) {
		struct sigaction now {
		};

		if (s == SIGTERM || sigaction(s, nullptr, &now) || now.sa_handler != SIG_IGN)
			sigaddset(&ends, s);
	}
	pthread_sigmask(SIG_BLOCK, &ends, nullptr);
	std::signal(SIGPIPE, SIG_IGN);
	const int signals = signalfd(-1, &ends, SFD_CLOEXEC);
	if (signals < 0)
		throw startup_error(exit_code::failure,
				    format_string("cannot make a signalfd: %s%s",
						  std::strerror(errno), descriptors_hint(errno)));

	fuse_fb::daemon d(options);
	if (report >= 0) {
		if (!report_to_parent(report, exit_code::ok, d.greeting())) {
			message(message_kind::info, "interrupted while starting: unmounting %s",
				d.mount_point().c_str());
			d.stop();
			return static_cast<int>(exit_code::failure);
		}
		close_stdio();
	} else {
		std::printf("pvshim-fb: %s\n", d.greeting().c_str());
		std::fflush(stdout);
	}
	wait_for_end(d, signals);
	d.stop();
	close(signals);
	return 0;
}

int main(int argc, char **argv)
{
	int report = -1;

	open_stdio();
	try {
		const std::optional<daemon_options> options = parse_options(argc, argv);
		if (!options)
			return 0;
		if (options->help_params) {
			std::fputs(help_params().c_str(), stdout);
			return 0;
		}
		if (options->status)
			return show_status(options->mount_point);
		openlog("pvshim-fb", options->foreground ? LOG_PERROR : 0, LOG_DAEMON);
		if (!options->foreground)
			report = to_background();
		return run(*options, report);
	} catch (const startup_error &e) {
		if (report < 0)
			return say_error(e.what(), e.code());
		report_to_parent(report, e.code(), e.what());
		return static_cast<int>(e.code());
	} catch (const std::exception &e) {
		if (report < 0)
			return say_error(e.what(), exit_code::failure);
		report_to_parent(report, exit_code::failure, e.what());
		return static_cast<int>(exit_code::failure);
	}
}
