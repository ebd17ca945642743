/* The checker's run: capability sets, variants, the report. */
#include "runtime/base/hash.h"
#include "tests/checkgpu/internal.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FAULTS_SHOWN = 4 }; /* of a case */

void rr_cg_line(rr_cg *cg, const char *format, ...) {
    char text[1024];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    cg->params->line(cg->params->user, text);
}

static const char *op_name(const rr_cg *cg) {
    return rr_op_name(cg->variant->op);
}

void rr_cg_fault(rr_cg *cg, const char *format, ...) {
    char text[512];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    if (cg->n_faults++ < FAULTS_SHOWN) {
        rr_cg_line(cg, "FAILED %s/%s %s: %s", op_name(cg), cg->variant->name, cg->label, text);
    }
}

void rr_cg_begin(rr_cg *cg, const char *format, ...) {
    va_list args;
    va_start(args, format);
    vsnprintf(cg->label, sizeof cg->label, format, args);
    va_end(args);
    cg->n_faults = 0;
    /* the same case has the same numbers in every selection of cases */
    cg->random =
        rr_fnv1a(cg->label, strlen(cg->label)) ^ (cg->params->seed != 0 ? cg->params->seed : 1);
    for (int i = 0; i < RR_CG_SLOTS; i++) {
        cg->slots[i].role = RR_CG_UNUSED;
    }
}

bool rr_cg_wants(const rr_cg *cg, rr_qtype format) {
    return cg->params->format == NULL ||
        strcmp(cg->params->format, rr_qtype_get((uint32_t)format)->name) == 0;
}

bool rr_cg_suits(rr_cg *cg, const rr_kern_key *key, const char *what, ...) {
    if (rr_kern_fits(cg->variant, key, rr_vk_info(cg->device))) {
        return true;
    }
    char text[200];
    va_list args;
    va_start(args, what);
    vsnprintf(text, sizeof text, what, args);
    va_end(args);
    rr_cg_line(
        cg, "skipped %s/%s %s: not made for this here", op_name(cg), cg->variant->name, text);
    cg->result->n_unsuited++;
    return false;
}

void rr_cg_end(rr_cg *cg) {
    cg->result->n_cases++;
    cg->result->n_failed += cg->n_faults != 0;
    if (cg->n_faults > FAULTS_SHOWN) {
        rr_cg_line(cg, "FAILED %s/%s %s: %zu faults in all", op_name(cg), cg->variant->name,
            cg->label, cg->n_faults);
    }
}

static rr_status check_variant(rr_cg *cg, rr_diag *diag) {
    static rr_status (*const checks[RR_OP_COUNT])(rr_cg *, rr_diag *) = {
        [RR_OP_embed] = rr_cg_check_embed,
        [RR_OP_rmsnorm] = rr_cg_check_rmsnorm,
        [RR_OP_matmul_prefill] = rr_cg_check_matmul,
        [RR_OP_matmul_decode] = rr_cg_check_matmul,
        [RR_OP_rope] = rr_cg_check_rope,
        [RR_OP_attention_prefill] = rr_cg_check_attention,
        [RR_OP_attention_decode] = rr_cg_check_attention,
        [RR_OP_attention_mass] = rr_cg_check_attention_mass,
        [RR_OP_token_mass] = rr_cg_check_token_mass,
        [RR_OP_swiglu] = rr_cg_check_swiglu,
        [RR_OP_argmax] = rr_cg_check_argmax,
        [RR_OP_lanes_embed] = rr_cg_check_lanes_embed,
        [RR_OP_lanes_qkv] = rr_cg_check_lanes,
        [RR_OP_lanes_attention_prefill] = rr_cg_check_attention,
        [RR_OP_lanes_attention_decode] = rr_cg_check_attention,
        [RR_OP_lanes_out] = rr_cg_check_lanes,
        [RR_OP_lanes_gate_up] = rr_cg_check_lanes,
        [RR_OP_lanes_layer] = rr_cg_check_layer,
        [RR_OP_lanes_head] = rr_cg_check_lanes,
        [RR_OP_matmul_grad] = rr_cg_check_matmul_grad,
        [RR_OP_outer_grad] = rr_cg_check_outer_grad,
        [RR_OP_rmsnorm_grad] = rr_cg_check_rmsnorm_grad,
        [RR_OP_swiglu_grad] = rr_cg_check_swiglu_grad,
        [RR_OP_rope_grad] = rr_cg_check_rope_grad,
        [RR_OP_attention_lse] = rr_cg_check_attention_grad,
        [RR_OP_attention_grad_q] = rr_cg_check_attention_grad,
        [RR_OP_attention_grad_kv] = rr_cg_check_attention_grad,
        [RR_OP_cross_entropy] = rr_cg_check_cross_entropy,
        [RR_OP_adamw] = rr_cg_check_adamw,
        [RR_OP_roof] = rr_cg_check_roof,
        [RR_OP_rmsnorm_q8] = rr_cg_check_rmsnorm_q8,
        [RR_OP_matmul_q8_prefill] = rr_cg_check_matmul_q8,
        [RR_OP_matmul_q8_decode] = rr_cg_check_matmul_q8,
    };
    if (cg->params->bench) {
        return rr_cg_bench(cg, diag);
    }
    size_t cases = cg->result->n_cases, failed = cg->result->n_failed;
    rr_status status = checks[cg->variant->op](cg, diag);
    if (status == RR_E_UNSUPPORTED &&
        rr_pick(cg->variant->op, &(rr_kern_key){0}, rr_vk_info(cg->device)) != cg->variant) {
        rr_cg_line(cg, "%-23s %-12s not for this device: %s", op_name(cg), cg->variant->name,
            diag != NULL ? diag->text : "");
        return RR_OK;
    }
    if (status != RR_OK) {
        return rr_fail_context(diag, status, "%s/%s %s", op_name(cg), cg->variant->name, cg->label);
    }
    rr_cg_line(cg, "%-23s %-12s %5zu cases, %zu failed", op_name(cg), cg->variant->name,
        cg->result->n_cases - cases, cg->result->n_failed - failed);
    return RR_OK;
}

static bool wanted(const rr_checkgpu_params *params, const rr_variant *variant) {
    return (params->op == NULL || strcmp(params->op, rr_op_name(variant->op)) == 0) &&
        (params->variant == NULL || strcmp(params->variant, variant->name) == 0);
}

/* No smaller set admitted it; `before` = the next smaller one. */
static bool is_fresh(const rr_variant *variant, const uint32_t *before) {
    return before == NULL || (variant->caps & ~*before) != 0;
}

/* Which of a set's variants to run: those that are fresh, what pick chooses under the full set, or
 * all of them. A bench times each variant once, under the full set. */
static bool due(const rr_checkgpu_params *params, const rr_variant *variant, uint32_t caps,
    const uint32_t *before, bool last, const rr_device_info *info) {
    rr_device_info full = *info;
    full.caps = caps;
    if (!rr_variant_fits(variant, &full) || !wanted(params, variant)) {
        return false;
    }
    if (params->bench) {
        return last;
    }
    return is_fresh(variant, before) || params->full ||
        (last && rr_pick(variant->op, &(rr_kern_key){0}, &full) == variant);
}

static void caps_text(uint32_t caps, char *out, size_t bytes) {
    size_t used = (size_t)snprintf(out, bytes, "%s", caps == 0 ? "none" : "");
    for (int bit = 0; bit < RR_CAP_COUNT; bit++) {
        if ((caps >> bit & 1) != 0 && used < bytes) {
            used += (size_t)snprintf(out + used, bytes - used, "%s%s", used > 0 ? "," : "",
                rr_cap_text((rr_cap_bit)bit));
        }
    }
}

static rr_status run_set(rr_cg *cg, rr_vk_instance *instance, const rr_device_info *info,
    uint32_t caps, const uint32_t *before, bool last, rr_diag *diag) {
    rr_status status = RR_OK;
    size_t n, n_due = 0;
    const rr_variant *variants = rr_variants(&n);
    for (size_t i = 0; i < n; i++) {
        n_due += due(cg->params, &variants[i], caps, before, last, info);
    }
    if (n_due == 0) {
        return RR_OK;
    }
    char text[128];
    caps_text(caps, text, sizeof text);
    rr_cg_line(cg, "capabilities: %s", text);
    const rr_vk_device_params params = {.caps = caps, .lifted = info->lifted};
    RR_TRY_GOTO(rr_vk_device_open_with(instance, info->index, &params, &cg->device, diag));
    RR_TRY_GOTO(rr_kern_create(cg->device, &cg->kern, diag));
    RR_TRY_GOTO(rr_vk_commands_create(cg->device, &cg->commands, diag));
    for (size_t i = 0; i < n; i++) {
        if (last && (variants[i].caps & ~caps) == 0 && wanted(cg->params, &variants[i]) &&
            !rr_variant_fits(&variants[i], rr_vk_info(cg->device))) {
            rr_cg_line(cg, "%-23s %-12s not for this device: subgroups of %u",
                rr_op_name(variants[i].op), variants[i].name, info->subgroup_size);
        }
        if (due(cg->params, &variants[i], caps, before, last, info)) {
            cg->variant = &variants[i];
            cg->again = !is_fresh(&variants[i], before) && !cg->params->full;
            RR_TRY_GOTO(check_variant(cg, diag));
        }
    }
fail:
    rr_cg_free(cg);
    if (cg->device != NULL) {
        rr_vk_commands_destroy(cg->device, &cg->commands);
        rr_kern_destroy(&cg->kern);
        rr_vk_device_close(&cg->device);
    }
    return status;
}

/* Cumulative sets: nothing, then one capability of the device more each, in the order of
 * RR_CAPS. */
static rr_status run_sets(
    rr_cg *cg, rr_vk_instance *instance, const rr_device_info *info, rr_diag *diag) {
    uint32_t caps = RR_CAP_NONE, before = RR_CAP_NONE;
    rr_device_info used = *info;
    const char *mask = cg->params->caps != NULL ? cg->params->caps : getenv("REARANK_CAPS");
    /* an emulated integer dot product is no reason to choose a variant, but gives the same
     * result */
    used.caps |= info->caps_reported & RR_CAP_DOT;
    RR_TRY(rr_caps_lift(&used, mask, diag));
    const uint32_t effective = used.caps;
    RR_TRY(run_set(cg, instance, &used, caps, NULL, effective == caps, diag));
    for (int bit = 0; bit < RR_CAP_COUNT; bit++) {
        if ((effective >> bit & 1) != 0) {
            caps |= 1u << bit;
            RR_TRY(run_set(cg, instance, &used, caps, &before, effective == caps, diag));
            before = caps;
        }
    }
    return RR_OK;
}

static rr_status check_format_name(const char *name, rr_diag *diag) {
    size_t n;
    const rr_qtype_info *formats = rr_qtype_all(&n);
    bool known = name == NULL;
    for (size_t i = 0; i < n; i++) {
        known = known || strcmp(formats[i].name, name) == 0;
    }
    return known ? RR_OK
                 : rr_fail(diag, RR_E_USAGE, "no weight format is called %s; one is %s", name,
                       formats[0].name);
}

static rr_status check_params(const rr_checkgpu_params *params, rr_diag *diag) {
    size_t n, matches = 0;
    const rr_variant *variants = rr_variants(&n);
    for (size_t i = 0; i < n; i++) {
        matches += wanted(params, &variants[i]);
    }
    if (matches != 0) {
        return check_format_name(params->format, diag);
    }
    char known[512];
    size_t used = 0;
    for (size_t i = 0; i < n && used < sizeof known; i++) {
        used += (size_t)snprintf(known + used, sizeof known - used, " %s/%s",
            rr_op_name(variants[i].op), variants[i].name);
    }
    return rr_fail(diag, RR_E_USAGE, "no kernel is called %s/%s; this build has:%s",
        params->op != NULL ? params->op : "*", params->variant != NULL ? params->variant : "*",
        known);
}

rr_status rr_checkgpu_run(
    const rr_checkgpu_params *params, rr_checkgpu_result *result, rr_diag *diag) {
    rr_checkgpu_result counts = {0};
    rr_cg cg = {.params = params, .result = &counts};
    rr_vk_instance *instance = NULL;
    rr_status status = RR_OK;
    size_t index;
    RR_TRY(check_params(params, diag));
    const rr_vk_instance_params instance_params = {
        .coop = params->coop, .validation = params->validation};
    RR_TRY(rr_vk_instance_create(&instance_params, &instance, diag));
    RR_TRY_GOTO(rr_vk_pick(rr_vk_device_info_at(instance, 0), rr_vk_n_devices(instance),
        params->device, &index, diag));
    const rr_device_info *info = rr_vk_device_info_at(instance, index);
    rr_cg_line(&cg, "%s (%s %s), seed %" PRIu64, info->name, info->driver, info->driver_info,
        params->seed != 0 ? params->seed : 1);
    RR_TRY_GOTO(run_sets(&cg, instance, info, diag));
    counts.n_validation_messages = rr_vk_n_validation_messages(instance);
    if (counts.n_f16_far != 0) {
        rr_cg_line(&cg, "f16: %" PRIu64 " of %" PRIu64 " stored values are the farther neighbour",
            counts.n_f16_far, counts.n_f16);
    }
    if (counts.n_codes_tied != 0) {
        rr_cg_line(&cg,
            "codes: %" PRIu64 " of %" PRIu64 " values lie so near a tie that either code is right",
            counts.n_codes_tied, counts.n_codes);
    }
    if (counts.n_unsuited != 0) {
        rr_cg_line(&cg,
            "%zu cases skipped: the kernels named above are not made for them on this device",
            counts.n_unsuited);
    }
    if (counts.n_too_big != 0) {
        rr_cg_line(&cg, "%zu cases left out: their buffers are larger than the device allows",
            counts.n_too_big);
    }
    *result = counts;
fail:
    rr_vk_instance_destroy(&instance);
    return status;
}
