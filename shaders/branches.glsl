// Rows of a prefix with branches (attention_grad.h): which see which, and where what belongs to them lies. A workgroup works for one
// KV head; its query rows are row = token × group + head of the group. Includer: the push block of attention_grad.h.
#include "kv.glsl"

uint group, kv_head; // query heads of a KV head; the workgroup's KV head

void rr_begin_group() {
    group = p.n_heads / p.n_kv_heads;
    kv_head = gl_WorkGroupID.y;
}

// Of query row `row`; those behind `last` repeat it.
uint rr_token_of(uint row, uint last) { return min(row, last) / group; }
uint rr_head_of(uint row, uint last) { return kv_head * group + min(row, last) % group; }

uvec2 rr_segment(uint row) {
    return uvec2(rr_words(p.segments).at[row * 2u], rr_words(p.segments).at[row * 2u + 1u]);
}

bool rr_sees(uint row, uint begin, uint key) {
    return key <= row && (key < p.n_prefix || key >= begin);
}

// Keys that rows from one whose branch begins at `begin` may see stand before n_prefix and from here on: whole tiles of `tile` keys,
// counted from n_prefix, so that a row meets the same tiles whatever rows it is computed with.
uint rr_own_keys(uint begin, uint tile) {
    return p.n_prefix + (max(begin, p.n_prefix) - p.n_prefix) / tile * tile;
}

// Behind the last row that sees one of the keys up to `last`.
uint rr_rows_end(uint first, uint last) {
    return first < p.n_prefix ? p.n_rows : rr_segment(last).y;
}

// Where K (plane = KV head) or V (n_kv_heads + KV head) of a row lies.
uvec2 rr_key(uint key, uint plane, uint head_size) {
    rr_row row = rr_rows(p.rows).at[key];
    return rr_kv_row(row.page, p.kv_offset, plane, row.position, head_size);
}

uvec2 rr_query(uvec2 base, uint stride, uint token, uint head, uint head_size) {
    return rr_add(rr_at(base, token, stride * 4u), head * head_size * 4u);
}

// Head `head` of d_qkv's row.
uvec2 rr_d_qkv(uint row, uint head, uint head_size) {
    return rr_query(p.d_qkv, (p.n_heads + 2u * p.n_kv_heads) * head_size, row, head, head_size);
}

// L and D of a token's head.
float rr_lse(uint token, uint head) { return rr_floats(rr_at(p.lse, token, p.n_heads * 4u)).at[head]; }
float rr_delta(uint token, uint head) { return rr_floats(rr_at(p.delta, token, p.n_heads * 4u)).at[head]; }
