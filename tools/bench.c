/* `rearank bench`: how fast a model runs on a device. Owns: the options, the default sets, the
 * order of things. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/base/file_out.h"
#include "tools/bench.h"
#include "tools/ranking.h"

/* What is measured when nothing is named. A window of 20 passages is about 2,150 tokens long (TREC
 * DL19), an answer without reasoning about 100. */
static const rr_bench_plan on_gpus = {
    .prompts = {{128, 512, 2048}, 3},
    .depths = {{128, 2048, 6144}, 3},
    .gen = 64,
    .batch_depth = 128,
    .batch_gen = 16,
    .window_prompt = 2150,
    .window_answer = 100,
    .window_passages = 20,
    .rounds = 5,
    .budget_ns = 20e9,
    .start = true,
    .roofs = true,
};
static const rr_bench_plan on_processors = {
    .prompts = {{128, 512}, 2},
    .depths = {{128}, 1},
    .gen = 16,
    .batches = {{1, 2, 4, 8, 16, 32}, 6},
    .batch_depth = 8,
    .batch_gen = 2,
    .window_prompt = 538,
    .window_answer = 25,
    .window_passages = 5,
    .rounds = 3,
    .budget_ns = 6e9,
    .limit_ns = 40e9,
    .start = true,
    .roofs = true,
};

typedef struct bench_options {
    rr_cli_engine engine;
    const char *prompts, *depths, *batches;
    uint32_t gen, rounds;
    bool window, start, roofs, kernels, dry, first_token;
    const char *json, *csv;
} bench_options;

static bool read_number(const char **at, uint32_t *out) {
    char *end;
    if (**at < '0' || **at > '9') {
        return false;
    }
    unsigned long value = strtoul(*at, &end, 10);
    *at = end;
    *out = value > 1u << 20 ? UINT32_MAX : (uint32_t)value;
    return true;
}

/* "128,512" or "1-8,16": numbers from 1 to `most`. */
static int read_list(const char *option, const char *text, uint32_t most, rr_bench_list *out) {
    const char *at = text;
    out->n = 0;
    do {
        uint32_t first, last;
        at += at > text; /* the comma */
        if (!read_number(&at, &first)) {
            break;
        }
        last = first;
        if (*at == '-') {
            at++;
            if (!read_number(&at, &last)) {
                break;
            }
        }
        if (first < 1 || last > most || first > last) {
            return rr_cli_usage_error(
                "--%s: found %s, expected numbers from 1 to %u", option, text, most);
        }
        for (uint32_t i = first; i <= last; i++) {
            if (out->n == RR_BENCH_LIST) {
                return rr_cli_usage_error(
                    "--%s: found %s, expected at most %d numbers", option, text, RR_BENCH_LIST);
            }
            out->items[out->n++] = i;
        }
        if (*at == '\0') {
            return RR_CLI_GO_ON;
        }
    } while (*at == ',');
    return rr_cli_usage_error(
        "--%s: found \"%s\", expected numbers such as 128 or 128,512 or 1-8", option, text);
}

static int read_lists(const bench_options *options, rr_bench_plan *plan) {
    int code = RR_CLI_GO_ON;
    if (options->prompts != NULL) {
        code = read_list("prompt", options->prompts, 1 << 20, &plan->prompts);
    }
    if (code == RR_CLI_GO_ON && options->depths != NULL) {
        code = read_list("depth", options->depths, 1 << 20, &plan->depths);
    }
    if (code == RR_CLI_GO_ON && options->batches != NULL) {
        code = read_list("batch", options->batches, RR_DECODE_ROWS, &plan->batches);
    }
    return code;
}

/* The default set of the device's kind, or only what was named. `named` holds the lists of the
 * command line. */
static void make_plan(rr_bench *bench, const bench_options *options, const rr_bench_plan *named) {
    const bool software = bench->device.type == RR_DEVICE_CPU;
    rr_bench_plan *plan = &bench->plan;
    *plan = software ? on_processors : on_gpus;
    for (uint32_t i = 1; !software && i <= RR_DECODE_ROWS; i++) {
        plan->batches.items[plan->batches.n++] = i;
    }
    bool points = options->prompts != NULL || options->depths != NULL || options->batches != NULL ||
        options->gen != 0 || options->window;
    if (points || options->start || options->roofs) {
        rr_bench_plan defaults = *plan;
        plan->prompts = named->prompts;
        plan->depths = named->depths;
        plan->batches = named->batches;
        plan->start = options->start;
        plan->roofs = options->roofs || points;
        plan->window_prompt = options->window ? defaults.window_prompt : 0;
        plan->window_answer = options->window ? defaults.window_answer : 0;
        if (options->gen != 0 && plan->depths.n + plan->batches.n == 0) {
            plan->depths = (rr_bench_list){{defaults.depths.items[0]}, 1};
            if (plan->prompts.n > 0) {
                plan->depths = plan->prompts; /* as a request goes: prompt, then answer */
            }
        }
    }
    if (options->gen != 0) {
        plan->gen = plan->batch_gen = options->gen;
    }
    if (points && plan->prompts.n > 0) {
        plan->batch_depth = plan->prompts.items[0];
    }
    if (options->rounds != 0) {
        plan->rounds = options->rounds;
        plan->budget_ns = 0;
    }
    if (points) {
        plan->limit_ns = 0;
    }
    plan->kernels = options->kernels;
    if (options->kernels && plan->prompts.n + plan->depths.n == 0) {
        plan->prompts = (rr_bench_list){{128}, 1};
        plan->depths = plan->prompts;
    }
    plan->dry = options->dry;
}

static rr_status run(
    rr_bench *bench, const bench_options *options, const rr_bench_plan *named, rr_diag *diag) {
    const rr_engine_params *params = &options->engine.params;
    bench->model_path = params->compute.model_path;
    bench->adapters = params->compute.adapters;
    bench->n_adapters = params->compute.n_adapters;
    RR_TRY(options->json != NULL ? rr_file_out_check(options->json, diag) : RR_OK);
    RR_TRY(options->csv != NULL ? rr_file_out_check(options->csv, diag) : RR_OK);
    RR_TRY(rr_bench_look(bench, params, options->dry, diag));
    make_plan(bench, options, named);
    if (bench->plan.start && !bench->plan.dry) {
        RR_TRY(rr_bench_start(bench, params, diag));
    }
    if (bench->plan.roofs) {
        RR_TRY(rr_bench_roofs(bench, params->compute.validation, diag));
    }
    RR_TRY(rr_bench_points(bench, params, diag));
    if (bench->plan.dry) {
        rr_out_printf("walked through: %s on %s, %.0f of %.0f MiB planned\n", bench->model_name,
            bench->device.name, (double)bench->memory.total_bytes / 1048576.0,
            (double)bench->memory.budget_bytes / 1048576.0);
        return RR_OK;
    }
    rr_bench_print(bench);
    if (options->json != NULL) {
        RR_TRY(rr_bench_write_json(bench, options->json, diag));
    }
    return options->csv != NULL ? rr_bench_write_csv(bench, options->csv, diag) : RR_OK;
}

static int check_files(bench_options *options) {
    rr_cli_files files = {0};
    rr_cli_writes(&files, "--json", options->json);
    rr_cli_writes(&files, "--csv", options->csv);
    rr_cli_engine_files(&options->engine, &files);
    return rr_cli_files_check(&files);
}

int rr_verb_bench(int argc, char **argv) {
    bench_options options = {0};
    rr_bench_plan named = {0};
    const rr_opt points[] = {
        {.name = "prompt",
            .letter = 'p',
            .kind = RR_OPT_TEXT,
            .target = &options.prompts,
            .value = "N,…",
            .help = "prefill of N tokens"},
        {.name = "gen",
            .letter = 'n',
            .kind = RR_OPT_U32,
            .target = &options.gen,
            .value = "N",
            .help = "decode: N tokens, behind --depth, --prompt or 128 tokens",
            .min = 1,
            .max = 4096},
        {.name = "depth",
            .kind = RR_OPT_TEXT,
            .target = &options.depths,
            .value = "N,…",
            .help = "decode behind N tokens"},
        {.name = "batch",
            .letter = 'b',
            .kind = RR_OPT_TEXT,
            .target = &options.batches,
            .value = "N,…",
            .help = "decode passes over N sessions at once, 1 to 32; 1-32 = all counts"},
        {.name = "window",
            .kind = RR_OPT_FLAG,
            .target = &options.window,
            .help = "a window of passages: prompt and short answer"},
        {.name = "start",
            .kind = RR_OPT_FLAG,
            .target = &options.start,
            .help = "the start, from the program's first step to the first token, cold and again"},
        {.name = "roofs",
            .kind = RR_OPT_FLAG,
            .target = &options.roofs,
            .help = "what the device can do at best: copying, arithmetic"},
    };
    const rr_opt how[] = {
        {.name = "rounds",
            .letter = 'r',
            .kind = RR_OPT_U32,
            .target = &options.rounds,
            .value = "N",
            .help =
                "how often a point is measured (default 5; 3 on software devices; fewer where one takes long)",
            .min = 1,
            .max = RR_BENCH_ROUNDS},
        {.name = "kernels",
            .letter = 'k',
            .kind = RR_OPT_FLAG,
            .target = &options.kernels,
            .help = "also where the device's time goes, kernel by kernel"},
        {.name = "json",
            .kind = RR_OPT_TEXT,
            .target = &options.json,
            .value = "FILE",
            .help = "also write all figures there"},
        {.name = "csv",
            .kind = RR_OPT_TEXT,
            .target = &options.csv,
            .value = "FILE",
            .help = "also write a line a point there"},
        {.name = "first-token",
            .kind = RR_OPT_FLAG,
            .target = &options.first_token,
            .help = "open the model, make one token, print nothing: what --start times"},
        {.name = "dry-run",
            .kind = RR_OPT_FLAG,
            .target = &options.dry,
            .help =
                "walk through once and measure nothing: plan, every pipeline, a pass of each kind"},
    };
    const rr_cli_spec spec = {
        .synopsis = "",
        .about =
            "Measures how fast a model runs on a device. Without a choice of points: prefill, decode behind several\n"
            "contexts, decode of 1 to 32 sessions at once, a window, the start, and the device's roofs; a smaller\n"
            "set on software devices.",
        .notes =
            "Rates are tokens a second. GB/s are bytes of weights read, TFLOP/s operations done, both as the model's\n"
            "shape demands them; \"of roof\" is the larger share of what the device was measured to do at best.",
        .groups = {{"Points", points, sizeof points / sizeof points[0]},
            {"How", how, sizeof how / sizeof how[0]}, rr_cli_engine_group(&options.engine)},
    };
    options.engine.params.compute.lift = true;
    rr_cli_args args;
    int code = rr_cli_parse(&spec, argc, argv, &args);
    if (code == RR_CLI_GO_ON) {
        code = read_lists(&options, &named);
    }
    if (code == RR_CLI_GO_ON) {
        code = check_files(&options);
    }
    if (code != RR_CLI_GO_ON) {
        rr_cli_engine_release(&options.engine);
        return code;
    }
    rr_diag diag = {0};
    rr_bench *bench = calloc(1, sizeof *bench);
    rr_status status = bench != NULL ? rr_cli_engine_ready(&options.engine, &diag)
                                     : rr_fail(&diag, RR_E_MEMORY, "out of memory");
    if (status == RR_OK) {
        status = options.first_token ? rr_bench_first_token(&options.engine.params, &diag)
                                     : run(bench, &options, &named, &diag);
    }
    rr_cli_engine_release(&options.engine);
    free(bench);
    return status == RR_OK ? RR_EXIT_OK : rr_cli_fail(status, &diag);
}
