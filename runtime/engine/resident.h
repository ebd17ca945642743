/* Layers in one dispatch: kernels whose workgroups wait for each other (shaders/lanes_layer.h).
 * Vulkan does not promise that workgroups run at the same time; a software device does run as many
 * as it has threads. So it is tried at the start, every wait is bounded, and a pass in which
 * somebody waited in vain is done again without. While other programs want the processors, a
 * workgroup that runs waits for one that does not: then passes in several dispatches are faster, up
 * to ten times. So passes are timed, and the faster way is taken (two_ways.h). */
#ifndef RR_ENGINE_RESIDENT_H
#define RR_ENGINE_RESIDENT_H

#include "runtime/engine/graph.h"
#include "shaders/lanes_layer.h"

/* Brings the layers' arguments to the device and tries, with the kernel of `key`, whether as many
 * workgroups as there are processors meet. Not to meet is no error. Errors: RR_E_MEMORY,
 * RR_E_DEVICE. */
rr_status rr_resident_create(rr_engine *engine, rr_kern_key key, const struct rr_layer *layers,
    uint32_t n_layers, rr_diag *diag);
void rr_resident_destroy(rr_engine *engine);
bool rr_resident_is_on(const rr_engine *engine); /* they met, and never failed to since */
/* Around a pass: whether its layers take one dispatch each, which only one generated token alone
 * can, and how long it took. */
void rr_resident_begin(rr_engine *engine, const rr_pass *pass);
void rr_resident_end(rr_engine *engine);
bool rr_resident_is_together(const rr_engine *engine); /* the pass at hand */
void rr_resident_record(rr_engine *engine, rr_kern_key key, uint32_t index);
/* After a wait: true when a meeting failed since the last call. It is then off for good. What the
 * pass computed is void, the counters of its kernels included. */
bool rr_resident_failed(rr_engine *engine);
/* For tests: as many workgroups from now on, 1 to 64, whether they run side by side or not, however
 * long it takes. */
void rr_resident_set_groups(rr_engine *engine, uint32_t n_groups);
/* The layers' arguments (struct rr_layer) as the host sees them, NULL where it does not, and their
 * device address. */
void rr_resident_layers(const rr_engine *engine, const void **out, uint64_t *address);

#endif
