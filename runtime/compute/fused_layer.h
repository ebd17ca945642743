/* Layers in one dispatch: kernels whose workgroups wait for each other (shaders/lanes_layer.h).
 * Vulkan does not promise that workgroups run at the same time; a software device does run as many
 * as it has threads. So it is tried at the start, every wait is bounded, and a pass in which a
 * workgroup waited in vain is done again in several dispatches a layer. While other programs want
 * the processors, a workgroup that runs waits for one that does not: then passes in several
 * dispatches are up to ten times faster. So passes are timed, and the faster way is taken
 * (fast_path.h). */
#ifndef RR_COMPUTE_FUSED_LAYER_H
#define RR_COMPUTE_FUSED_LAYER_H

#include "runtime/compute/state.h"
#include "shaders/lanes_layer.h"

/* Brings the layers' arguments to the device and tries, with the kernel of `key`, whether as many
 * workgroups as there are processors meet. Not to meet is no error. Errors: RR_E_MEMORY,
 * RR_E_DEVICE. */
rr_status rr_fused_layer_create(rr_compute *compute, rr_kern_key key, const struct rr_layer *layers,
    uint32_t n_layers, rr_diag *diag);
void rr_fused_layer_destroy(rr_compute *compute);
bool rr_fused_layer_is_on(const rr_compute *compute); /* they met, and never failed to since */
/* Around a pass: begin decides whether its layers take one dispatch each, which only a pass of one
 * generated token can; end learns how long it took. */
void rr_fused_layer_begin(rr_compute *compute, const rr_pass *pass);
void rr_fused_layer_end(rr_compute *compute);
bool rr_fused_layer_is_taken(const rr_compute *compute); /* the pass at hand */
void rr_fused_layer_record(rr_compute *compute, rr_kern_key key, uint32_t index);
/* After a pass: true when workgroups did not meet in it. Layers then never take one dispatch again.
 * What the pass computed is void, the counters of its kernels included. */
bool rr_fused_layer_failed(rr_compute *compute);
/* For tests: as many workgroups from now on, 1 to 64, whether they run side by side or not, however
 * long it takes. */
void rr_fused_layer_set_groups(rr_compute *compute, uint32_t n_groups);

#endif
