/* The KV cache lies in pages of RR_KV_PAGE tokens each:
 *   f16 [layer][K heads, then V heads][RR_KV_PAGE][head_size]
 * A session has a table of the addresses of its pages, of which position t's is number t /
 * RR_KV_PAGE; pages lie anywhere, and several sessions may name the same one. Kernels find their
 * way through kv.glsl. */
#ifndef RR_SHADERS_KV_H
#define RR_SHADERS_KV_H
/* A multiple of every attention kernel's tile of keys, so that a tile lies in one page. */
#define RR_KV_PAGE 128
/* Bytes of a layer in a page. */
#define RR_KV_LAYER_BYTES(n_kv_heads, head_size) (2 * (n_kv_heads)*RR_KV_PAGE * (head_size)*2)
#endif
