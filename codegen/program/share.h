/*
 * Which values lie in each other's memory.
 *
 * Every value is a slot.  Slots that share memory form a group and have fixed
 * distances in it.  A group may contain one slot whose memory is given (an
 * input, an output, a constant); then all its slots lie within that memory.
 *
 * Slots of one class have the same contents where they overlap: a view and its
 * origin, the pieces of a concat and its output.  All other slots of a group must
 * not be alive at the same time where they overlap.  One exception: a result
 * computed in place of an input that dies in the same step.
 */
#ifndef MCC_CODEGEN_PROGRAM_SHARE_H
#define MCC_CODEGEN_PROGRAM_SHARE_H

#include "codegen/program/program.h"

typedef struct {
	int64_t size;    /* bytes */
	int first, last; /* the nodes between which it is alive, both included */
	int group;
	int64_t at;      /* bytes from the group's origin; may be negative */
	int class;
	int64_t in_class; /* bytes from the origin of the class */
	Share share;
	int shares; /* the slot that `share` speaks of */
} Slot;

typedef VEC(int) SlotVec;

typedef struct {
	SlotVec slots;
	BufferKind kind;
	int base;         /* the slot whose memory is given, at 0; -1 in the arena */
	int64_t capacity; /* bytes of that memory */
	bool writable;    /* an input that may be overwritten */
	int next;         /* the slot of what a state holds next, in the memory of that state,
	                   * which is `base`; else -1 */
} Group;

typedef struct {
	Arena *arena;
	int n;
	Slot *slot;   /* n of them, alone in their groups at first */
	Group *group; /* n of them; empty once merged into another */
} Sharing;

void sharing_init(Sharing *s, Arena *a, int n);

/* Makes slot i the given memory of its group. */
void sharing_fix(Sharing *s, int i, BufferKind kind);

/* Puts slot `part` at `offset` bytes into slot `whole`, whose bytes it has. */
bool sharing_view(Sharing *s, int whole, int64_t offset, int part);

/* Puts slot `piece` at `offset` bytes into `whole`, which gets its bytes. */
bool sharing_piece(Sharing *s, int whole, int64_t offset, int piece);

/* Puts slot `out` at the place of `in`, which dies where `out` is made. */
bool sharing_in_place(Sharing *s, int in, int out);

/* Puts what a state holds next at the place of that state, which is dead by then or dies
 * where it is made. */
bool sharing_state(Sharing *s, int state, int next);

#endif
