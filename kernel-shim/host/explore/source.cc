// SPDX-License-Identifier: GPL-2.0-or-later
#include "source.h"

#include "explorer.h"

#include <cxxabi.h>
#include <dwarf.h>
#include <elfutils/libdw.h>
#include <elfutils/libdwfl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* "f<int>(long)" and "f(long) [clone .part.0]" are f. */
static std::string short_name(const std::string &name)
{
	static const char anonymous[] = "(anonymous namespace)::";
	std::string text = name;
	size_t at;

	while ((at = text.find(anonymous)) != std::string::npos)
		text.erase(at, sizeof(anonymous) - 1);
	if (text.compare(0, 8, "operator") == 0)
		return text;
	return text.substr(0, text.find_first_of("(<"));
}

static std::string demangled(const char *symbol)
{
	int status;
	char *plain = abi::__cxa_demangle(symbol, nullptr, nullptr, &status);
	std::string name = plain ? plain : symbol;

	free(plain);
	return name;
}

static int number_of(Dwarf_Die *die, unsigned int attribute)
{
	Dwarf_Attribute a;
	Dwarf_Word value;

	return !dwarf_formudata(dwarf_attr_integrate(die, attribute, &a), &value) ? (int)value : 0;
}

static std::string name_of(Dwarf_Die *die)
{
	Dwarf_Attribute a;
	const char *name = dwarf_formstring(dwarf_attr_integrate(die, DW_AT_name, &a));

	return name ? short_name(name) : "?";
}

static std::string file_of(Dwarf_Die *die)
{
	const char *file = dwarf_decl_file(die);

	return file ? file : "";
}

static const Dwfl_Callbacks callbacks = {
	.find_elf = dwfl_linux_proc_find_elf,
	.find_debuginfo = dwfl_standard_find_debuginfo,
	.section_address = nullptr,
	.debuginfo_path = nullptr,
};

source_map::source_map() : dwfl_(dwfl_begin(&callbacks))
{
	if (dwfl_ && dwfl_linux_proc_report(dwfl_, getpid()) == 0)
		dwfl_report_end(dwfl_, nullptr, nullptr);
}

source_map::~source_map()
{
	dwfl_end(dwfl_);
}

const std::vector<source_frame> &source_map::at(const void *return_address)
{
	auto known = known_.find(return_address);

	if (known == known_.end())
		/* The call is before the address that it returns to. */
		known = known_.emplace(return_address, look_up((unsigned long)return_address - 1))
				.first;
	return known->second;
}

/* The compilation unit: by the table of addresses, which not every compiler writes, or by all. */
static Dwarf_Die *unit_of(Dwfl_Module *module, Dwarf_Addr address, Dwarf_Addr *bias)
{
	Dwarf_Die *unit = dwfl_module_addrdie(module, address, bias);

	while (!unit) {
		Dwarf_Die *next = nullptr;

		while ((next = dwfl_module_nextcu(module, next, bias)) != nullptr) {
			if (dwarf_haspc(next, address - *bias) == 1)
				return next;
		}
		break;
	}
	return unit;
}

std::vector<source_frame> source_map::look_up(unsigned long address)
{
	Dwfl_Module *module = dwfl_ ? dwfl_addrmodule(dwfl_, address) : nullptr;
	const char *symbol = module ? dwfl_module_addrname(module, address) : nullptr;
	std::vector<source_frame> frames;
	Dwarf_Addr bias = 0;
	Dwarf_Die *unit = module ? unit_of(module, address, &bias) : nullptr;
	Dwarf_Die *scopes = nullptr, *around = nullptr;
	int nr = unit ? dwarf_getscopes(unit, address - bias, &scopes) : 0;
	int line = 0;

	if (Dwarf_Line *l = unit ? dwarf_getsrc_die(unit, address - bias) : nullptr)
		dwarf_lineno(l, &line);
	/* What is around the innermost scope in the machine's code, not in the source. */
	nr = nr > 0 ? dwarf_getscopes_die(&scopes[0], &around) : 0;
	for (int i = 0; i < nr; i++) {
		int tag = dwarf_tag(&around[i]);

		if (tag != DW_TAG_inlined_subroutine && tag != DW_TAG_subprogram)
			continue;
		frames.push_back({name_of(&around[i]), file_of(&around[i]), line});
		if (tag == DW_TAG_subprogram)
			break;
		line = number_of(&around[i], DW_AT_call_line);
	}
	free(scopes);
	free(around);
	if (frames.empty()) {
		char bare[32];

		snprintf(bare, sizeof(bare), "%#lx", address + 1);
		frames.push_back({symbol ? short_name(demangled(symbol)) : bare, "", 0});
	}
	return frames;
}

std::string symbol_name(const void *address)
{
	source_map map;

	/* Who made the access, not the accessor. */
	for (const source_frame &f : map.at(address)) {
		if (f.file.find("/include/") != std::string::npos)
			continue;
		return f.file.empty() ? f.function
				      : f.function + ", " + f.file.substr(f.file.rfind('/') + 1) +
						":" + std::to_string(f.line);
	}
	return map.at(address).back().function;
}
