/* Push-constant blocks written once for GLSL and C.
 * RR_PUSH(name, fields) declares `struct rr_push_<name>` in C and, in GLSL, the same as
 * `rr_args_<name>` and the block of push constants as `p` (with RR_ARGS_ONLY the struct alone, for
 * kernels that find it in memory; RR_PUSHED always makes both). RR_ARGS(name, fields) declares
 * `struct rr_args_<name>` in both, for what is in memory everywhere. Addresses come first: they are
 * 64-bit device addresses as two words (low, high), 8-byte aligned in both languages. At most 128
 * bytes. */
#ifndef RR_SHADERS_PUSH_H
#define RR_SHADERS_PUSH_H

#ifdef RR_GLSL
#define RR_ADDR(name) uvec2 name;
#define RR_U32(name) uint name;
#define RR_F32(name) float name;
#define RR_ARGS(name, fields) \
    struct rr_args_##name {   \
        fields                \
    };
#define RR_PUSHED(name, fields)                            \
    RR_ARGS(name, fields)                                  \
    layout(push_constant, std430) uniform rr_push_##name { \
        rr_args_##name p;                                  \
    };
#ifdef RR_ARGS_ONLY
#define RR_PUSH RR_ARGS
#else
#define RR_PUSH RR_PUSHED
#endif
#else
#include <stdint.h>
#define RR_ADDR(name) uint64_t name;
#define RR_U32(name) uint32_t name;
#define RR_F32(name) float name;
#define RR_PUSH(name, fields)       \
    typedef struct rr_push_##name { \
        fields                      \
    } rr_push_##name;
#define RR_ARGS(name, fields)       \
    typedef struct rr_args_##name { \
        fields                      \
    } rr_args_##name;
#define RR_PUSHED RR_PUSH
#endif

/* What a pass knows of each of its rows (a row = one token of one session): 24 bytes.
 * page = address of the KV page of its position, pages = that of the session's table of pages
 * (kv.h). */
#ifdef RR_GLSL
struct rr_row {
    uint token;
    uint position;
    uvec2 page;
    uvec2 pages;
};
#else
typedef struct rr_row {
    uint32_t token;
    uint32_t position;
    uint64_t page;
    uint64_t pages;
} rr_row;
#endif

#endif
