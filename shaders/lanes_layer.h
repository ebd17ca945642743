/* A whole layer for one generated token in one dispatch: the five lanes_ ops, each over its items
 * by workgroups that all run at the same time and wait for each other in between. A software device
 * runs as many workgroups at once as it has threads, which a trial shows
 * (runtime/compute/fused_layer.c); a dispatch costs it some 0.1 ms, a meeting far less. Waiting is
 * bounded: who waits too long says so in `meeting` and goes on, and the host does the pass again
 * without. */
#ifndef RR_SHADERS_LANES_LAYER_H
#define RR_SHADERS_LANES_LAYER_H
#include "lanes.h"
#include "lanes_attention.h"
#include "push.h"

/* In memory: of each op what it is pushed elsewhere. */
#ifdef RR_GLSL
#define RR_OF(name) rr_args_##name
#else
#define RR_OF(name) rr_push_##name
#endif
struct rr_layer {
    RR_OF(lanes_qkv) qkv;
    RR_OF(lanes_attention) attention;
    RR_OF(lanes_out) o;
    RR_OF(lanes_gate_up) gate_up;
    RR_OF(lanes_out) down;
};

RR_PUSHED(lanes_layer,
    RR_ADDR(layer)   /* rr_layer; 0 = only meet, as a trial */
    RR_ADDR(meeting) /* u32 [2]: arrivals so far (wraps); not 0 = somebody waited too long */
    RR_U32(arrivals) /* before this dispatch */
    RR_U32(n_groups) /* workgroups */)
#endif
