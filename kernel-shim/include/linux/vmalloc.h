/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * linux/vmalloc.h - frames side by side in kernel addresses
 *
 * All functions may sleep. Addresses belong to the machine that is current.
 *
 * KSHIM: unmapping is immediate; nothing is kept for later flushing.
 */
#pragma once

#include <linux/types.h>

struct page;

/* @size bytes, rounded up to pages; null when memory or addresses run out. vfree() takes null. */
void *vmalloc(unsigned long size);
void *vzalloc(unsigned long size);
void vfree(const void *addr);

/**
 * vmap - map pages the caller owns
 *
 * The mapping holds a reference to each page until vunmap(), so a page cannot be reused under an
 * alias.
 * Return: the address, or null.
 */
void *vmap(struct page **pages, unsigned int count);
void vunmap(const void *addr);

/* The page behind an address in a vmalloc or vmap range, without a reference; null for others. */
struct page *vmalloc_to_page(const void *addr);
bool is_vmalloc_addr(const void *addr);
