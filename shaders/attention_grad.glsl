// What the base kernels of attention_grad.h share: tiles of SIDE query rows (branches.glsl) of one KV head and SIDE keys in shared
// memory. 8 × 8 invocations: of the scores, lane (a, b) holds rows a + 8i and keys b + 8j.
// Loops over dimensions stay loops: Intel's compiler unrolls short ones and spills.
#include "attention_grad.h"
#include "branches.glsl"
layout(constant_id = 0) const uint HEAD_SIZE = 64;
layout(constant_id = 1) const uint SIDE = 32; // 8, 16 or 32
layout(local_size_x = 64) in;
const uint HELD = SIDE / 8;
const uint PAIRS = HEAD_SIZE / 2;
const uint OUT = (PAIRS + 7) / 8; // dimension pairs a lane, b + 8k
shared vec2 query[SIDE * PAIRS], d_out[SIDE * PAIRS];
shared uint k_tile[SIDE * PAIRS], v_tile[SIDE * PAIRS]; // two f16 a word
shared float factor[SIDE * SIDE];                       // [row][key]

uint lane, a, b;
float score[HELD][HELD], slope[HELD][HELD]; // q k and d_o v

void begin_tiles() {
    lane = gl_LocalInvocationID.x;
    a = lane >> 3;
    b = lane & 7u;
    rr_begin_group();
}

// q and d_o of rows row0 …; those behind `last` repeat it.
void load_rows(uint row0, uint last) {
    for (uint i = lane; i < SIDE * PAIRS; i += 64u) {
        uint token = rr_token_of(row0 + i / PAIRS, last), head = rr_head_of(row0 + i / PAIRS, last);
        query[i] = rr_pairs(rr_query(p.q, p.q_stride, token, head, HEAD_SIZE)).at[i % PAIRS];
        d_out[i] = rr_pairs(rr_query(p.d_o, p.n_heads * HEAD_SIZE, token, head, HEAD_SIZE)).at[i % PAIRS];
    }
}

// K and V of keys key0 … end − 1, zeros behind.
void load_keys(uint key0, uint end) {
    for (uint i = lane; i < SIDE * PAIRS; i += 64u) {
        uint key = key0 + i / PAIRS;
        bool wanted = key < end;
        key = wanted ? key : end - 1u;
        k_tile[i] = wanted ? rr_words(rr_key(key, kv_head, HEAD_SIZE)).at[i % PAIRS] : 0u;
        v_tile[i] = wanted ? rr_words(rr_key(key, p.n_kv_heads + kv_head, HEAD_SIZE)).at[i % PAIRS] : 0u;
    }
}

#define PRODUCT(into, of_rows, of_keys)                                                            \
    [[unroll]] for (uint i = 0; i < HELD * HELD; i++) {                                            \
        into[i / HELD][i % HELD] = 0.0;                                                            \
    }                                                                                              \
    [[dont_unroll]] for (uint d = 0; d < PAIRS; d++) {                                             \
        vec2 k[HELD];                                                                              \
        [[unroll]] for (uint j = 0; j < HELD; j++) {                                               \
            k[j] = unpackHalf2x16(of_keys[(b + 8u * j) * PAIRS + d]);                              \
        }                                                                                          \
        [[unroll]] for (uint i = 0; i < HELD; i++) {                                               \
            vec2 q = of_rows[(a + 8u * i) * PAIRS + d];                                            \
            [[unroll]] for (uint j = 0; j < HELD; j++) {                                           \
                into[i][j] = fma(q.y, k[j].y, fma(q.x, k[j].x, into[i][j]));                       \
            }                                                                                      \
        }                                                                                          \
    }
