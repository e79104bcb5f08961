/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What an interrupt handler is. KSHIM: a handler is called in a thread (that of the event
 * channel's port), so it may take any lock; handlers of one port never run beside each other.
 */
#ifndef KSHIM_LINUX_INTERRUPT_H
#define KSHIM_LINUX_INTERRUPT_H

enum irqreturn {
	IRQ_NONE = 0,
	IRQ_HANDLED = 1,
	IRQ_WAKE_THREAD = 2,
};
typedef enum irqreturn irqreturn_t;
typedef irqreturn_t (*irq_handler_t)(int irq, void *dev_id);

/*
 * No handler of @irq runs after disable_irq() returned (which waits), or begins after
 * disable_irq_nosync(), until enable_irq(). KSHIM: they do not nest. Events are kept meanwhile.
 */
void disable_irq(int irq);
void disable_irq_nosync(int irq);
void enable_irq(int irq);

#define IRQ_RETVAL(x) ((x) ? IRQ_HANDLED : IRQ_NONE)

#endif
