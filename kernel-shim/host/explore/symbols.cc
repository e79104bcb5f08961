// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Names of functions for traces, static ones too: from the symbol table of the running program's
 * own file, read once, when the first trace is written. A stripped program shows addresses.
 */
#include "explorer.h"

#include <algorithm>
#include <cxxabi.h>
#include <elf.h>
#include <fcntl.h>
#include <link.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

namespace
{

struct function {
	u64 start, size;
	std::string name;
};

/* The part of a demangled name before its parameters. */
std::string short_name(const char *mangled)
{
	int status;
	char *plain = abi::__cxa_demangle(mangled, nullptr, nullptr, &status);
	std::string name = plain ? plain : mangled;

	static const char anonymous[] = "(anonymous namespace)::";
	size_t at;

	free(plain);
	while ((at = name.find(anonymous)) != std::string::npos)
		name.erase(at, sizeof(anonymous) - 1);
	return name.substr(0, name.find('('));
}

class symbol_table
{
public:
	symbol_table()
	{
		int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
		struct stat st;

		if (fd < 0)
			return;
		if (fstat(fd, &st) == 0 && (size_t)st.st_size > sizeof(Elf64_Ehdr)) {
			void *p = mmap(nullptr, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);

			if (p != MAP_FAILED) {
				read((const char *)p, (size_t)st.st_size);
				munmap(p, (size_t)st.st_size);
			}
		}
		close(fd);
		std::sort(functions_.begin(), functions_.end(),
			  [](const function &a, const function &b) { return a.start < b.start; });
		/* The program itself is the first object. */
		dl_iterate_phdr(
			[](struct dl_phdr_info *info, size_t, void *base) {
				*(u64 *)base = info->dlpi_addr;
				return 1;
			},
			&base_);
	}

	std::string find(u64 address) const
	{
		u64 offset = address - base_;
		auto after = std::upper_bound(functions_.begin(), functions_.end(), offset,
					      [](u64 a, const function &f) { return a < f.start; });
		char text[32];

		if (after != functions_.begin() && offset <= after[-1].start + after[-1].size)
			return after[-1].name;
		snprintf(text, sizeof(text), "%#lx", (unsigned long)address);
		return text;
	}

private:
	void read(const char *file, size_t bytes)
	{
		const Elf64_Ehdr *header = (const Elf64_Ehdr *)file;
		const Elf64_Shdr *sections;

		if (header->e_ident[EI_CLASS] != ELFCLASS64 ||
		    header->e_shoff + (u64)header->e_shnum * sizeof(*sections) > bytes)
			return;
		sections = (const Elf64_Shdr *)(file + header->e_shoff);
		for (unsigned int i = 0; i < header->e_shnum; i++) {
			const Elf64_Shdr &s = sections[i];

			if (s.sh_type != SHT_SYMTAB || s.sh_link >= header->e_shnum ||
			    s.sh_offset + s.sh_size > bytes)
				continue;
			const Elf64_Sym *symbols = (const Elf64_Sym *)(file + s.sh_offset);
			const char *names = file + sections[s.sh_link].sh_offset;

			for (size_t k = 0; k < s.sh_size / sizeof(*symbols); k++) {
				if (ELF64_ST_TYPE(symbols[k].st_info) == STT_FUNC &&
				    symbols[k].st_size)
					functions_.push_back(
						{symbols[k].st_value, symbols[k].st_size,
						 short_name(names + symbols[k].st_name)});
			}
		}
	}

	std::vector<function> functions_;
	u64 base_ = 0;
};

} // namespace

std::string symbol_name(const void *address)
{
	static const symbol_table table;

	/* A return address: the call is before it. */
	return table.find((u64)address - 1);
}
