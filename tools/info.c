/* `rearank info`: what this program would do here: device, capabilities, quirks, the variant of
 * each op and why, and the memory plan of a model. Allocates nothing on the device. Owns: the
 * output format. */
#include <stdlib.h>
#include <string.h>

#include "runtime/compute/kern.h"
#include "runtime/compute/selftest.h"
#include "tools/cli.h"

static void print_caps(const char *label, uint32_t caps) {
    rr_out_printf("%-14s", label);
    for (int bit = 0; bit < RR_CAP_COUNT; bit++) {
        if ((caps >> bit & 1u) != 0) {
            rr_out_printf(" %s", rr_cap_text((rr_cap_bit)bit));
        }
    }
    rr_out_text(caps == 0 ? " none\n" : "\n");
}

static void print_device(const rr_device_info *d) {
    static const char *const types[] = {"other", "integrated", "discrete", "virtual", "software"};
    rr_out_printf("device         %u: %s (%s)\n", d->index, d->name, types[d->type]);
    rr_out_printf("driver         %s, %s\n", d->driver, d->driver_info);
    rr_out_printf("vulkan         %u.%u.%u\n", d->api_major, d->api_minor, d->api_patch);
    rr_out_printf("memory         %.0f MiB, %.0f MiB free\n",
        (double)d->device_memory_bytes / 1048576.0, (double)d->budget_bytes / 1048576.0);
    rr_out_printf("subgroup       %u (%u to %u)\n", d->subgroup_size, d->subgroup_size_min,
        d->subgroup_size_max);
    print_caps("reported", d->caps_reported);
    rr_out_printf("quirks         %s\n", d->quirks[0] != '\0' ? d->quirks : "none");
}

/* Each op with the row that runs and, for every better row, what it lacks. */
static void print_variants(const rr_device_info *device) {
    rr_out_text("\nop                       variant  why\n");
    size_t n;
    const rr_variant *rows = rr_variants(&n);
    for (int op = 0; op < RR_OP_COUNT; op++) {
        const rr_kern_key key = {0};
        const rr_variant *chosen = rr_pick((rr_op)op, &key, device);
        rr_out_printf("%-24s %-8s", rr_op_name((rr_op)op), chosen != NULL ? chosen->name : "-");
        bool best = true;
        for (const rr_variant *v = chosen != NULL ? chosen + 1 : rows; v < rows + n; v++) {
            if (v->op != (rr_op)op) {
                continue;
            }
            rr_out_printf("%s %s lacks", best ? "" : ";", v->name);
            best = false;
            for (int bit = 0; bit < RR_CAP_COUNT; bit++) {
                if (((v->caps & ~device->caps) >> bit & 1u) != 0) {
                    rr_out_printf(" %s", rr_cap_text((rr_cap_bit)bit));
                }
            }
        }
        rr_out_text(best ? " best row of this build\n" : "\n");
    }
}

static double mib(uint64_t bytes) {
    return (double)bytes / 1048576.0;
}

static rr_status print_plan(
    const rr_device_info *device, const rr_engine_params *params, rr_diag *diag) {
    rr_model *model = NULL;
    RR_TRY(rr_compute_open_model(&params->compute, &model, diag));
    const rr_model_config *c = &model->config;
    rr_out_printf("\nmodel          %s\n", model->name);
    rr_out_printf("file           %s, %.0f MiB of weights, %.2f billion parameters\n",
        rr_source_path(model->source), mib(rr_model_weight_bytes(model)),
        (double)rr_model_n_parameters(model) / 1e9);
    const rr_text about = rr_source_about(model->source);
    if (about.bytes > 0) {
        rr_out_printf("stored         %.*s\n", (int)about.bytes, about.data);
    }
    rr_out_printf(
        "shape          %u layers, d %u, %u query heads / %u KV heads × %u, FFN %u, vocabulary %u%s\n",
        c->n_layers, c->d_model, c->n_heads, c->n_kv_heads, c->head_size, c->d_ffn, c->n_vocab,
        c->tied ? ", tied output" : "");
    for (size_t i = 0; i < rr_adapter_set_n(model->adapters); i++) {
        rr_out_printf("adapter        %s × %g, %.2f million parameters\n",
            rr_adapter_set_at(model->adapters, i)->path, rr_adapter_set_factor(model->adapters, i),
            (double)rr_adapter_n_parameters(rr_adapter_set_at(model->adapters, i)) / 1e6);
    }
    rr_out_printf("graph          %s\n", rr_graph_name(model, device, &params->compute));
    rr_memory_plan plan = {0};
    rr_status status = rr_memory_plan_make(model, device, params, &plan, diag);
    if (plan.total_bytes != 0) {
        rr_out_text("\nmemory plan\n");
        rr_out_printf("  weights      %9.1f MiB\n", mib(plan.compute.weights_bytes));
        rr_out_printf("  KV           %9.1f MiB  %u sessions × %u tokens × %llu bytes\n",
            mib(plan.kv_bytes), plan.n_sessions, plan.compute.limits.n_context,
            (unsigned long long)plan.kv_bytes_per_token);
        rr_out_printf("  activations  %9.1f MiB  prompt chunks of %u tokens\n",
            mib(plan.compute.activations_bytes), plan.compute.limits.prompt_chunk);
        rr_out_printf("  staging      %9.1f MiB\n", mib(plan.compute.staging_bytes));
        rr_out_printf("  total        %9.1f MiB of %.1f MiB: %s\n", mib(plan.total_bytes),
            mib(plan.budget_bytes), plan.fits ? "fits" : "does not fit");
    }
    rr_model_close(&model);
    return status;
}

static rr_status run(rr_cli_engine *cli, bool model_wanted, rr_diag *diag) {
    const rr_engine_params *params = &cli->params;
    rr_vk_instance *instance = NULL;
    rr_device_info *devices = NULL;
    rr_status status = RR_OK;
    const rr_vk_instance_params instance_params = {.validation = params->compute.validation};
    RR_TRY_GOTO(rr_vk_instance_create(&instance_params, &instance, diag));
    size_t n = rr_vk_n_devices(instance);
    devices = malloc((n + 1) * sizeof *devices);
    if (devices == NULL) {
        status = rr_fail(diag, RR_E_MEMORY, "out of memory");
        goto fail;
    }
    for (size_t i = 0; i < n; i++) {
        devices[i] = *rr_vk_device_info_at(instance, i);
    }
    size_t index = 0;
    RR_TRY_GOTO(rr_vk_pick(devices, n, params->compute.device, &index, diag));
    rr_device_info *device = &devices[index];
    print_device(device);
    const char *mask = params->compute.caps != NULL ? params->compute.caps : getenv("REARANK_CAPS");
    RR_TRY_GOTO(rr_caps_mask(device->caps, mask, &device->caps, diag));
    const uint32_t dropped = rr_selftest_remembered(device);
    if (dropped != 0) {
        print_caps("self-test", dropped); /* what it found not to be worth using */
        device->caps &= ~dropped;
    }
    print_caps("used", device->caps);
    print_variants(device);
    if (model_wanted) {
        RR_TRY_GOTO(print_plan(device, params, diag));
    } else {
        rr_out_text("\nno model: name one with -m for its memory plan\n");
    }
fail:
    free(devices);
    rr_vk_instance_destroy(&instance);
    return status;
}

int rr_verb_info(int argc, char **argv) {
    rr_cli_engine engine;
    const rr_cli_spec spec = {
        .synopsis = "",
        .about =
            "Shows the device that would be used, its capabilities and quirks, the kernel variant of each op and\n"
            "why, and the memory plan of the model.",
        .groups = {rr_cli_engine_group(&engine)},
    };
    rr_cli_args args;
    int code = rr_cli_parse(&spec, argc, argv, &args);
    if (code != RR_CLI_GO_ON) {
        return code;
    }
    rr_diag diag = {0};
    /* a model that was named must exist; without one the device alone is shown */
    bool named = engine.model != NULL || getenv("REARANK_MODEL") != NULL;
    rr_status status = rr_cli_engine_ready(&engine, &diag);
    bool model_wanted = status == RR_OK;
    if (status == RR_OK || !named) {
        status = run(&engine, model_wanted, &diag);
    }
    rr_cli_engine_release(&engine);
    return status == RR_OK ? RR_EXIT_OK : rr_cli_fail(status, &diag);
}
