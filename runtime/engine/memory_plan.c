/* The memory plan: what passes and the KV cache need, before anything is allocated. Pure. */
#include "runtime/engine/internal.h"

static uint64_t pages_tokens(uint32_t n_context, uint32_t n_sessions) {
    return (uint64_t)rr_pages_of(n_context) * RR_KV_PAGE * n_sessions;
}

rr_engine_limits rr_engine_limits_of(
    const rr_compute_limits *compute, const rr_engine_params *params) {
    rr_engine_limits limits = {
        .n_sessions = params->n_sessions != 0 ? params->n_sessions : 1,
        .kv_tokens = params->kv_tokens,
    };
    if (limits.kv_tokens == 0) {
        limits.kv_tokens = pages_tokens(compute->n_context, limits.n_sessions);
    }
    return limits;
}

/* The KV cache as it is wanted, or as much of it as fits beside `taken` bytes, at least a
 * session's. */
static rr_pages_plan plan_pages(const rr_model_config *config, uint32_t n_context,
    const rr_engine_limits *limits, const rr_device_info *info, uint64_t taken) {
    rr_pages_size size = {
        .n_context = n_context, .n_lists = limits->n_sessions, .n_tokens = limits->kv_tokens};
    if (limits->kv_tokens == RR_KV_FIT) { /* what the sessions can fill */
        size.n_tokens = pages_tokens(n_context, limits->n_sessions);
    }
    rr_pages_plan pages = rr_pages_plan_make(config, &size, info);
    if (limits->kv_tokens == RR_KV_FIT && taken + pages.bytes > info->budget_bytes) {
        const uint64_t tables = pages.bytes - pages.page_bytes * pages.n_pages;
        const uint64_t left =
            info->budget_bytes > taken + tables ? info->budget_bytes - taken - tables : 0;
        size.n_tokens = left / pages.page_bytes * RR_KV_PAGE;
        size.n_tokens = size.n_tokens > n_context ? size.n_tokens : n_context;
        pages = rr_pages_plan_make(config, &size, info);
    }
    return pages;
}

static double mib(uint64_t bytes) {
    return (double)bytes / (1024.0 * 1024.0);
}

/* Why a plan that does not fit does not. */
static rr_status refuse(
    const rr_memory_plan *plan, const rr_device_info *info, uint64_t page_bytes, rr_diag *diag) {
    if (plan->total_bytes <= plan->budget_bytes) {
        return rr_fail(diag, RR_E_MEMORY,
            "%s allocates at most %.0f MiB at once; a page of the KV cache takes %.0f MiB and the activations "
            "%.0f MiB: use a smaller --context, a smaller model, or another --device",
            info->name, mib(info->max_allocation_bytes), mib(page_bytes),
            mib(plan->compute.activations_bytes));
    }
    return rr_fail(diag, RR_E_MEMORY,
        "%s has %.0f MiB free, the plan needs %.0f MiB: weights %.0f, KV %.0f (%llu tokens), "
        "activations %.0f, staging %.0f; use a smaller --context, fewer --jobs, a smaller model, or another --device",
        info->name, mib(plan->budget_bytes), mib(plan->total_bytes),
        mib(plan->compute.weights_bytes), mib(plan->kv_bytes), (unsigned long long)plan->kv_tokens,
        mib(plan->compute.activations_bytes), mib(plan->compute.staging_bytes));
}

rr_status rr_memory_plan_make(const rr_model *model, const rr_device_info *info,
    const rr_engine_params *params, rr_memory_plan *out, rr_diag *diag) {
    rr_memory_plan plan = {.budget_bytes = info->budget_bytes,
        .kv_bytes_per_token = rr_kv_bytes_per_token(&model->config)};
    RR_TRY(rr_compute_plan_make(model, info, &params->compute, &plan.compute, diag));
    const rr_compute_plan *compute = &plan.compute;
    const uint32_t n_context = compute->limits.n_context;
    const rr_engine_limits limits = rr_engine_limits_of(&compute->limits, params);
    if (limits.n_sessions > 4096) {
        return rr_fail(diag, RR_E_USAGE, "%u sessions: at most 4096", limits.n_sessions);
    }
    if (limits.kv_tokens < n_context) {
        return rr_fail(diag, RR_E_USAGE,
            "a KV cache of %llu tokens: expected at least the context, %u",
            (unsigned long long)limits.kv_tokens, n_context);
    }
    const uint64_t taken =
        compute->weights_bytes + compute->activations_bytes + compute->staging_bytes;
    const rr_pages_plan pages = plan_pages(&model->config, n_context, &limits, info, taken);
    plan.n_sessions = limits.n_sessions;
    plan.kv_bytes = pages.bytes;
    plan.kv_tokens = (uint64_t)pages.n_pages * RR_KV_PAGE;
    plan.is_short = pages.n_pages < pages.n_listed;
    plan.total_bytes = taken + plan.kv_bytes;
    plan.fits = plan.total_bytes <= plan.budget_bytes && pages.n_each > 0 &&
        compute->largest_bytes <= info->max_allocation_bytes;
    *out = plan;
    return plan.fits ? RR_OK : refuse(&plan, info, pages.page_bytes, diag);
}
