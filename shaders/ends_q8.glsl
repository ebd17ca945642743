// The ends of an int8 matmul (matmul_q8.h): which rows of W a workgroup takes, and what becomes of their sums.
#include "kv.glsl"
layout(constant_id = 1) const uint END = RR_END_F32;

// Row r of W's first halves: pair number `pair` is the rows rr_pair_row(pair) and that + p.gap.
uint rr_pair_row(uint pair) { return pair + pair / p.gap * p.gap; }

void rr_store_f32(uint row, uint token, float v) {
    if ((p.bias.x | p.bias.y) != 0u) {
        v += rr_floats(p.bias).at[row];
    }
    if ((p.extra.x | p.extra.y) != 0u) {
        v += rr_floats(rr_at(p.extra, token, p.y_stride * 4u)).at[row];
    }
    rr_floats(rr_at(p.y, token, p.y_stride * 4u)).at[row] = v;
}

// Rows r, r + 1 of W (a; r even) and their partners (b), which lie in one head.
void rr_store_rope(uint r, uint token, vec2 a, vec2 b) {
    if ((p.bias.x | p.bias.y) != 0u) {
        a += rr_pairs(p.bias).at[r / 2u];
        b += rr_pairs(p.bias).at[(r + p.gap) / 2u];
    }
    uint head = (p.first + r) / (2u * p.gap), i = r % p.gap;
    uint n_heads = p.heads & 0xFFFFu, n_kv_heads = p.heads >> 16;
    rr_row row = rr_rows(p.rows).at[token];
    if (head < n_heads + n_kv_heads) {
        rr_floats4 table = rr_floats4(rr_at(p.table, row.position, p.gap * 8u));
        vec4 t = table.at[i / 2u];
        vec2 rotated = a * t.xz - b * t.yw;
        b = b * t.xz + a * t.yw;
        a = rotated;
    }
    if (head < n_heads) {
        rr_pairs y = rr_pairs(rr_at(p.y, token, p.y_stride * 4u));
        y.at[r / 2u] = a;
        y.at[(r + p.gap) / 2u] = b;
        return;
    }
    rr_words kv = rr_words(rr_kv_row(row.page, p.kv_offset, head - n_heads, row.position, p.gap * 2u));
    kv.at[i / 2u] = packHalf2x16(a);
    kv.at[(i + p.gap) / 2u] = packHalf2x16(b);
}

float rr_swiglu(float gate, float up) { return gate / (1.0 + exp(-gate)) * up; }
