#version 460
// Attention for software devices: one subgroup takes ROWS query rows of one KV head, no shared memory. Formula and layouts:
// attention.h. RR_DECODE: the rows are the (at most 8) query heads of one generated token; else they are rows token × group +
// head of the group of a prompt. RR_CODES: the result is quantized as lanes.h says (WIDTH 8 or 16).
// Keys in tiles of 4 WIDTH from position 0 with a running maximum. Scores: lane = key, 4 a lane, dimensions ascending.
// Output: lane = four dimensions from 4 lane, 4 (lane + WIDTH), …, keys ascending. Keys after a row's position weigh exactly 0, so a
// row's result depends on its own position alone. Grid: x = row tile (decode: row), y = KV head.
#include "common.glsl"
#ifdef RR_CODES
#include "longs.glsl"
#include "lanes_attention.h"
#include "lanes_code.glsl"
#define RR_ATTENTION_ARGS rr_args_lanes_attention
#else
#include "attention.h"
#define RR_ATTENTION_ARGS rr_args_attention
#endif
layout(constant_id = 0) const uint HEAD_SIZE = 64;
layout(constant_id = 1) const uint ROWS = 8;
layout(constant_id = 2) const uint WIDTH = 8;
layout(local_size_x_id = 2) in;
#include "lanes.glsl"
#include "lanes_reduce.glsl"
#include "lanes_stack.glsl"
#ifdef RR_CODES
#include "lanes_lora.glsl"
#endif
#include "attention_lanes.glsl"

void main() {
    rr_align_stack(p.q, p.n_rows);
    rr_attend(p, gl_WorkGroupID.xy);
}
