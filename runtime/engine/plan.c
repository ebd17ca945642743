/* The memory plan: what the four arenas need, before anything is allocated. Pure. */
#include "runtime/engine/pages.h"
#include "runtime/engine/read_pass.h"
#include "shaders/attention.h"

enum { STAGING_BYTES = 32 << 20 }; /* upload pieces, see runtime/vk/vk.h */

/* What the sessions can fill, in whole pages. */
static uint64_t all_tokens(const rr_engine_limits *limits) {
    return (uint64_t)rr_pages_of(limits->n_context) * RR_KV_PAGE * limits->n_sessions;
}

rr_engine_limits rr_engine_limits_of(
    const rr_model *model, const rr_device_info *info, const rr_engine_params *params) {
    bool software = info->type == RR_DEVICE_CPU;
    uint32_t trained = model->config.n_context;
    rr_engine_limits limits = {
        .n_context = params->n_context != 0 ? params->n_context : (trained < 8192 ? trained : 8192),
        .n_sessions = params->n_sessions != 0 ? params->n_sessions : 1,
        .prompt_chunk = params->prompt_chunk != 0 ? params->prompt_chunk : (software ? 64 : 256),
        .logits_rows = params->logits_rows != 0 ? params->logits_rows : 32,
        .kv_tokens = params->kv_tokens,
        .readings = params->readings,
    };
    if (limits.kv_tokens == 0) {
        limits.kv_tokens = all_tokens(&limits);
    }
    if (limits.logits_rows < RR_DECODE_ROWS) {
        limits.logits_rows = RR_DECODE_ROWS; /* a decode pass samples every row */
    }
    return limits;
}

rr_activations rr_activations_plan(
    const rr_model_config *config, rr_graph_kind graph, const rr_engine_limits *limits) {
    const uint64_t rows = rr_pass_rows(limits);
    const uint64_t lanes = graph == RR_GRAPH_LANES ? rows : 0;
    const uint64_t plain = graph == RR_GRAPH_PLAIN ? rows : 0;
    const uint64_t floats = graph == RR_GRAPH_LANES ? 0 : rows; /* attention gives floats */
    const uint64_t quantized = graph == RR_GRAPH_PLAIN ? 0 : rows;
    const uint64_t code_bytes = graph == RR_GRAPH_LANES ? 2 : 1;
    /* the q8 graph's lm_head takes each row as two */
    const uint64_t head_rows = limits->logits_rows * (graph == RR_GRAPH_Q8 ? 2 : 1);
    const uint64_t h_rows = graph == RR_GRAPH_Q8 && quantized < head_rows ? head_rows : quantized;
    uint64_t d = config->d_model;
    uint64_t q = (uint64_t)config->n_heads * config->head_size;
    uint64_t kv = (uint64_t)config->n_kv_heads * config->head_size;
    rr_activations at = {0};
    uint64_t end = 0;
    struct {
        uint64_t *offset;
        uint64_t words;
    } parts[] = {
        {&at.x, rows * d},
        {&at.h, plain * d},
        {&at.qkv, rows * (q + 2 * kv)},
        {&at.attn, floats * q},
        {&at.split,
            lanes != 0 ? 0
                       : RR_ATTENTION_SCRATCH((uint64_t)RR_DECODE_ROWS, config->n_heads,
                             config->n_kv_heads, config->head_size, limits->n_context)},
        {&at.gate_up, plain * 2 * config->d_ffn},
        {&at.act, plain * config->d_ffn},
        {&at.head_in, limits->logits_rows * d},
        {&at.logits, head_rows * config->n_vocab},
        {&at.ids, limits->logits_rows},
        {&at.table, (uint64_t)limits->n_context * config->head_size},
        {&at.h_codes, h_rows * d * code_bytes / 4},
        {&at.h_groups, h_rows * d / 16},
        {&at.attn_codes, quantized * q * code_bytes / 4},
        {&at.attn_groups, quantized * q / 16},
        {&at.act_codes, quantized * config->d_ffn * code_bytes / 4},
        {&at.act_groups, quantized * config->d_ffn / 16},
        {&at.rms, lanes},
        {&at.squares, lanes * d / 32},
        {&at.tickets, lanes},
    };
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        *parts[i].offset = end;
        end = rr_round_up(end + parts[i].words * 4, 256);
    }
    at.bytes = end;
    return at;
}

uint64_t rr_kv_bytes_per_token(const rr_model_config *config) {
    return (uint64_t)config->n_layers * 2 * config->n_kv_heads * config->head_size * 2;
}

/* The KV cache as it is wanted, or as much of it as fits beside `taken` bytes, at least a
 * session's. */
static rr_pages_plan plan_pages(const rr_model_config *config, const rr_engine_limits *limits,
    const rr_device_info *info, uint64_t taken) {
    rr_engine_limits some = *limits;
    some.kv_tokens = limits->kv_tokens == RR_KV_FIT ? all_tokens(limits) : limits->kv_tokens;
    rr_pages_plan pages = rr_pages_plan_make(config, &some, info);
    if (limits->kv_tokens == RR_KV_FIT && taken + pages.bytes > info->budget_bytes) {
        const uint64_t tables = pages.bytes - pages.page_bytes * pages.n_pages;
        const uint64_t left =
            info->budget_bytes > taken + tables ? info->budget_bytes - taken - tables : 0;
        some.kv_tokens = left / pages.page_bytes * RR_KV_PAGE;
        some.kv_tokens = some.kv_tokens > limits->n_context ? some.kv_tokens : limits->n_context;
        pages = rr_pages_plan_make(config, &some, info);
    }
    return pages;
}

static double mib(uint64_t bytes) {
    return (double)bytes / (1024.0 * 1024.0);
}

rr_status rr_memory_plan_make(const rr_model *model, const rr_device_info *info,
    const rr_engine_params *params, rr_memory_plan *out, rr_diag *diag) {
    rr_engine_limits limits = rr_engine_limits_of(model, info, params);
    if (limits.n_context < 16 || limits.n_context > model->config.n_context) {
        return rr_fail(diag, RR_E_USAGE, "context of %u tokens: this model takes 16 to %u",
            limits.n_context, model->config.n_context);
    }
    if (limits.n_sessions > 4096 || limits.prompt_chunk > 4096 || limits.logits_rows > 4096) {
        return rr_fail(diag, RR_E_USAGE,
            "%u sessions, prompt chunks of %u, %u rows of logits: at most 4096 of each",
            limits.n_sessions, limits.prompt_chunk, limits.logits_rows);
    }
    if (limits.kv_tokens < limits.n_context) {
        return rr_fail(diag, RR_E_USAGE,
            "a KV cache of %llu tokens: expected at least the context, %u",
            (unsigned long long)limits.kv_tokens, limits.n_context);
    }
    rr_memory_plan plan = {.n_context = limits.n_context,
        .n_sessions = limits.n_sessions,
        .prompt_chunk = limits.prompt_chunk,
        .budget_bytes = info->budget_bytes,
        .kv_bytes_per_token = rr_kv_bytes_per_token(&model->config)};
    rr_graph_kind graph = rr_graph_choose(model, info, params);
    RR_TRY(rr_weights_plan(model, graph, info, &plan.weights_bytes, diag));
    const uint64_t activations = rr_activations_plan(&model->config, graph, &limits).bytes;
    const rr_reader_plan reader = rr_reader_plan_make(&model->config, &limits);
    plan.activations_bytes = activations + reader.work_bytes;
    plan.staging_bytes = STAGING_BYTES +
        (uint64_t)limits.logits_rows * (model->config.n_vocab + 1) * 4 +
        rr_pass_rows(&limits) * sizeof(rr_row) + reader.list_bytes + reader.result_bytes;
    const rr_pages_plan pages = plan_pages(&model->config, &limits, info,
        plan.weights_bytes + plan.activations_bytes + plan.staging_bytes);
    plan.kv_bytes = pages.bytes;
    plan.kv_tokens = (uint64_t)pages.n_pages * RR_KV_PAGE;
    plan.is_short = pages.n_pages < pages.n_listed;
    plan.total_bytes =
        plan.weights_bytes + plan.kv_bytes + plan.activations_bytes + plan.staging_bytes;
    plan.fits = plan.total_bytes <= plan.budget_bytes && pages.n_each > 0 &&
        activations <= info->max_allocation_bytes &&
        reader.work_bytes <= info->max_allocation_bytes;
    *out = plan;
    if (plan.fits) {
        return RR_OK;
    }
    if (plan.total_bytes <= plan.budget_bytes) {
        return rr_fail(diag, RR_E_MEMORY,
            "%s allocates at most %.0f MiB at once; a page of the KV cache takes %.0f MiB and the activations "
            "%.0f MiB: use a smaller --context, a smaller model, or another --device",
            info->name, mib(info->max_allocation_bytes), mib(pages.page_bytes),
            mib(plan.activations_bytes));
    }
    return rr_fail(diag, RR_E_MEMORY,
        "%s has %.0f MiB free, the plan needs %.0f MiB: weights %.0f, KV %.0f (%llu tokens), "
        "activations %.0f, staging %.0f; use a smaller --context, fewer --jobs, a smaller model, or another --device",
        info->name, mib(plan.budget_bytes), mib(plan.total_bytes), mib(plan.weights_bytes),
        mib(plan.kv_bytes), (unsigned long long)plan.kv_tokens, mib(plan.activations_bytes),
        mib(plan.staging_bytes));
}
