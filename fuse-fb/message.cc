/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * message.cc - one line for whoever runs the daemon; see message.h
 */
#include "message.h"

#include <cstdarg>
#include <cstdio>

#include <syslog.h>

namespace fuse_fb
{

static std::string vformat(const char *format, va_list args)
{
	va_list again;
	std::string text;

	va_copy(again, args);
	const int n = std::vsnprintf(nullptr, 0, format, args);
	if (n > 0) {
		text.resize(static_cast<std::size_t>(n) + 1);
		std::vsnprintf(text.data(), text.size(), format, again);
		text.pop_back();
	}
	va_end(again);
	return text;
}

std::string format_string(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	std::string text = vformat(format, args);
	va_end(args);
	return text;
}

void message(message_kind kind, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	const std::string text = vformat(format, args);
	va_end(args);
	const int level = kind == message_kind::info      ? LOG_INFO
			  : kind == message_kind::warning ? LOG_WARNING
							  : LOG_ERR;
	syslog(LOG_DAEMON | level, "%s", text.c_str());
}

} // namespace fuse_fb
