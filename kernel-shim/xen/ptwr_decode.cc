// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * ptwr_decode.cc - what an instruction wants to store, and doing the rest of it (Zydis)
 *
 *      mov m, r/imm    xchg m, r    cmpxchg m, r    xadd m, r
 *      and or xor add sub m, r/imm  inc dec not neg m
 *      btr bts btc m, imm; m, r     (the word that was refused, whatever the offset in r)
 *
 * with or without lock, 8 to 64 bits wide. An emulated store is atomic, so lock adds nothing. The
 * instruction's bytes are read from where it ran, at most as many as one has, and never across into
 * a page that is not there: they have just been executed.
 *
 * Flags are computed, not borrowed: an emulator that runs the guest's instruction on its own memory
 * would have to trust it.
 */
#include "xen_mmu_internal.h"

#include <Zydis/Zydis.h>
#include <kshim/fault.h>
#include <linux/minmax.h>
#include <linux/string.h>
#include <ucontext.h>

#define FLAG_CF 0x001ull
#define FLAG_PF 0x004ull
#define FLAG_AF 0x010ull
#define FLAG_ZF 0x040ull
#define FLAG_SF 0x080ull
#define FLAG_OF 0x800ull
#define FLAGS_ARITHMETIC (FLAG_CF | FLAG_PF | FLAG_AF | FLAG_ZF | FLAG_SF | FLAG_OF)

static greg_t *reg_at(const void *context, int reg)
{
	return &((ucontext_t *)context)->uc_mcontext.gregs[reg];
}

static u64 width_mask(unsigned int bytes)
{
	return bytes == 8 ? ~0ull : (1ull << 8 * bytes) - 1;
}

/* Zydis numbers registers as processors do. */
static int greg_of(ZydisRegister reg)
{
	static const int order[16] = {REG_RAX, REG_RCX, REG_RDX, REG_RBX, REG_RSP, REG_RBP,
				      REG_RSI, REG_RDI, REG_R8,  REG_R9,  REG_R10, REG_R11,
				      REG_R12, REG_R13, REG_R14, REG_R15};
	ZydisRegister wide = ZydisRegisterGetLargestEnclosing(ZYDIS_MACHINE_MODE_LONG_64, reg);

	if (wide < ZYDIS_REGISTER_RAX || wide > ZYDIS_REGISTER_R15)
		return -1;
	/* The upper halves of the first four are not emulated. */
	if (reg >= ZYDIS_REGISTER_AH && reg <= ZYDIS_REGISTER_BH)
		return -1;
	return order[wide - ZYDIS_REGISTER_RAX];
}

static bool is_known(unsigned int op)
{
	switch (op) {
	case ZYDIS_MNEMONIC_MOV:
	case ZYDIS_MNEMONIC_XCHG:
	case ZYDIS_MNEMONIC_CMPXCHG:
	case ZYDIS_MNEMONIC_XADD:
	case ZYDIS_MNEMONIC_AND:
	case ZYDIS_MNEMONIC_OR:
	case ZYDIS_MNEMONIC_XOR:
	case ZYDIS_MNEMONIC_ADD:
	case ZYDIS_MNEMONIC_SUB:
	case ZYDIS_MNEMONIC_INC:
	case ZYDIS_MNEMONIC_DEC:
	case ZYDIS_MNEMONIC_NOT:
	case ZYDIS_MNEMONIC_NEG:
	case ZYDIS_MNEMONIC_BTR:
	case ZYDIS_MNEMONIC_BTS:
	case ZYDIS_MNEMONIC_BTC:
		return true;
	default:
		return false;
	}
}

/* The operand that is memory and written; null: none, or it is not the first of two. */
static const ZydisDecodedOperand *stored_operand(const ZydisDecodedInstruction *insn,
						 const ZydisDecodedOperand *operands)
{
	for (unsigned int i = 0; i < insn->operand_count_visible; i++) {
		const ZydisDecodedOperand *o = &operands[i];

		if (o->type == ZYDIS_OPERAND_TYPE_MEMORY && o->mem.type == ZYDIS_MEMOP_TYPE_MEM &&
		    o->actions & ZYDIS_OPERAND_ACTION_MASK_WRITE)
			return o;
	}
	return nullptr;
}

static bool take_source(const void *context, const ZydisDecodedOperand *source,
			struct ptwr_insn *insn)
{
	if (source->type == ZYDIS_OPERAND_TYPE_IMMEDIATE) {
		insn->operand = source->imm.value.u;
		return true;
	}
	if (source->type != ZYDIS_OPERAND_TYPE_REGISTER)
		return false;
	insn->source_reg = greg_of(source->reg.value);
	if (insn->source_reg < 0)
		return false;
	insn->operand = (u64)*reg_at(context, insn->source_reg);
	return true;
}

struct insn_bytes {
	u8 bytes[ZYDIS_MAX_INSTRUCTION_LENGTH];
	size_t nr;
};

/* They were executed a moment ago, but the page behind them need not be there. */
static struct insn_bytes fetch(const void *rip)
{
	struct insn_bytes code = {};
	size_t here = min(sizeof(code.bytes), PAGE_SIZE - offset_in_page(rip));

	if (kshim_probe_read(code.bytes, rip, here))
		return code;
	code.nr = here;
	if (here < sizeof(code.bytes) &&
	    !kshim_probe_read(code.bytes + here, (const char *)rip + here,
			      sizeof(code.bytes) - here))
		code.nr = sizeof(code.bytes);
	return code;
}

bool ptwr_decode(const void *context, unsigned long addr, struct ptwr_insn *insn, const char **why)
{
	struct insn_bytes code = fetch((const void *)*reg_at(context, REG_RIP));
	ZydisDecodedOperand operands[ZYDIS_MAX_OPERAND_COUNT];
	const ZydisDecodedOperand *memory;
	ZydisDecodedInstruction decoded;
	ZydisDecoder decoder;

	*why = "its instruction is none that is emulated";
	*insn = {};
	insn->source_reg = insn->dest_reg = -1;
	if (ZYAN_FAILED(
		    ZydisDecoderInit(&decoder, ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64)) ||
	    ZYAN_FAILED(ZydisDecoderDecodeFull(&decoder, code.bytes, code.nr, &decoded, operands)))
		return false;
	memory = stored_operand(&decoded, operands);
	if (!memory || !is_known(decoded.mnemonic) || decoded.operand_count_visible > 2 ||
	    decoded.attributes & (ZYDIS_ATTRIB_HAS_REP | ZYDIS_ATTRIB_HAS_REPNE |
				  ZYDIS_ATTRIB_HAS_SEGMENT_FS | ZYDIS_ATTRIB_HAS_SEGMENT_GS))
		return false;
	insn->op = decoded.mnemonic;
	insn->bytes = memory->size / 8;
	insn->length = decoded.length;
	if (insn->bytes != 1 && insn->bytes != 2 && insn->bytes != 4 && insn->bytes != 8)
		return false;
	if (addr % insn->bytes) {
		*why = "it is not aligned";
		return false;
	}
	/* xchg may name its register first. */
	if (decoded.operand_count_visible == 2 &&
	    !take_source(context, &operands[memory == &operands[0] ? 1 : 0], insn))
		return false;
	if (insn->op == ZYDIS_MNEMONIC_XCHG || insn->op == ZYDIS_MNEMONIC_XADD)
		insn->dest_reg = insn->source_reg;
	else if (insn->op == ZYDIS_MNEMONIC_CMPXCHG)
		insn->dest_reg = REG_RAX;
	insn->operand &= width_mask(insn->bytes);
	return true;
}

static u64 flags_of_result(u64 result, unsigned int bytes)
{
	u64 flags = 0;

	if (!(result & width_mask(bytes)))
		flags |= FLAG_ZF;
	if (result >> (8 * bytes - 1) & 1)
		flags |= FLAG_SF;
	if (!(__builtin_popcountll(result & 0xff) & 1))
		flags |= FLAG_PF;
	return flags;
}

struct sum {
	u64 result, flags;
};

static struct sum add(u64 a, u64 b, unsigned int bytes)
{
	u64 result = (a + b) & width_mask(bytes), flags = flags_of_result(result, bytes);

	if (result < (a & width_mask(bytes)))
		flags |= FLAG_CF;
	if ((a ^ b ^ result) & 0x10)
		flags |= FLAG_AF;
	if (((a ^ result) & (b ^ result)) >> (8 * bytes - 1) & 1)
		flags |= FLAG_OF;
	return {result, flags};
}

static struct sum subtract(u64 a, u64 b, unsigned int bytes)
{
	u64 result = (a - b) & width_mask(bytes), flags = flags_of_result(result, bytes);

	if ((a & width_mask(bytes)) < (b & width_mask(bytes)))
		flags |= FLAG_CF;
	if ((a ^ b ^ result) & 0x10)
		flags |= FLAG_AF;
	if (((a ^ b) & (a ^ result)) >> (8 * bytes - 1) & 1)
		flags |= FLAG_OF;
	return {result, flags};
}

static void compute_bit(struct ptwr_insn *insn, u64 now, u64 flags)
{
	/* The address says which word of a long string of bits; the rest of the offset, the bit. */
	u64 bit = 1ull << (insn->operand & (8 * insn->bytes - 1));

	insn->flags = (flags & ~FLAG_CF) | (now & bit ? FLAG_CF : 0);
	insn->result = insn->op == ZYDIS_MNEMONIC_BTR   ? now & ~bit
		       : insn->op == ZYDIS_MNEMONIC_BTS ? now | bit
							: now ^ bit;
}

static void compute_arithmetic(struct ptwr_insn *insn, u64 now, u64 flags)
{
	const unsigned int bytes = insn->bytes;
	u64 keep = 0;
	struct sum sum = {};

	switch (insn->op) {
	case ZYDIS_MNEMONIC_AND:
		sum = {now & insn->operand, flags_of_result(now & insn->operand, bytes)};
		break;
	case ZYDIS_MNEMONIC_OR:
		sum = {now | insn->operand, flags_of_result(now | insn->operand, bytes)};
		break;
	case ZYDIS_MNEMONIC_XOR:
		sum = {now ^ insn->operand, flags_of_result(now ^ insn->operand, bytes)};
		break;
	case ZYDIS_MNEMONIC_ADD:
	case ZYDIS_MNEMONIC_XADD:
		sum = add(now, insn->operand, bytes);
		break;
	case ZYDIS_MNEMONIC_SUB:
		sum = subtract(now, insn->operand, bytes);
		break;
	case ZYDIS_MNEMONIC_NEG:
		sum = subtract(0, now, bytes);
		break;
	case ZYDIS_MNEMONIC_INC:
		sum = add(now, 1, bytes);
		keep = FLAG_CF;
		break;
	default: /* dec */
		sum = subtract(now, 1, bytes);
		keep = FLAG_CF;
		break;
	}
	insn->result = sum.result;
	insn->flags = (flags & ~(FLAGS_ARITHMETIC & ~keep)) | (sum.flags & ~keep);
}

void ptwr_compute(const void *context, struct ptwr_insn *insn, u64 now)
{
	u64 flags = (u64)*reg_at(context, REG_EFL), accumulator;

	insn->flags = flags;
	insn->reg_result = now;
	insn->writes = true;
	switch (insn->op) {
	case ZYDIS_MNEMONIC_MOV:
	case ZYDIS_MNEMONIC_XCHG:
		insn->result = insn->operand;
		return;
	case ZYDIS_MNEMONIC_NOT:
		insn->result = ~now & width_mask(insn->bytes);
		return;
	case ZYDIS_MNEMONIC_CMPXCHG:
		accumulator = (u64)*reg_at(context, REG_RAX) & width_mask(insn->bytes);
		insn->flags =
			(flags & ~FLAGS_ARITHMETIC) | subtract(accumulator, now, insn->bytes).flags;
		insn->result = insn->operand;
		insn->writes = accumulator == now;
		return;
	case ZYDIS_MNEMONIC_BTR:
	case ZYDIS_MNEMONIC_BTS:
	case ZYDIS_MNEMONIC_BTC:
		compute_bit(insn, now, flags);
		return;
	default:
		compute_arithmetic(insn, now, flags);
		return;
	}
}

void ptwr_retire(void *context, const struct ptwr_insn *insn)
{
	/* A cmpxchg that succeeds leaves its register alone. */
	bool changes_reg =
		insn->dest_reg >= 0 && !(insn->op == ZYDIS_MNEMONIC_CMPXCHG && insn->writes);

	if (changes_reg) {
		greg_t *reg = reg_at(context, insn->dest_reg);
		u64 mask = width_mask(insn->bytes);

		/* 32 bits clear the upper half, less keeps the rest. */
		*reg = (greg_t)(insn->bytes >= 4 ? insn->reg_result
						 : ((u64)*reg & ~mask) | insn->reg_result);
	}
	*reg_at(context, REG_EFL) = (greg_t)insn->flags;
	*reg_at(context, REG_RIP) += insn->length;
}
