// Where K and V of a position lie. Layout: kv.h.
#ifndef RR_SHADERS_KV_GLSL
#define RR_SHADERS_KV_GLSL
#include "kv.h"
layout(buffer_reference, std430, buffer_reference_align = 8) readonly buffer rr_kv_table { uvec2 at[]; };

// The page that holds `position`, by the session's table.
uvec2 rr_kv_page(uvec2 pages, uint position) { return rr_kv_table(pages).at[position / RR_KV_PAGE]; }

// Row of `position` in its page, of a layer that begins at kv_offset. plane = K head, or n_kv_heads + V head. Rows of the
// positions that follow stand behind it, to the end of the page.
uvec2 rr_kv_row(uvec2 page, uint kv_offset, uint plane, uint position, uint head_size) {
    return rr_add(page, kv_offset + (plane * RR_KV_PAGE + position % RR_KV_PAGE) * head_size * 2u);
}
#endif
