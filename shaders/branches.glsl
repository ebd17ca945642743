// Which rows of a prefix with branches see which: attention_grad.h. Includer: a push block with rows, segments, n_rows, n_prefix.
#include "kv.glsl"

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
