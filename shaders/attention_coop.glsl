// Parts of attention_coop.comp: sizes, shared memory, the way of q, K and V into it.
const uint MEMBERS = TILE / N;
const uint BLOCK = TEAMS * M;
const uint PIECES = HEAD_SIZE / 8;
const uint OUT = HEAD_SIZE / TILE;         // matrices a member
const uint ROW_LANES = LANES / BLOCK;    // lanes that share a row in the softmax
const uint ROW_KEYS = TILE / ROW_LANES;
const uint K_LOADS = (TILE * PIECES + LANES - 1) / LANES;
const uint V_LOADS = (TILE / 2 * PIECES + LANES - 1) / LANES; // of two keys each
const uint STORES = (BLOCK * TILE / 8 + LANES - 1) / LANES; // of eight results each, a matrix
const uint K_STRIDE = HEAD_SIZE / 2 + 4; // of rows in pairs of f16, with a gap against bank conflicts
const uint V_STRIDE = TILE / 2 + 4;
const uint S_STRIDE = TILE + N + 4;      // a row's scores, then N times its factor
const float NONE = -3.0e38;              // below every score; a finite stand-in for −infinity
const float UNIT = 32768.0;              // the weight of the largest score, so that small ones are no subnormal f16
shared f16vec2 tile[TILE * K_STRIDE > HEAD_SIZE * V_STRIDE ? TILE * K_STRIDE : HEAD_SIZE * V_STRIDE];
shared f16vec2 query[KEEP != 0 ? 1 : BLOCK * K_STRIDE];
shared f16vec2 weight[BLOCK * V_STRIDE];
shared float score[BLOCK * S_STRIDE];

#define MATRIX_A coopmat<float16_t, gl_ScopeSubgroup, M, K, gl_MatrixUseA>
#define MATRIX_B coopmat<float16_t, gl_ScopeSubgroup, K, N, gl_MatrixUseB>
#define MATRIX_SUM coopmat<float, gl_ScopeSubgroup, M, N, gl_MatrixUseAccumulator>

uint lane, group, kv_head, row0, n_keys;
uvec4 k_loaded[K_LOADS], v_loaded[V_LOADS][2];

// `from`: the tile's first row; `n`: its keys, or more.
void load_keys(uvec2 from, uint n) {
    uint last = min(TILE, n) * PIECES - 1u;
    [[unroll]] for (uint i = 0; i < K_LOADS; i++) {
        k_loaded[i] = rr_words4(from).at[min(lane + i * LANES, last)];
    }
}

void store_pieces(uint at, uvec4 w) {
    tile[at] = unpackFloat2x16(w.x);
    tile[at + 1u] = unpackFloat2x16(w.y);
    tile[at + 2u] = unpackFloat2x16(w.z);
    tile[at + 3u] = unpackFloat2x16(w.w);
}

void store_keys() {
    [[unroll]] for (uint i = 0; i < K_LOADS; i++) {
        uint at = lane + i * LANES;
        if (at < TILE * PIECES) {
            store_pieces(at / PIECES * K_STRIDE + at % PIECES * 4u, k_loaded[i]);
        }
    }
}

// The lane's part of V: piece x of keys 2y and 2y + 1 of the tile.
uvec2 v_place(uint i) {
    uint at = lane + i * LANES;
    return uvec2((at & 3u) + at / (TILE * 2u) * 4u, at / 4u % (TILE / 2u));
}

void load_value(uvec2 from, uint n, uint i, out uvec4 w[2]) {
    uvec2 place = v_place(i);
    [[unroll]] for (uint j = 0; j < 2; j++) {
        uint key = min(place.y * 2u + j, n - 1u);
        w[j] = rr_words4(from).at[key * PIECES + min(place.x, PIECES - 1u)];
    }
}

void store_value(uint i, uvec4 w[2]) {
    uvec2 place = v_place(i);
    if (place.x < PIECES) {
        uint at = place.x * 8u * V_STRIDE + place.y;
        [[unroll]] for (uint d = 0; d < 4; d++) {
            tile[at + d * 2u * V_STRIDE] = unpackFloat2x16(w[0][d] & 0xFFFFu | w[1][d] << 16);
            tile[at + (d * 2u + 1u) * V_STRIDE] = unpackFloat2x16(w[0][d] >> 16 | w[1][d] & 0xFFFF0000u);
        }
    }
}

// q × scale of 8 dimensions of a row of the block, as f16.
void fetch_query(uint r, uint piece) {
    uint row = row0 + r, token = min(row / group, p.n_rows - 1u);
    rr_floats4 from = rr_floats4(rr_add(rr_at(p.q, token, p.q_stride * 4u), (kv_head * group + row % group) * HEAD_SIZE * 4u));
    vec4 a = from.at[piece * 2u] * p.scale, b = from.at[piece * 2u + 1u] * p.scale;
    f16vec2 q[4] = f16vec2[4](f16vec2(a.xy), f16vec2(a.zw), f16vec2(b.xy), f16vec2(b.zw));
    [[unroll]] for (uint d = 0; d < 4; d++) {
        if (KEEP != 0) {
            tile[r * K_STRIDE + piece * 4u + d] = q[d];
        } else {
            query[r * K_STRIDE + piece * 4u + d] = q[d];
        }
    }
}
