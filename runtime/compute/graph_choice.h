/* Which graph runs a model on a device. Pure. */
#ifndef RR_COMPUTE_GRAPH_CHOICE_H
#define RR_COMPUTE_GRAPH_CHOICE_H

#include "runtime/compute/compute.h"

/* From the one that always runs to the one that is best where it runs. */
typedef enum rr_graph_kind {
    RR_GRAPH_PLAIN, /* "plain": float activations, one op a dispatch */
    RR_GRAPH_Q8,    /* "q8": int8 activations, fused, for GPUs with integer dot products */
    RR_GRAPH_LANES, /* "lanes": the like for software devices */
    RR_N_GRAPHS
} rr_graph_kind;

/* The graph that `params` names, if it holds this model and runs on the device, else the best one;
 * `exact` keeps activations in float: plain. */
rr_graph_kind rr_graph_choose(
    const rr_model *model, const rr_device_info *info, const rr_compute_params *params);
const char *rr_graph_kind_name(rr_graph_kind kind);
/* The name of the one that is chosen. */
const char *rr_graph_name(
    const rr_model *model, const rr_device_info *info, const rr_compute_params *params);

#endif
