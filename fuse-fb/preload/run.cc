/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * preload/run.cc - pvshim-run: runs a program that finds its framebuffer in a mount
 *
 * Chooses the mounts, finds the library, looks whether the program can be helped at all (it must
 * have a dynamic linker, be of our kind, and keep LD_PRELOAD), and becomes the program.
 */
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <optional>
#include <string>
#include <vector>

#include <elf.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "preload/mounts.h"

namespace
{

using namespace fb_preload;

constexpr int code_usage = 2, code_no_mount = 3, code_cannot = 126, code_not_found = 127;

const char *const help =
	"NAME\n"
	"    pvshim-run - run a program that draws to /dev/fb0, with a framebuffer of pvshim-fb\n"
	"\n"
	"SYNOPSIS\n"
	"    pvshim-run [-m MOUNTPOINT]... [-c] [--] PROGRAM [ARGUMENT]...\n"
	"\n"
	"DESCRIPTION\n"
	"    The program runs as it is, with a library preloaded through which it finds\n"
	"        /dev/fb0, /dev/fb/0, /dev/graphics/fb0     the fb0 of the mount, with its ioctls\n"
	"        /sys/class/graphics/fb0, /proc/fb          what they say of it\n"
	"        /dev/tty0, /dev/ttyN, /dev/console         a terminal, where there is no virtual "
	"one\n"
	"    FBIOPUT_VSCREENINFO changes the mode for whoever watches, within the memory that\n"
	"    pvshim-fb --vram gives; FBIO_WAITFORVSYNC waits for the next refresh; a cursor is\n"
	"    refused with EINVAL, what is no framebuffer request with ENOTTY, mapping beyond the\n"
	"    end with EINVAL.\n"
	"\n"
	"OPTIONS\n"
	"    -m, --mount MOUNTPOINT   where pvshim-fb is mounted; given again, the next one is\n"
	"                             /dev/fb1 and so on, up to eight. Without it: the newest "
	"mount\n"
	"    -c, --console            the stand-in terminal even where there is a virtual one\n"
	"    -h, --help               this text\n"
	"    -V, --version            the version\n"
	"\n"
	"ENVIRONMENT\n"
	"    PVSHIM_FB                mount points with colons between them, as -m; set for the\n"
	"                             program and its children\n"
	"    PVSHIM_CONSOLE           not empty: as -c\n"
	"    By hand: LD_PRELOAD=.../libpvshim-fb.so PROGRAM\n"
	"\n"
	"EXIT STATUS\n"
	"    The program's own. 2: options. 3: no framebuffer is mounted. 126: the program cannot "
	"be\n"
	"    run, or not with a library preloaded: it is statically linked, for another kind of\n"
	"    processor, or gets more rights than its caller. 127: there is no such program.\n"
	"\n"
	"EXAMPLES\n"
	"    pvshim-fb ~/screen && pvshim-run fbset -i\n"
	"    pvshim-run ffmpeg -i film.mp4 -pix_fmt bgra -f fbdev /dev/fb0\n"
	"\n"
	"LIMITS\n"
	"    What a program does without the C library (static programs, Go) is not seen, nor is "
	"a\n"
	"    path relative to /dev. A program's children are helped as well.\n";

[[noreturn]] void fail(int code, const std::string &line)
{
	std::fprintf(stderr, "pvshim-run: %s\n", line.c_str());
	std::exit(code);
}

bool is_framebuffer_mount(const std::string &path)
{
	struct stat st {
	};

	return stat((path + "/fb0").c_str(), &st) == 0 && S_ISREG(st.st_mode);
}

std::string absolute(const std::string &path)
{
	char *real = realpath(path.c_str(), nullptr);
	std::string out = real ? real : path;

	std::free(real);
	return out;
}

std::vector<std::string> chosen_mounts(std::vector<std::string> wanted)
{
	if (wanted.empty())
		if (const char *text = std::getenv(mounts_variable); text && *text)
			for (std::string rest = text; !rest.empty();) {
				const std::size_t len = rest.find(':');

				wanted.push_back(rest.substr(0, len));
				rest = len == std::string::npos ? "" : rest.substr(len + 1);
			}
	if (wanted.empty()) {
		find_mounts(
			[](const char *path, void *arg) {
				static_cast<std::vector<std::string> *>(arg)->push_back(path);
			},
			&wanted);
		if (wanted.size() > 1) {
			std::fprintf(stderr,
				     "pvshim-run: %zu framebuffers are mounted; taking the newest, "
				     "%s (-m chooses)\n",
				     wanted.size(), wanted.back().c_str());
			wanted.erase(wanted.begin(), wanted.end() - 1);
		}
		if (wanted.empty())
			fail(code_no_mount,
			     "no framebuffer is mounted; this makes one: pvshim-fb DIRECTORY");
	}
	if (wanted.size() > mounts_max)
		fail(code_usage, "more than eight mounts; leave some -m out");
	for (std::string &path : wanted) {
		path = absolute(path);
		if (!is_framebuffer_mount(path))
			fail(code_no_mount, "'" + path + "' has no fb0 (" + std::strerror(errno) +
						    "); this makes it one: pvshim-fb " + path);
		if (path.find(':') != std::string::npos)
			fail(code_usage, "'" + path +
						 "' has a colon in it, which PVSHIM_FB cannot "
						 "hold; mount somewhere else");
	}
	return wanted;
}

/* Installed: PREFIX/bin and PREFIX/LIBDIR. In a build: beside this program. */
std::string library_path()
{
	char self[4096];
	const ssize_t n = readlink("/proc/self/exe", self, sizeof(self));
	const std::string program(self, n > 0 ? static_cast<std::size_t>(n) : 0);
	const std::string folder = program.substr(0, program.rfind('/'));
	std::string tried;

	for (const std::string &path :
	     {folder + "/" PRELOAD_NAME, folder + "/../" PRELOAD_LIBDIR "/" PRELOAD_NAME}) {
		if (access(path.c_str(), R_OK) == 0)
			return absolute(path);
		tried += " " + path;
	}
	fail(code_cannot, "its library is not there, looked for at:" + tried);
}

/* As execvp() would find it. */
std::optional<std::string> find_program(const std::string &name, int *error)
{
	const char *path = std::getenv("PATH");
	std::string rest = path ? path : "/usr/local/bin:/usr/bin:/bin";

	*error = ENOENT;
	if (name.find('/') != std::string::npos) {
		if (access(name.c_str(), X_OK) == 0)
			return name;
		*error = errno;
		return std::nullopt;
	}
	for (;;) {
		const std::size_t len = rest.find(':');
		const std::string folder = rest.substr(0, len);
		const std::string file = (folder.empty() ? "." : folder) + "/" + name;
		struct stat st {
		};

		if (stat(file.c_str(), &st) == 0 && S_ISREG(st.st_mode)) {
			if (access(file.c_str(), X_OK) == 0)
				return file;
			*error = errno;
		}
		if (len == std::string::npos)
			return std::nullopt;
		rest = rest.substr(len + 1);
	}
}

/* Why the library will not get into this file, or empty. */
std::string why_not(const std::string &file)
{
	Elf64_Ehdr head{};
	struct stat st {
	};
	const int fd = open(file.c_str(), O_RDONLY | O_CLOEXEC);
	std::string why;

	/* Unreadable but executable: it may work. */
	if (fd < 0)
		return why;
	if (fstat(fd, &st) == 0 && ((st.st_mode & S_ISUID && st.st_uid != geteuid()) ||
				    (st.st_mode & S_ISGID && st.st_gid != getegid())))
		why = "gets more rights than its caller (set-user-id), so the system preloads "
		      "nothing into it; run it as its owner";
	const bool elf = pread(fd, &head, sizeof(head), 0) == sizeof(head) &&
			 std::memcmp(head.e_ident, ELFMAG, SELFMAG) == 0;
	if (why.empty() && elf && head.e_ident[EI_CLASS] != ELFCLASS64)
		why = "is a 32-bit program; the library is of 64 bits";
	if (why.empty() && elf) {
		bool dynamic = false;

		for (unsigned i = 0; i < head.e_phnum; i++) {
			Elf64_Phdr p{};
			const auto at = static_cast<off_t>(head.e_phoff +
							   std::size_t{i} * head.e_phentsize);

			if (pread(fd, &p, sizeof(p), at) == sizeof(p))
				dynamic |= p.p_type == PT_INTERP;
		}
		if (!dynamic)
			why = "is statically linked, so nothing can be preloaded into it; use a "
			      "dynamically linked one";
	}
	close(fd);
	return why;
}

/* The program that a script is run by: "#!/path ARGUMENT". */
std::string interpreter_of(const std::string &file)
{
	char head[256] = "";
	const int fd = open(file.c_str(), O_RDONLY | O_CLOEXEC);
	const ssize_t n = fd < 0 ? -1 : read(fd, head, sizeof(head) - 1);

	if (fd >= 0)
		close(fd);
	if (n < 2 || head[0] != '#' || head[1] != '!')
		return {};
	const char *begin = head + 2 + std::strspn(head + 2, " \t");
	return {begin, std::strcspn(begin, " \t\n")};
}

void put_first(const char *variable, const std::string &value)
{
	const char *old = std::getenv(variable);
	const std::string all = old && *old ? value + ":" + old : value;

	setenv(variable, all.c_str(), 1);
}

} // namespace

int main(int argc, char **argv)
{
	std::vector<std::string> wanted;
	int next = 1;

	for (; next < argc && argv[next][0] == '-'; next++) {
		const std::string word = argv[next];

		if (word == "--") {
			next++;
			break;
		}
		if (word == "-h" || word == "--help") {
			std::fputs(help, stdout);
			return 0;
		}
		if (word == "-V" || word == "--version") {
			std::printf("pvshim-run %s\n", PVSHIM_VERSION);
			return 0;
		}
		if (word == "-c" || word == "--console") {
			setenv(console_variable, "1", 1);
		} else if (word == "-m" || word == "--mount") {
			if (++next >= argc)
				fail(code_usage, word + " wants a mount point; see pvshim-run "
							"--help");
			wanted.push_back(argv[next]);
		} else if (word.rfind("--mount=", 0) == 0) {
			wanted.push_back(word.substr(std::strlen("--mount=")));
		} else {
			fail(code_usage,
			     "there is no option '" + word + "'; see pvshim-run --help");
		}
	}
	if (next >= argc)
		fail(code_usage, "no program given; for example: pvshim-run fbset -i");

	int error = 0;
	const std::optional<std::string> program = find_program(argv[next], &error);
	if (!program)
		fail(error == ENOENT ? code_not_found : code_cannot,
		     std::string("'") + argv[next] + "' cannot be run: " + std::strerror(error));
	std::string why = why_not(*program);
	if (const std::string shell = interpreter_of(*program); why.empty() && !shell.empty())
		why = why_not(shell);
	if (!why.empty())
		fail(code_cannot, "'" + *program + "' " + why);

	std::string mounts;
	for (const std::string &path : chosen_mounts(wanted))
		mounts += (mounts.empty() ? "" : ":") + path;
	setenv(mounts_variable, mounts.c_str(), 1);
	put_first("LD_PRELOAD", library_path());
	execv(program->c_str(), argv + next);
	fail(errno == ENOENT ? code_not_found : code_cannot,
	     "'" + *program + "' cannot be run: " + std::strerror(errno));
}
