/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Protections of kernel mappings. */
#ifndef KSHIM_ASM_PGTABLE_H
#define KSHIM_ASM_PGTABLE_H

typedef struct {
	bool writable;
} pgprot_t;

#define PAGE_KERNEL ((pgprot_t){true})
#define PAGE_KERNEL_RO ((pgprot_t){false})

#endif
