/* The model's path and the options of every verb that opens an engine. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/base/cache.h"
#include "runtime/base/file.h"
#include "tools/cli.h"

rr_status rr_cli_model_path(const char *given, rr_buf *out, rr_diag *diag) {
    const char *env = getenv("REARANK_MODEL");
    if (given == NULL && env != NULL && env[0] != '\0') {
        given = env;
    }
    if (given != NULL) {
        rr_buf_text(out, given);
        return out->failed ? rr_fail(diag, RR_E_MEMORY, "out of memory") : RR_OK;
    }
    rr_buf path = {0};
    rr_status status = rr_cache_path(RR_CLI_DEFAULT_MODEL, &path, diag);
    if (status == RR_OK) {
        FILE *probe = fopen(path.data, "rb");
        if (probe != NULL) {
            fclose(probe);
            rr_buf_append(out, path.data, path.bytes);
            status = out->failed ? rr_fail(diag, RR_E_MEMORY, "out of memory") : RR_OK;
        } else {
            status = rr_fail(diag, RR_E_INPUT,
                "no model: neither -m nor REARANK_MODEL names one and there is no %s; "
                "`rearank pull` fetches the default model",
                path.data);
        }
    }
    rr_buf_destroy(&path);
    return status;
}

rr_opt_group rr_cli_engine_group(rr_cli_engine *engine) {
    memset(engine, 0, sizeof *engine);
    engine->params.compute.progress = rr_cli_progress;
    rr_engine_params *params = &engine->params;
    const rr_opt options[] = {
        RR_CLI_OPT_MODEL(&engine->model),
        {.name = "adapter",
            .kind = RR_OPT_LIST,
            .target = &engine->adapters,
            .value = "PATH[:FACTOR]",
            .help =
                "compute an adapter (LoRA) beside the weights, FACTOR times as strong as it was trained; may be repeated"},
        {.name = "device",
            .letter = 'd',
            .kind = RR_OPT_TEXT,
            .target = &params->compute.device,
            .value = "DEVICE",
            .help =
                "index, UUID or part of the name of a device of `rearank devices` (default: the best)"},
        {.name = "caps",
            .kind = RR_OPT_TEXT,
            .target = &params->compute.caps,
            .value = "MASK",
            .help = "capabilities not to use, such as -coop,-dot or none (default: $REARANK_CAPS)"},
        {.name = "context",
            .kind = RR_OPT_U32,
            .target = &params->compute.n_context,
            .value = "N",
            .help = "tokens a session can hold (default: 8192, or the model's own limit)",
            .min = 1,
            .max = 1 << 20},
        {.name = "chunk",
            .kind = RR_OPT_U32,
            .target = &params->compute.prompt_chunk,
            .value = "N",
            .help = "prompt tokens computed in one pass (default: 256; 64 on software devices)",
            .min = 1,
            .max = 4096},
        {.name = "exact",
            .kind = RR_OPT_FLAG,
            .target = &params->compute.exact,
            .help =
                "keep activations in float, slower (default: quantized where the device has kernels for it)"},
        {.name = "quantize",
            .kind = RR_OPT_TEXT,
            .target = &params->compute.quantize,
            .value = "TYPE",
            .help =
                "round matrices that the model holds as floats to q4_0, q5_0 or q8_0 at the start (default: as they are)"},
        {.name = "no-packed-cache",
            .kind = RR_OPT_FLAG,
            .target = &params->compute.no_packed_cache,
            .help = "neither read nor leave the packed weights in a file beside the model"},
        {.name = "validation",
            .kind = RR_OPT_FLAG,
            .target = &params->compute.validation,
            .help = "turn on the Vulkan validation layers (must be installed)"},
    };
    _Static_assert(sizeof options <= sizeof engine->options, "rr_cli_engine.options is too small");
    memcpy(engine->options, options, sizeof options);
    return (rr_opt_group){"Model and device", engine->options, sizeof options / sizeof options[0]};
}

/* PATH, or PATH:FACTOR where no file has the whole as its name. */
static rr_status read_use(rr_arena *arena, const char *text, rr_adapter_use *out, rr_diag *diag) {
    const char *colon = strrchr(text, ':');
    *out = (rr_adapter_use){.path = text, .factor = 1.0};
    if (colon == NULL || strchr(colon, '/') != NULL || rr_file_look(text, NULL) != RR_FILE_NONE) {
        return RR_OK;
    }
    char *end = NULL;
    out->factor = strtod(colon + 1, &end);
    if (colon == text || colon[1] == '\0' || *end != '\0' || !isfinite(out->factor)) {
        return rr_fail(diag, RR_E_USAGE,
            "--adapter: found \"%s\", expected a path, or a path, a colon and a finite number",
            text);
    }
    out->path = rr_arena_copy(arena, text, (size_t)(colon - text));
    return out->path != NULL ? RR_OK : rr_fail(diag, RR_E_MEMORY, "out of memory");
}

rr_status rr_cli_engine_ready(rr_cli_engine *engine, rr_diag *diag) {
    const rr_cli_list *list = &engine->adapters;
    rr_compute_params *params = &engine->params.compute;
    rr_buf_clear(&engine->path);
    RR_TRY(rr_cli_model_path(engine->model, &engine->path, diag));
    if (list->n > RR_CLI_ADAPTERS) {
        return rr_fail(diag, RR_E_USAGE, "--adapter: found %zu, expected at most %d", list->n,
            RR_CLI_ADAPTERS);
    }
    for (size_t i = 0; i < list->n; i++) {
        RR_TRY(read_use(&engine->arena, list->items[i], &engine->uses[i], diag));
    }
    params->model_path = engine->path.data;
    params->adapters = engine->uses;
    params->n_adapters = list->n;
    return RR_OK;
}

void rr_cli_engine_files(rr_cli_engine *engine, rr_cli_files *files) {
    rr_diag diag;
    /* whether a model is needed, and missed, is seen later */
    if (rr_cli_engine_ready(engine, &diag) == RR_OK) {
        rr_cli_reads(files, "--model", engine->path.data);
        for (size_t i = 0; i < engine->adapters.n; i++) {
            rr_cli_reads(files, "--adapter", engine->uses[i].path);
        }
    }
}

rr_status rr_cli_engine_device(const rr_engine_params *params, const rr_model *model, rr_buf *name,
    rr_buf *graph, rr_diag *diag) {
    rr_vk_instance *instance = NULL;
    const rr_vk_instance_params instance_params = {.validation = params->compute.validation};
    size_t index;
    rr_status status = rr_vk_instance_create(&instance_params, &instance, diag);
    if (status == RR_OK) {
        status = rr_vk_pick(rr_vk_device_info_at(instance, 0), rr_vk_n_devices(instance),
            params->compute.device, &index, diag);
    }
    if (status == RR_OK) {
        const rr_device_info *info = rr_vk_device_info_at(instance, index);
        rr_buf_text(name, info->name);
        rr_buf_text(graph, rr_graph_name(model, info, &params->compute));
    }
    rr_vk_instance_destroy(&instance);
    return status;
}

void rr_cli_engine_release(rr_cli_engine *engine) {
    rr_buf_destroy(&engine->path);
    rr_arena_destroy(&engine->arena);
    engine->params.compute.model_path = NULL;
    engine->params.compute.n_adapters = 0;
}
