/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * preload/mounts.cc - where framebuffers are mounted; see mounts.h
 */
#include "preload/mounts.h"

#include <cstdlib>
#include <cstring>

#include <fcntl.h>
#include <unistd.h>

namespace fb_preload
{

/* Spaces and the like are octal in the table. */
static void decode(char *text)
{
	char *to = text;

	for (const char *from = text; *from; to++) {
		if (from[0] == '\\' && from[1] >= '0' && from[1] <= '3' && from[2] && from[3]) {
			*to = static_cast<char>((from[1] - '0') * 64 + (from[2] - '0') * 8 +
						(from[3] - '0'));
			from += 4;
		} else {
			*to = *from++;
		}
	}
	*to = '\0';
}

/* "ID PARENT DEV ROOT MOUNTPOINT OPTIONS [FIELDS] - TYPE SOURCE OPTIONS" */
static void look_at(char *line, void (*found)(const char *, void *), void *arg)
{
	static constexpr char prefix[] = "pvshim-fb:";
	char *rest = std::strstr(line, " - ");
	char *place = nullptr;

	if (!rest)
		return;
	*rest = '\0';
	rest += 3;
	char *const source = std::strchr(rest, ' ');
	if (!source || std::strncmp(rest, "fuse", 4) != 0 ||
	    std::strncmp(source + 1, prefix, sizeof(prefix) - 1) != 0)
		return;
	for (int field = 0; field < 4 && line; field++) {
		line = std::strchr(line, ' ');
		if (line)
			place = ++line;
	}
	if (!line)
		return;
	place[std::strcspn(place, " ")] = '\0';
	decode(place);
	found(place, arg);
}

void find_mounts(void (*found)(const char *path, void *arg), void *arg)
{
	/* As long as a line may be, so that one that is cut is never taken for another. */
	char buf[3 * PATH_MAX];
	std::size_t used = 0;
	bool skipping = false;
	const int fd = open("/proc/self/mountinfo", O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return;
	for (;;) {
		const ssize_t n = read(fd, buf + used, sizeof(buf) - 1 - used);
		char *line = buf, *end;

		if (n <= 0)
			break;
		used += static_cast<std::size_t>(n);
		buf[used] = '\0';
		while ((end = std::strchr(line, '\n'))) {
			*end = '\0';
			if (!skipping)
				look_at(line, found, arg);
			skipping = false;
			line = end + 1;
		}
		used = static_cast<std::size_t>(buf + used - line);
		std::memmove(buf, line, used);
		if (used == sizeof(buf) - 1) {
			skipping = true;
			used = 0;
		}
	}
	close(fd);
}

} // namespace fb_preload
