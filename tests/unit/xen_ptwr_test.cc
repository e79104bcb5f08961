// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Emulated stores to page tables: each instruction does to a pinned table what it does to memory,
 * to all registers and flags; and nothing that is thrown at the emulator breaks the types.
 *
 *      run(insn, plain page)   same memory, registers, flags     run(insn, pinned table)
 *            the processor   <------------------------------->   a fault, and the emulator
 *
 * PVSHIM_SEED=n repeats the random part.
 */
#include "xen_mmu_fixture.h"

#include "../../kernel-shim/xen/xen_mmu_internal.h"

#include <cstring>
#include <ctime>
#include <random>
#include <sys/mman.h>
#include <ucontext.h>

using namespace xen_mmu_test;

namespace
{

unsigned int seed()
{
	const char *text = std::getenv("PVSHIM_SEED");
	static const unsigned int value = text ? (unsigned int)std::strtoul(text, nullptr, 10)
					       : (unsigned int)std::time(nullptr);

	std::printf("seed %u (PVSHIM_SEED=%u repeats it)\n", value, value);
	return value;
}

/* Numbered as in instructions: rax rcx rdx rbx rsp rbp rsi rdi r8 .. r15. */
struct registers {
	u64 reg[16];
	u64 flags;
};

constexpr unsigned int RSP = 4, RDI = 7;

/* Code that loads all registers but rsp, runs one instruction, and stores them again. */
class trampoline
{
public:
	trampoline()
	{
		void *at = mmap(nullptr, PAGE_SIZE, PROT_READ | PROT_WRITE | PROT_EXEC,
				MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

		if (at == MAP_FAILED)
			std::abort();
		code_ = static_cast<u8 *>(at);
	}
	~trampoline() { munmap(code_, PAGE_SIZE); }
	trampoline(const trampoline &) = delete;
	trampoline &operator=(const trampoline &) = delete;

	void run(const std::vector<u8> &insn, registers *r)
	{
		at_ = code_;
		emit({0x53, 0x55, 0x41, 0x54, 0x41, 0x55, 0x41, 0x56, 0x41, 0x57, 0x57});
		emit({0xff, 0xb7, 0x80, 0, 0, 0, 0x9d}); /* push flags(%rdi); popf */
		for (unsigned int n = 0; n < 16; n++) {
			if (n != RSP && n != RDI)
				move(n, true);
		}
		move(RDI, true);
		emit(insn);
		emit({0x9c, 0x57, 0x48, 0x8b, 0x7c, 0x24, 0x10}); /* pushf; push rdi; rdi = r */
		for (unsigned int n = 0; n < 16; n++) {
			if (n != RSP && n != RDI)
				move(n, false);
		}
		emit({0x58, 0x48, 0x89, 0x47, 8 * RDI});       /* pop; reg[RDI] = */
		emit({0x58, 0x48, 0x89, 0x87, 0x80, 0, 0, 0}); /* pop; flags = */
		emit({0x5f, 0x41, 0x5f, 0x41, 0x5e, 0x41, 0x5d, 0x41, 0x5c, 0x5d, 0x5b, 0xc3});
		reinterpret_cast<void (*)(registers *)>(code_)(r);
	}

private:
	void emit(const std::vector<u8> &bytes)
	{
		std::memcpy(at_, bytes.data(), bytes.size());
		at_ += bytes.size();
	}
	/* Between register @n and its place at rdi. */
	void move(unsigned int n, bool load)
	{
		emit({(u8)(0x48 | (n >= 8 ? 4 : 0)), (u8)(load ? 0x8b : 0x89),
		      (u8)(0x47 | (n & 7) << 3), (u8)(8 * n)});
	}

	u8 *code_, *at_ = nullptr;
};

constexpr u64 CF = 1, PF = 4, AF = 0x10, ZF = 0x40, SF = 0x80, OF = 0x800;
constexpr u64 ARITHMETIC = CF | PF | AF | ZF | SF | OF, LOGIC = ARITHMETIC & ~AF;

enum operand { REG, IMM, IMM8, NONE };

struct form {
	const char *name;
	std::vector<u8> narrow, wide; /* opcodes; narrow empty: none */
	enum operand operand;
	unsigned int ext; /* in place of the register's number */
	u64 flags;        /* that it defines */
	bool bit;         /* the operand counts bits */
	bool lock;        /* may have that prefix */
};

const std::vector<form> forms = {
	{"mov", {0x88}, {0x89}, REG, 0, 0, false, false},
	{"mov", {0xc6}, {0xc7}, IMM, 0, 0, false, false},
	{"xchg", {0x86}, {0x87}, REG, 0, 0, false, true},
	{"cmpxchg", {0x0f, 0xb0}, {0x0f, 0xb1}, REG, 0, ARITHMETIC, false, true},
	{"xadd", {0x0f, 0xc0}, {0x0f, 0xc1}, REG, 0, ARITHMETIC, false, true},
	{"add", {0x00}, {0x01}, REG, 0, ARITHMETIC, false, true},
	{"or", {0x08}, {0x09}, REG, 0, LOGIC, false, true},
	{"and", {0x20}, {0x21}, REG, 0, LOGIC, false, true},
	{"sub", {0x28}, {0x29}, REG, 0, ARITHMETIC, false, true},
	{"xor", {0x30}, {0x31}, REG, 0, LOGIC, false, true},
	{"add", {0x80}, {0x81}, IMM, 0, ARITHMETIC, false, true},
	{"or", {0x80}, {0x81}, IMM, 1, LOGIC, false, true},
	{"and", {0x80}, {0x81}, IMM, 4, LOGIC, false, true},
	{"sub", {0x80}, {0x81}, IMM, 5, ARITHMETIC, false, true},
	{"xor", {0x80}, {0x81}, IMM, 6, LOGIC, false, true},
	{"add", {}, {0x83}, IMM8, 0, ARITHMETIC, false, true},
	{"and", {}, {0x83}, IMM8, 4, LOGIC, false, true},
	{"sub", {}, {0x83}, IMM8, 5, ARITHMETIC, false, true},
	{"inc", {0xfe}, {0xff}, NONE, 0, ARITHMETIC, false, true},
	{"dec", {0xfe}, {0xff}, NONE, 1, ARITHMETIC, false, true},
	{"not", {0xf6}, {0xf7}, NONE, 2, 0, false, true},
	{"neg", {0xf6}, {0xf7}, NONE, 3, ARITHMETIC, false, true},
	{"bts", {}, {0x0f, 0xab}, REG, 0, CF, true, true},
	{"btr", {}, {0x0f, 0xb3}, REG, 0, CF, true, true},
	{"btc", {}, {0x0f, 0xbb}, REG, 0, CF, true, true},
	{"bts", {}, {0x0f, 0xba}, IMM8, 5, CF, true, true},
	{"btr", {}, {0x0f, 0xba}, IMM8, 6, CF, true, true},
	{"btc", {}, {0x0f, 0xba}, IMM8, 7, CF, true, true},
};

/* @form on (%rdi), @bytes wide. */
std::vector<u8> encode(const form &f, unsigned int bytes, unsigned int reg, bool lock,
		       std::mt19937 &random)
{
	const std::vector<u8> &opcode = bytes == 1 ? f.narrow : f.wide;
	unsigned int field = f.operand == REG ? reg : f.ext;
	std::vector<u8> insn;

	if (lock)
		insn.push_back(0xf0);
	if (bytes == 2)
		insn.push_back(0x66);
	insn.push_back((u8)(0x40 | (bytes == 8 ? 8 : 0) | (field >= 8 ? 4 : 0)));
	insn.insert(insn.end(), opcode.begin(), opcode.end());
	insn.push_back((u8)((field & 7) << 3 | RDI));
	unsigned int immediate = f.operand == IMM8 ? 1 : f.operand == IMM ? std::min(bytes, 4u) : 0;
	for (unsigned int i = 0; i < immediate; i++)
		insn.push_back((u8)random());
	return insn;
}

struct attempt {
	trampoline *code;
	const std::vector<u8> *insn;
	registers *r;
};

bool run(trampoline &code, const std::vector<u8> &insn, registers *r)
{
	attempt a = {&code, &insn, r};

	return kshim_try(
		[](void *arg) {
			auto *a = static_cast<attempt *>(arg);

			a->code->run(*a->insn, a->r);
		},
		&a);
}

u64 random64(std::mt19937 &random)
{
	return (u64)random() << 32 | random();
}

/* An entry that is not present, whatever its other bits: so the result seldom is. */
u64 harmless(std::mt19937 &random)
{
	return random64(random) & ~1ull;
}

std::string hex(const std::vector<u8> &insn)
{
	std::string text;
	char byte[8];

	for (u8 b : insn) {
		std::snprintf(byte, sizeof(byte), "%02x ", b);
		text += byte;
	}
	return text;
}

class ptwr_insn_test : public testing::TestWithParam<unsigned int>
{
};

INSTANTIATE_TEST_SUITE_P(widths, ptwr_insn_test, testing::Values(1u, 2u, 4u, 8u));

TEST_P(ptwr_insn_test, does_to_a_pinned_table_what_it_does_to_memory)
{
	const unsigned int bytes = GetParam();
	std::mt19937 random(seed());
	world w;
	tree t;
	trampoline code;
	alignas(8) u64 memory;
	unsigned int emulated = 0, refused = 0;

	t.pin();
	for (int round = 0; round < 60; round++) {
		for (const form &f : forms) {
			if (bytes == 1 && f.narrow.empty())
				continue;
			unsigned int reg;
			do
				reg = random() % 16;
			while (reg == RSP || reg == RDI);
			registers plain = {}, pinned;
			const unsigned int offset = random() % (8 / bytes) * bytes;
			u64 *entry = &t.l1()[7];

			for (u64 &r : plain.reg)
				r = random64(random);
			plain.flags = 0x202 | (random() & ARITHMETIC);
			const auto insn = encode(f, bytes, reg, f.lock && random() % 2, random);
			memory = harmless(random);
			/* Half of the cmpxchgs succeed. */
			if (random() % 2)
				std::memcpy(&plain.reg[0], (u8 *)&memory + offset, bytes);
			/* Greater numbers mean bits of other words. */
			if (f.bit)
				plain.reg[reg] &= 8 * bytes - 1;
			ASSERT_EQ(update(entry, memory), 0);
			pinned = plain;
			plain.reg[RDI] = (u64)&memory + offset;
			pinned.reg[RDI] = (u64)entry + offset;
			const u64 before = memory;

			ASSERT_TRUE(run(code, insn, &plain));
			if (!run(code, insn, &pinned)) {
				/* It would have made a present entry of a bad one. */
				ASSERT_TRUE(memory & 1) << f.name << " " << hex(insn);
				ASSERT_EQ(*entry, before);
				refused++;
				continue;
			}
			emulated++;
			ASSERT_EQ(*entry, memory) << f.name << " " << hex(insn);
			plain.reg[RDI] = pinned.reg[RDI] = 0;
			for (unsigned int n = 0; n < 16; n++)
				ASSERT_EQ(pinned.reg[n], plain.reg[n])
					<< f.name << " " << hex(insn) << " register " << n;
			ASSERT_EQ(pinned.flags & f.flags, plain.flags & f.flags)
				<< f.name << " " << hex(insn);
			if (!f.flags) {
				ASSERT_EQ(pinned.flags & ARITHMETIC, plain.flags & ARITHMETIC);
			}
		}
	}
	ASSERT_EQ(update(&t.l1()[7], 0), 0);
	EXPECT_GT(emulated, 500u);
	EXPECT_GT(refused, 10u);
	EXPECT_EQ(w.stats().oopses, 0u);
	t.unpin();
}

TEST(ptwr, refuses_what_is_not_one_aligned_store)
{
	const struct {
		const char *what;
		std::vector<u8> insn;
		unsigned int offset;
	} cases[] = {
		{"unaligned", {0x48, 0x89, 0x07}, 4},
		{"unaligned word", {0x66, 0x89, 0x07}, 1},
		{"movups, 16 bytes", {0x0f, 0x11, 0x07}, 0},
		{"movntq", {0x48, 0x0f, 0xc3, 0x07}, 0},
		{"stosq", {0x48, 0xab}, 0},
		{"cmpxchg16b", {0x48, 0x0f, 0xc7, 0x0f}, 0},
		{"adc", {0x48, 0x11, 0x07}, 0},
		{"shl", {0x48, 0xd1, 0x27}, 0},
		{"pop", {0x8f, 0x07}, 0},
		{"fxsave", {0x0f, 0xae, 0x07}, 0},
	};
	world w;
	tree t;
	trampoline code;

	t.pin();
	for (const auto &c : cases) {
		registers r = {};
		const u64 before = t.l1()[0];

		r.flags = 0x202;
		r.reg[RDI] = (u64)&t.l1()[0] + c.offset;
		EXPECT_FALSE(run(code, c.insn, &r)) << c.what;
		EXPECT_EQ(t.l1()[0], before) << c.what;
	}
	EXPECT_EQ(w.stats().emulated, 0u);
	t.unpin();
}

/* An instruction at the very end of what is mapped: no byte behind it is looked at. */
TEST(ptwr, reads_no_further_than_the_instruction)
{
	world w;
	tree t;
	ucontext_t context = {};
	auto *two = static_cast<u8 *>(mmap(nullptr, 2 * PAGE_SIZE, PROT_READ | PROT_WRITE,
					   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
	const u8 insn[] = {0x48, 0x89, 0x07}; /* mov %rax, (%rdi) */
	struct write_fault fault = {
		.addr = (unsigned long)&t.l1()[9], .context = &context, .write = nullptr};

	ASSERT_EQ(mprotect(two + PAGE_SIZE, PAGE_SIZE, PROT_NONE), 0);
	t.pin();
	std::memcpy(two + PAGE_SIZE - sizeof(insn), insn, sizeof(insn));
	context.uc_mcontext.gregs[REG_RIP] = (greg_t)(two + PAGE_SIZE - sizeof(insn));
	context.uc_mcontext.gregs[REG_RAX] = 0x42000;
	EXPECT_EQ(ptwr_handle(&fault), WRITE_FAULT_EMULATED);
	EXPECT_EQ(t.l1()[9], 0x42000u);
	EXPECT_EQ(context.uc_mcontext.gregs[REG_RIP], (greg_t)(two + PAGE_SIZE));
	/* And one that is cut off. */
	context.uc_mcontext.gregs[REG_RIP] = (greg_t)(two + PAGE_SIZE - 1);
	EXPECT_EQ(ptwr_handle(&fault), WRITE_FAULT_UNHANDLED);
	context.uc_mcontext.gregs[REG_RIP] = (greg_t)(two + PAGE_SIZE);
	EXPECT_EQ(ptwr_handle(&fault), WRITE_FAULT_UNHANDLED);
	native_pte_set(&t.l1()[9], 0);
	t.unpin();
	munmap(two, 2 * PAGE_SIZE);
}

/*
 * Arbitrary bytes at the instruction, arbitrary registers, an arbitrary place in tables of any
 * level, in frames that are read-only and no table, in ones that are writable.
 */
TEST(ptwr, arbitrary_instructions_never_break_the_types)
{
	std::mt19937 random(seed());
	constexpr int rounds = 200000;
	world w;
	tree t;
	alignas(16) u8 code[64] = {};
	std::vector<struct page *> frames(t.table + 1, t.table + 5);
	unsigned int emulated = 0;

	frames.push_back(t.data[0]);
	frames.push_back(t.data[1]);
	t.pin();
	ASSERT_EQ(set_right(t.data[1], false), 0); /* read-only and unpinned */
	for (int i = 0; i < rounds; i++) {
		ucontext_t context = {};
		struct page *frame = frames[random() % frames.size()];
		struct write_fault fault = {.addr = (unsigned long)page_address(frame) +
						    random() % PAGE_SIZE,
					    .context = &context,
					    .write = nullptr};

		if (random() % 2)
			fault.addr &= ~7ul;
		for (u8 &byte : code)
			byte = (u8)random();
		/* Half of them begin like a store. */
		if (random() % 2) {
			const form &f = forms[random() % forms.size()];
			const auto insn = encode(f, f.narrow.empty() ? 8 : 1u << random() % 4,
						 random() % 16, random() % 2, random);

			std::memcpy(code, insn.data(), insn.size());
		}
		for (greg_t &reg : context.uc_mcontext.gregs) {
			reg = (greg_t)random64(random);
			/* Entries that name frames there are. */
			if (random() % 2)
				reg = (greg_t)pte_of(frames[random() % frames.size()],
						     random() % 4096);
		}
		context.uc_mcontext.gregs[REG_RIP] = (greg_t)code;
		emulated += ptwr_handle(&fault) == WRITE_FAULT_EMULATED;
		if (i % 2000 == 0) {
			ASSERT_TRUE(xen_mmu_check()) << "round " << i << w.log();
		}
	}
	ASSERT_TRUE(xen_mmu_check()) << w.log();
	EXPECT_GT(emulated, (unsigned int)rounds / 100);
	/* Whatever is in there now goes. */
	for (unsigned int i = 0; i < PTRS_PER_PTE; i++)
		ASSERT_EQ(update(&t.l1()[i], 0), 0);
	ASSERT_EQ(set_right(t.data[1], true), 0);
	t.unpin();
}

TEST(ptwr, arbitrary_entries_never_make_a_table_writable)
{
	std::mt19937 random(seed() + 1);
	world w;
	tree t;
	unsigned long nr;
	unsigned int taken = 0;

	(void)mmu_page_array(&nr);
	t.pin();
	for (int i = 0; i < 100000; i++) {
		struct write {
			u64 *at;
			pteval_t value;
		} a = {&t.l1()[random() % PTRS_PER_PTE], random64(random)};

		/* Most of them name a frame that there is, many of these a table. */
		if (random() % 8)
			a.value = pfn_pte(random() % (nr + 2), random() % 4096);
		if (random() % 4 == 0)
			a.value = pte_of(t.table[1 + random() % 4], random() % 4096);
		taken += kshim_try(
			[](void *arg) {
				auto *a = static_cast<write *>(arg);

				native_pte_set(a->at, a->value);
			},
			&a);
		if (i % 5000 == 0) {
			ASSERT_TRUE(xen_mmu_check()) << w.log();
		}
	}
	EXPECT_GT(taken, 10000u);
	ASSERT_TRUE(xen_mmu_check()) << w.log();
	for (unsigned int i = 0; i < PTRS_PER_PTE; i++)
		native_pte_set(&t.l1()[i], 0);
	t.unpin();
}

} // namespace
