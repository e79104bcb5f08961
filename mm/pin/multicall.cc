/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * multicall.cc - hypercalls, gathered (multicall.h)
 */
#include "multicall.h"
#include "pin.h"

void mc_init(struct mc_batch *batch, unsigned int vcpu)
{
	batch->vcpu = vcpu;
	batch->room = (unsigned int)current_pgtable()->pin_batch;
	batch->nr = batch->nr_ops = batch->nr_callbacks = 0;
	batch->err = 0;
	batch->flushes = 0;
}

static struct multicall_entry *add_call(struct mc_batch *batch, unsigned long op)
{
	struct multicall_entry *call;

	if (batch->nr == batch->room)
		(void)mc_flush(batch);
	call = &batch->calls[batch->nr++];
	*call = {};
	call->op = op;
	return call;
}

void mc_right(struct mc_batch *batch, struct page *page, bool writable)
{
	struct multicall_entry *call = add_call(batch, __HYPERVISOR_update_va_mapping);

	call->args[0] = (unsigned long)page_address(page);
	call->args[1] = pfn_pte(page_to_pfn(page), _PAGE_PRESENT | (writable ? _PAGE_RW : 0));
	call->args[2] = UVMF_NONE;
}

void mc_ext(struct mc_batch *batch, unsigned int cmd, unsigned long pfn)
{
	struct multicall_entry *call;
	struct mmuext_op *op;

	if (batch->nr_ops == MC_BATCH)
		(void)mc_flush(batch);
	if (batch->nr && batch->calls[batch->nr - 1].op == __HYPERVISOR_mmuext_op) {
		call = &batch->calls[batch->nr - 1];
		call->args[1]++;
	} else {
		call = add_call(batch, __HYPERVISOR_mmuext_op);
		call->args[0] = (unsigned long)&batch->ops[batch->nr_ops];
		call->args[1] = 1;
	}
	op = &batch->ops[batch->nr_ops++];
	*op = {};
	op->cmd = cmd;
	op->arg1.mfn = pfn;
}

void mc_callback(struct mc_batch *batch, void (*fn)(void *arg), void *arg)
{
	if (batch->nr_callbacks == MC_BATCH)
		(void)mc_flush(batch);
	batch->callbacks[batch->nr_callbacks++] = {fn, arg};
}

int mc_flush(struct mc_batch *batch)
{
	int err = 0;

	if (batch->nr) {
		err = HYPERVISOR_multicall(batch->calls, batch->nr, batch->vcpu);
		batch->flushes++;
	}
	for (unsigned int i = 0; !err && i < batch->nr; i++)
		err = (int)(long)batch->calls[i].result;
	if (err && !batch->err)
		batch->err = err;
	for (unsigned int i = 0; i < batch->nr_callbacks; i++)
		batch->callbacks[i].fn(batch->callbacks[i].arg);
	batch->nr = batch->nr_ops = batch->nr_callbacks = 0;
	return batch->err;
}
