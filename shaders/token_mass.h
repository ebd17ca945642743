/* Adds up how much attention each position draws: y[i][j] (+)= sum over heads h of factors[i][h]
 * weights[i][h][j] / totals[i][h], for listed row i and position j. Weights and totals are those of
 * attention_mass.h. */
#ifndef RR_SHADERS_TOKEN_MASS_H
#define RR_SHADERS_TOKEN_MASS_H
#include "push.h"
RR_PUSH(token_mass,
    RR_ADDR(weights) /* f32 [n_listed][n_heads][w_stride] */
    RR_ADDR(totals)  /* f32 [n_listed][n_heads] */
    RR_ADDR(factors) /* f32 [n_listed][n_heads] */
    RR_ADDR(y)       /* f32 [n_listed][y_stride] */
    RR_U32(n_listed) RR_U32(n_heads) RR_U32(n_keys) RR_U32(w_stride) RR_U32(y_stride)
        RR_U32(adds)) /* 1 = to what y holds, 0 = to 0 */
#endif
