/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * From an address of code to its functions and lines, those that were inlined too: from the
 * program's own debug information, which libdw reads.
 */
#ifndef KSHIM_EXPLORE_SOURCE_H
#define KSHIM_EXPLORE_SOURCE_H

#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

struct Dwfl;

struct source_frame {
	std::string function; /* without parameters and arguments of templates */
	std::string file;     /* that the function is in, as the compiler knew it; or empty */
	int line = 0;         /* of the call, or of the access */
};

class source_map
{
public:
	source_map();
	~source_map();
	source_map(const source_map &) = delete;
	source_map &operator=(const source_map &) = delete;

	/*
	 * The frames at a return address, innermost first; at least one, which is the bare address
	 * when nothing is known.
	 */
	const std::vector<source_frame> &at(const void *return_address);

private:
	std::vector<source_frame> look_up(unsigned long address);

	Dwfl *dwfl_;
	std::unordered_map<const void *, std::vector<source_frame>> known_;
};

#endif
