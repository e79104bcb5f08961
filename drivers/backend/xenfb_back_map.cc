/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * xenfb_back_map.cc - from a front end's nodes to a checked, read-only view of its frame
 *
 *      node page-ref -> shared page -> pd[0..n) -> directory pages -> frame numbers -> frame
 *
 * Every number on this way is the front end's. Each is read once and checked before use:
 * M1: mem_length is at most 123 directories and at most the toolstack's videoram, so no directory
 *     entry is read from behind pd[122], where the rings are.
 * M2: the geometry lies in mem_length.
 * M3: frames are checked by xen_foreign_map(); the frame is mapped read-only, a directory only to
 *     be copied.
 * M4: what is read from a mapping counts only when the mapping was not revoked meanwhile.
 *
 * KSHIM: a front end without "protocol" node is taken for one of our word size; there is no guest
 * of another one that its layout would have to be guessed for.
 */
#include <string.h>

#include <kshim/xen.h>
#include <linux/err.h>
#include <linux/errno.h>
#include <linux/kernel.h>
#include <linux/slab.h>
#include <xen/io/protocols.h>

#include "backend/xenfb_back_private.h"

static int check_protocol(struct xenbus_device *dev)
{
	char *protocol = xenbus_read(XBT_NIL, dev->otherend, "protocol", nullptr);
	bool ours;

	if (IS_ERR(protocol)) {
		int err = (int)PTR_ERR(protocol);

		if (err == -ENOENT)
			return 0;
		xenbus_dev_fatal(dev, err, "the front end's protocol cannot be read");
		return err;
	}
	ours = !strcmp(protocol, XEN_IO_PROTO_ABI_NATIVE);
	if (!ours)
		xenbus_dev_fatal(dev, -EOPNOTSUPP, "the front end speaks %.32s, not %s", protocol,
				 XEN_IO_PROTO_ABI_NATIVE);
	kfree(protocol);
	return ours ? 0 : -EOPNOTSUPP;
}

int xenfb_back_read_page(struct xenbus_device *dev, struct xenfb_back_mapping *m)
{
	const auto *page = static_cast<const struct xenfb_page *>(xen_foreign_addr(m->page));
	long sequence;

	do {
		sequence = xen_foreign_use(m->page);
		if (sequence < 0) {
			xenbus_dev_fatal(dev, (int)sequence,
					 "the front end took its shared page (page-ref) away");
			return (int)sequence;
		}
		m->layout.width = (u32)READ_ONCE(page->width);
		m->layout.height = (u32)READ_ONCE(page->height);
		m->layout.stride = READ_ONCE(page->line_length);
		m->layout.depth = READ_ONCE(page->depth);
		m->layout.offset = 0;
		m->mem_length = READ_ONCE(page->mem_length);
		m->out_cons = READ_ONCE(page->out_cons);
	} while (xen_foreign_retry(m->page, sequence));
	return 0;
}

static int check_page(struct xenbus_device *dev, const struct xenfb_back_mapping *m)
{
	/* From the own directory: the toolstack's word, unlike anything in the front end's. */
	u64 videoram = xenbus_read_unsigned(dev->nodename, "videoram", XENFB_MEM_MAX >> 10);
	u64 max_length = min(videoram, XENFB_MEM_MAX >> 10) << 10;

	if (!m->mem_length || m->mem_length > max_length) {
		xenbus_dev_fatal(dev, -E2BIG,
				 "the front end's frame has %llu bytes; it may have 1 to %llu",
				 (unsigned long long)m->mem_length, (unsigned long long)max_length);
		return -E2BIG;
	}
	if (!xenfb_layout_valid(m->layout, m->mem_length)) {
		xenbus_dev_fatal(
			dev, -EINVAL,
			"the front end's picture, %ux%u at %u bits, lines of %u bytes, does not "
			"fit its %llu bytes",
			m->layout.width, m->layout.height, m->layout.depth, m->layout.stride,
			(unsigned long long)m->mem_length);
		return -EINVAL;
	}
	return 0;
}

/* Copies the frame numbers of directory @index. */
static int read_directory(const struct xenfb_back_mapping *m, u32 index, u64 *frames, u32 nr)
{
	struct xen_foreign *dir;
	u64 number;
	int err =
		xen_foreign_read(m->page, offsetof(struct xenfb_page, pd) + index * sizeof(number),
				 &number, sizeof(number));

	if (err)
		return err;
	dir = xen_foreign_map(&number, 1, nullptr);
	if (IS_ERR(dir))
		return (int)PTR_ERR(dir);
	err = xen_foreign_read(dir, 0, frames, nr * sizeof(frames[0]));
	xen_foreign_unmap(dir);
	return err;
}

int xenfb_back_map_frame(struct xenbus_device *dev, struct xenfb_back_mapping *m)
{
	const u32 nr = (u32)PFN_UP(m->mem_length);
	int err = check_page(dev, m);
	struct xen_foreign *frame = nullptr;
	u64 *frames;

	if (err)
		return err;
	frames = static_cast<u64 *>(kvcalloc(nr, sizeof(u64), GFP_KERNEL));
	err = frames ? 0 : -ENOMEM;

	for (u32 i = 0; !err && i < nr; i += XENFB_PD_ENTRIES)
		err = read_directory(m, i / XENFB_PD_ENTRIES, frames + i,
				     min(nr - i, XENFB_PD_ENTRIES));
	if (!err) {
		frame = xen_foreign_map(frames, nr, nullptr);
		err = PTR_ERR_OR_ZERO(frame);
	}
	kvfree(frames);
	if (err) {
		xenbus_dev_fatal(dev, err, "the front end's %u frames cannot be mapped", nr);
		return err;
	}
	m->frame = frame;
	return 0;
}

int xenfb_back_map_page(struct xenbus_device *dev, struct xenfb_back_mapping *m)
{
	u64 number = xenbus_read_unsigned(dev->otherend, "page-ref", ~0ull);
	const struct xen_foreign_config writable = {
		.writable = true, .redirect = true, .told = nullptr, .ctx = nullptr};
	int err = check_protocol(dev);

	if (err)
		return err;
	m->page = xen_foreign_map(&number, 1, &writable);
	if (IS_ERR(m->page)) {
		err = (int)PTR_ERR(m->page);
		xenbus_dev_fatal(dev, err,
				 "the front end's shared page (page-ref) cannot be mapped");
		return err;
	}
	return 0;
}
