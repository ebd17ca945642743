/* `rearank check`: the kernel checker on the user's device. Owns: the wording of its report's
 * end. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "tests/checkgpu/checkgpu.h"
#include "tools/cli.h"

static void line(void *user, const char *text) {
    (void)user;
    rr_out_text(text);
    rr_out_text("\n");
    rr_out_flush();
}

static bool read_shape(const char *text, rr_coop_shape *out) {
    int end = 0;
    return strspn(text, "0123456789x") == strlen(text) &&
        sscanf(text, "%2ux%2ux%2u%n", &out->m, &out->n, &out->k, &end) == 3 && text[end] == '\0' &&
        out->m - 1 < 64 && out->n - 1 < 64 && out->k - 1 < 64;
}

int rr_verb_check(int argc, char **argv) {
    rr_checkgpu_params params = {.line = line, .seed = 1};
    const char *coop = NULL;
    const rr_opt options[] = {
        {.name = "op",
            .kind = RR_OPT_TEXT,
            .target = &params.op,
            .value = "OP",
            .help = "only this op"},
        {.name = "variant",
            .kind = RR_OPT_TEXT,
            .target = &params.variant,
            .value = "NAME",
            .help = "only kernel variants of this name"},
        {.name = "format",
            .kind = RR_OPT_TEXT,
            .target = &params.format,
            .value = "FORMAT",
            .help = "of matmul_* only weights of this format, such as Q4_0"},
        {.name = "device",
            .kind = RR_OPT_TEXT,
            .target = &params.device,
            .value = "DEVICE",
            .help = "index, part of the name or UUID (see `rearank devices`)"},
        {.name = "caps",
            .kind = RR_OPT_TEXT,
            .target = &params.caps,
            .value = "MASK",
            .help =
                "capabilities to do without, as \"-f16,-dot\" or \"none\"; \"+coop\" = to use whatever is known of them "
                "(default: $REARANK_CAPS)"},
        {.name = "coop",
            .kind = RR_OPT_TEXT,
            .target = &coop,
            .value = "MxNxK",
            .help =
                "matrices of this size, where the driver has it or takes any (default: of the driver's list)"},
        {.name = "seed",
            .kind = RR_OPT_U64,
            .target = &params.seed,
            .value = "N",
            .help = "seed of the random operands (default 1)",
            .min = 1,
            .max = 9007199254740992.0},
        {.name = "full",
            .kind = RR_OPT_FLAG,
            .target = &params.full,
            .help =
                "also the big matrices and every set of capabilities; needs up to 4 GiB of memory"},
        {.name = "bench",
            .kind = RR_OPT_FLAG,
            .target = &params.bench,
            .help = "measure the kernels' speed instead"},
        {.name = "validation",
            .kind = RR_OPT_FLAG,
            .target = &params.validation,
            .help = "with the Vulkan validation layers"},
    };
    const rr_cli_spec spec = {
        .synopsis = "",
        .about =
            "Runs every kernel of this program on the device and compares the results with a plain C reference.\n"
            "A device that passes computes what the model means; one that does not has a faulty driver or has\n"
            "found a fault of ours: please report the lines that say FAILED.",
        .groups = {rr_cli_options(options)},
    };
    rr_cli_args args;
    int code = rr_cli_parse(&spec, argc, argv, &args);
    if (code != RR_CLI_GO_ON) {
        return code;
    }
    if (coop != NULL && !read_shape(coop, &params.coop)) {
        return rr_cli_usage_error(
            "--coop: found \"%s\", expected sides from 1 to 64 such as 16x16x16", coop);
    }
    rr_diag diag = {0};
    rr_checkgpu_result result;
    rr_status status = rr_checkgpu_run(&params, &result, &diag);
    if (status != RR_OK) {
        return rr_cli_fail(status, &diag);
    }
    if (!params.bench) {
        rr_out_printf("%zu cases, %zu failed, %" PRIu64 " validation messages\n", result.n_cases,
            result.n_failed, result.n_validation_messages);
    }
    return result.n_failed == 0 && result.n_validation_messages == 0 ? RR_EXIT_OK : RR_EXIT_FAILURE;
}
