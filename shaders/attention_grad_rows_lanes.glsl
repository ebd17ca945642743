// Of attention_grad.h, what walks the keys on software devices: MEMBERS query rows of one KV head. A tile is KEYS × WIDTH keys;
// scores: lane = key, KEYS a lane, dimensions ascending.
#include "attention_grad_lanes.glsl"
const uint KEYS = 4;
const uint TILE = WIDTH * KEYS;

uint row0, last; // query rows: the first, and the last of the dispatch
uint token[MEMBERS], own[MEMBERS];
uvec2 query[MEMBERS], d_out[MEMBERS];
uvec2 keys[KEYS], values[KEYS];           // where the lane's keys lie
float score[MEMBERS][KEYS];

void begin_rows() {
    begin_lanes();
    row0 = p.first * group + gl_WorkGroupID.x * MEMBERS;
    last = (p.first + p.n_listed) * group - 1u;
    [[unroll]] for (uint r = 0; r < MEMBERS; r++) {
        token[r] = rr_token_of(row0 + r, last);
        own[r] = rr_segment(token[r]).x;
        query[r] = rr_add(rr_query(p.q, p.q_stride, token[r], rr_head_of(row0 + r, last), HEAD_SIZE), rr_lane_bytes());
        d_out[r] = rr_add(rr_query(p.d_o, p.n_heads * HEAD_SIZE, token[r], rr_head_of(row0 + r, last), HEAD_SIZE), rr_lane_bytes());
    }
}

// The tile's keys; those behind its end repeat the last one.
void find_keys(uint key0, uint end) {
    [[unroll]] for (uint c = 0; c < KEYS; c++) {
        uint key = min(key0 + c * WIDTH + lane, end - 1u);
        keys[c] = rr_key(key, kv_head, HEAD_SIZE);
        values[c] = rr_key(key, p.n_kv_heads + kv_head, HEAD_SIZE);
    }
}

bool seen(uint r, uint key, uint end) { return key < end && rr_sees(token[r], own[r], key); }

// into[r][c] = product of row r of `rows` and the lane's key c of `columns`
#define PRODUCT(into, rows, columns)                                                               \
    [[unroll]] for (uint r = 0; r < MEMBERS; r++) {                                                \
        [[unroll]] for (uint c = 0; c < KEYS; c++) {                                               \
            into[r][c] = 0.0;                                                                      \
        }                                                                                          \
    }                                                                                              \
    for (uint d = 0; d < HEAD_SIZE; d += 8u) {                                                     \
        vec4 k[KEYS][2];                                                                           \
        [[unroll]] for (uint c = 0; c < KEYS; c++) {                                               \
            k[c][0] = load4(columns[c], d / 4u);                                                   \
            k[c][1] = load4(columns[c], d / 4u + 1u);                                              \
        }                                                                                          \
        [[unroll]] for (uint r = 0; r < MEMBERS; r++) {                                            \
            float x[8];                                                                            \
            rr_spread8(rows[r], d, x);                                                             \
            [[unroll]] for (uint i = 0; i < 8; i++) {                                              \
                [[unroll]] for (uint c = 0; c < KEYS; c++) {                                       \
                    into[r][c] = fma(x[i], k[c][i / 4][i % 4], into[r][c]);                        \
                }                                                                                  \
            }                                                                                      \
        }                                                                                          \
    }
