/* What arithmetic can reach at best: every invocation carries chains of multiply-adds that depend
 * on nothing but themselves. One step of all its chains, RR_ROOF_STEPS of them a loop:
 *   base: 16 chains, x = x * a + b in f32, from x = chain + lane % 8, with the floats a and b
 *   f16:  32 chains, the same in f16
 *   dot:  16 chains, x = x + sum of the products of x's and w's four signed bytes, 32-bit with
 *         wrap-around, w = the bits of a
 * y[invocation] = the sum of its chains (f32, or i32 of dot). Only for measuring. */
#ifndef RR_SHADERS_ROOF_H
#define RR_SHADERS_ROOF_H
#include "push.h"
#define RR_ROOF_LANES 64 /* invocations a workgroup */
#define RR_ROOF_STEPS 8
RR_PUSH(roof,
    RR_ADDR(y) /* 32 bits an invocation */
    RR_U32(n_loops) RR_U32(n_groups) RR_F32(a) RR_F32(b))
#endif
