/*
 * The text form of the loop IR: what its printer and its parser share.
 *
 *	func @relu_f32(%x: f32) -> f32 {
 *		return max(%x, 0.0f)
 *	}
 *	kernel @conv(%x: f32[490] in, %y: f32[100] out, %t: f32[8] scratch) {
 *		; a comment is a statement and is kept
 *		let %n: i64 = 12:i64
 *		var %acc: f32 = 0.0f
 *		var %k: idx in [0, 10] = 0
 *		for %i in 0..100 step 2 while %acc < 88.0f {
 *			if %i < 3 & %n != 0:i64 {
 *				%acc = %acc + %x[%i * 4 + 3] * relu_f32(%acc)
 *			} else {
 *				%k = min(%i, 10)
 *			}
 *			%y[%i] = select(%acc > 0.0f, %acc, cvt.f32(%k))
 *		}
 *	}
 *
 * Operators have the precedence and the associativity of C.  A variable or a
 * buffer is %name, a function @name (in a call the @ may be left out).  Names
 * of other characters than letters, digits, '_' and inner '.' are quoted, with
 * \\, \" and \xHH inside.  The operator % needs a blank behind it.
 *
 * wide(%x[%i]) is a wide load; packed operations (pops.def) are functions.  dot(%sum,
 * %x[%i], %w[%k]) adds the products of the 16 elements from there on.
 *
 * Vectors: %x[%i, 8] are the 8 elements from there on, wide(%x[%i, 8]) 8 wide loads,
 * splat.8(%s) a vector of a scalar; %y[%i, 8] = … stores one, and let %v: f32x8 = … names
 * it.
 *
 * Literals carry their type: 12 is idx, 1.5f and 1e9f f32, 1.5 f64, true and
 * false bool, any other is NUMBER:type.  inf:f32 and nan:f64 are numbers too.
 * Integers may be hexadecimal; for a float type that gives its bits.  C's
 * hexadecimal floats are read as well.
 *
 * An input with constant contents of at most TEXT_MAX_DATA elements shows them
 * (%w: f32[2] in = {0.5, 1.0}); of larger ones the text form has only the size.
 * A table always shows them: %t: i32[2] table = {3, 1}.  It may also stand among
 * the parameters of a func, and is no argument there.  Nor is memory on the stack:
 * %t: i8[64] local.
 *
 * `; text` is a comment that the function keeps; what follows # on a line is
 * skipped.
 */
#ifndef MCC_IR_LOOP_TEXT_H
#define MCC_IR_LOOP_TEXT_H

#include "ir/loop/loop.h"

enum {
	TEXT_MAX_DATA = 64,  /* elements of constant contents in the text */
	TEXT_MAX_DEPTH = 500 /* nested blocks, parentheses and operators that are read */
};

/* How strongly operators bind. */
enum { PREC_LOWEST = 1, PREC_UNARY = 10, PREC_PRIMARY = 11 };
int kop_precedence(KOp op);

/* Characters of names that need no quotes. */
bool text_is_word_char(char c);

/* Words that mean something in an expression, so that a function of that name
 * is called with an @. */
bool text_is_reserved(const char *word, size_t length);

#endif
