/* `rearank isa`: what the driver's compiler made of every kernel that the device can run, in every
 * specialization that models use: registers, spills, occupancy, cycles, and how many of the
 * instructions that kernels are written for are in it. Compiles through the engine's own kernel
 * table, so nothing is compiled otherwise than when it runs. Executes nothing. Owns: the columns,
 * and what the drivers' statistics are called in them. */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "tools/cli.h"
#include "tools/isa.h"

/* A column is the sum of the statistics that stand for it, by any of the names that drivers give
 * them; empty when there is none. */
typedef struct column {
    const char *name;
    const char *statistics[5];
} column;

static const column columns[] = {
    {"registers", {"VGPRs", "Max live registers", "Number of GPRs"}},
    {"spills", {"Spilled VGPRs", "Spilled SGPRs", "Spill Count", "Spills", "Spills to memory"}},
    {"scratch_bytes", {"Scratch size", "Scratch Memory Size", "SLM Size", "SLM size"}},
    {"lds_bytes", {"LDS size", "Workgroup Memory Size"}},
    {"occupancy", {"Subgroups per SIMD", "Max warps/SM"}},
    {"dispatch_width", {"Max dispatch width"}},
    {"instructions", {"Instructions", "Instruction Count", "Instruction count"}},
    {"code_bytes", {"Code size", "Code Size"}},
    {"inverse_throughput", {"Inverse Throughput"}},
    {"cycles", {"Latency", "Cycle Count", "Cycles", "Static cycle count"}},
};

/* Instructions of the assembly that are counted: words that begin so. */
static const char *const instructions[] = {
    "v_dot4", "v_wmma", "dp4a", "dpas", "idp4", "hmma", "imma"};

enum {
    N_COLUMNS = sizeof columns / sizeof columns[0],
    N_INSTRUCTIONS = sizeof instructions / sizeof instructions[0]
};

typedef struct isa {
    const char *device, *caps, *op, *variant, *format;
    bool listing;
    rr_vk_instance *instance;
    rr_vk_device *open;
    rr_kern *kern;
    rr_isa_uses uses;
    size_t n_shown, n_failed;
} isa;

static bool column_value(const column *c, const rr_vk_executable *executable, double *value) {
    bool found = false;
    *value = 0.0;
    for (size_t s = 0; s < executable->n_statistics; s++) {
        for (size_t i = 0;
             i < sizeof c->statistics / sizeof c->statistics[0] && c->statistics[i] != NULL; i++) {
            if (strcmp(executable->statistics[s].name, c->statistics[i]) == 0) {
                *value += executable->statistics[s].value;
                found = true;
            }
        }
    }
    return found;
}

/* The listing nearest to the machine: assembly where there is one. */
static const rr_vk_listing *assembly_of(const rr_vk_executable *executable) {
    for (size_t i = executable->n_listings; i-- > 0;) {
        if (strstr(executable->listings[i].name, "ssembly") != NULL) {
            return &executable->listings[i];
        }
    }
    return NULL;
}

static size_t count_words(const char *text, const char *word) {
    size_t n = 0;
    for (const char *at = text; (at = strstr(at, word)) != NULL; at++) {
        n += at == text || !(isalnum((unsigned char)at[-1]) || at[-1] == '_');
    }
    return n;
}

/* A text as a CSV field. */
static void print_field(const char *text) {
    rr_out_text("\"");
    for (; *text != '\0'; text++) {
        rr_out_printf(*text == '"' ? "\"%c" : "%c", *text);
    }
    rr_out_text("\"");
}

static void print_head(void) {
    rr_out_text("device,driver,op,variant,format,head,key,tile,picked,subgroup");
    for (size_t c = 0; c < N_COLUMNS; c++) {
        rr_out_printf(",%s", columns[c].name);
    }
    for (size_t i = 0; i < N_INSTRUCTIONS; i++) {
        rr_out_printf(",%s", instructions[i]);
    }
    rr_out_text("\n");
}

static const char *format_name(const rr_kern_key *key) {
    return key->format != RR_Q_F32 ? rr_qtype_get(key->format)->name : "";
}

/* The fields behind format and head size as numbers with points; nothing when all are 0. */
static void print_other_fields(const rr_kern_key *key) {
    uint32_t words[sizeof *key / sizeof(uint32_t)]; /* all fields are of 32 bits */
    size_t n = sizeof words / sizeof words[0];
    memcpy(words, key, sizeof *key);
    while (n > 2 && words[n - 1] == 0) {
        n--;
    }
    for (size_t i = 2; i < n; i++) {
        rr_out_printf(i == 2 ? "%u" : ".%u", words[i]);
    }
}

static void print_key(
    const rr_variant *variant, const rr_kern_key *key, uint32_t tile, char separator) {
    rr_out_printf("%s%c%s%c%s%c", rr_op_name(variant->op), separator, variant->name, separator,
        format_name(key), separator);
    if (key->head_size != 0) {
        rr_out_printf("%u", key->head_size);
    }
    rr_out_printf("%c", separator);
    print_other_fields(key);
    rr_out_printf("%c%u", separator, tile);
}

static void print_row(const isa *run, const rr_variant *variant, const rr_isa_use *use,
    uint32_t tile, const rr_vk_executable *executable) {
    const rr_device_info *info = rr_vk_info(run->open);
    const char *picked = rr_pick(variant->op, &use->key, info) != variant ? "no"
        : use->by_default                                                 ? "yes"
                                                                          : "other";
    print_field(info->name);
    rr_out_text(",");
    print_field(info->driver_info);
    rr_out_text(",");
    print_key(variant, &use->key, tile, ',');
    rr_out_printf(",%s,%u", picked, executable->subgroup_size);
    for (size_t c = 0; c < N_COLUMNS; c++) {
        double value;
        bool found = column_value(&columns[c], executable, &value);
        rr_out_text(",");
        if (found) {
            rr_out_printf("%.0f", value);
        }
    }
    const rr_vk_listing *assembly = assembly_of(executable);
    for (size_t i = 0; i < N_INSTRUCTIONS; i++) {
        rr_out_text(",");
        if (assembly != NULL) {
            rr_out_printf("%zu", count_words(assembly->text, instructions[i]));
        }
    }
    rr_out_text("\n");
}

/* Everything that the driver says. */
static void print_listing(const rr_variant *variant, const rr_kern_key *key, uint32_t tile,
    const rr_vk_executable *executable) {
    rr_out_text("==== ");
    print_key(variant, key, tile, ' ');
    rr_out_printf(": %s, subgroup %u\n", executable->name, executable->subgroup_size);
    for (size_t s = 0; s < executable->n_statistics; s++) {
        rr_out_printf(
            "%s: %.0f\n", executable->statistics[s].name, executable->statistics[s].value);
    }
    for (size_t l = 0; l < executable->n_listings; l++) {
        rr_out_printf("---- %s\n%s\n", executable->listings[l].name, executable->listings[l].text);
    }
}

/* One row of the table with one key: all its token tiles. A row that the device cannot run for
 * another reason than its capabilities is named on standard error; one that does not compile is a
 * failure, the others go on. */
static rr_status show(isa *run, const rr_variant *variant, const rr_isa_use *use, rr_diag *diag) {
    const rr_kern_key *key = &use->key;
    if (!rr_kern_pays(variant, key, rr_vk_info(run->open))) {
        rr_log(RR_LOG_WARN, "%s/%s: never chosen on this device", rr_op_name(variant->op),
            variant->name);
        return RR_OK;
    }
    rr_status status = rr_kern_prepare(run->kern, variant->op, key, variant, diag);
    if (status == RR_E_UNSUPPORTED && rr_pick(variant->op, key, rr_vk_info(run->open)) != variant) {
        rr_log(RR_LOG_WARN, "%s/%s: not for this device: %s", rr_op_name(variant->op),
            variant->name, diag->text);
        return RR_OK;
    }
    if (status == RR_E_DEVICE && !rr_vk_is_lost(run->open)) {
        rr_cli_error(
            "%s/%s does not compile: %s", rr_op_name(variant->op), variant->name, diag->text);
        run->n_failed++;
        return RR_OK;
    }
    uint32_t tile = 0;
    const rr_vk_kernel *kernel = NULL;
    for (size_t t = 0; status == RR_OK &&
         (kernel = rr_kern_kernel(run->kern, variant->op, key, variant, t, &tile)) != NULL;
         t++) {
        rr_vk_report report = {0};
        status = rr_vk_kernel_report(run->open, kernel, &report, diag);
        for (size_t e = 0; e < report.n_executables; e++) {
            if (run->listing) {
                print_listing(variant, key, tile, &report.executables[e]);
            } else {
                print_row(run, variant, use, tile, &report.executables[e]);
            }
        }
        rr_vk_report_destroy(&report);
        run->n_shown++;
    }
    return status;
}

/* A row with every key that passes use its op with; an op that is no pass's (it measures) has the
 * empty key. */
static rr_status show_variant(isa *run, const rr_variant *variant, rr_diag *diag) {
    bool used = false;
    for (size_t i = 0; i < run->uses.n; i++) {
        const rr_isa_use *use = &run->uses.items[i];
        if (use->op != variant->op) {
            continue;
        }
        used = true;
        if (run->format == NULL || use->key.format == RR_Q_F32 ||
            strcmp(run->format, format_name(&use->key)) == 0) {
            RR_TRY(show(run, variant, use, diag));
        }
    }
    return used ? RR_OK : show(run, variant, &(rr_isa_use){.op = variant->op}, diag);
}

/* Picks among what can be compiled for, runnable or not. */
static rr_status open_device(isa *run, rr_diag *diag) {
    RR_TRY(rr_vk_instance_create(NULL, &run->instance, diag));
    size_t n = rr_vk_n_devices(run->instance), index = 0;
    rr_device_info *infos = calloc(n + 1, sizeof *infos);
    if (infos == NULL) {
        return rr_fail(diag, RR_E_MEMORY, "out of memory for the list of devices");
    }
    for (size_t i = 0; i < n; i++) {
        infos[i] = *rr_vk_device_info_at(run->instance, i);
        infos[i].usable |= rr_vk_can_compile(run->instance, i);
    }
    rr_vk_device_params params = {.statistics = true};
    rr_status status = rr_vk_pick(infos, n, run->device, &index, diag);
    if (status == RR_OK) {
        const char *mask = run->caps != NULL ? run->caps : getenv("REARANK_CAPS");
        status = rr_caps_mask(infos[index].caps, mask, &params.caps, diag);
    }
    free(infos);
    RR_TRY(status);
    return rr_vk_device_open_with(run->instance, index, &params, &run->open, diag);
}

static rr_status show_all(isa *run, rr_diag *diag) {
    rr_status status = RR_OK;
    size_t n;
    const rr_variant *variants = rr_variants(&n);
    RR_TRY_GOTO(open_device(run, diag));
    RR_TRY_GOTO(rr_isa_list_uses(run->open, &run->uses, diag));
    RR_TRY_GOTO(rr_kern_create(run->open, &run->kern, diag));
    if (!run->listing) {
        print_head();
    }
    for (size_t i = 0; i < n; i++) {
        const rr_variant *v = &variants[i];
        if ((v->caps & ~rr_vk_info(run->open)->caps) == 0 &&
            (run->op == NULL || strcmp(run->op, rr_op_name(v->op)) == 0) &&
            (run->variant == NULL || strcmp(run->variant, v->name) == 0)) {
            RR_TRY_GOTO(show_variant(run, v, diag));
        }
    }
    if (run->n_shown == 0 && run->n_failed == 0) {
        status = rr_fail(
            diag, RR_E_USAGE, "no kernel for this device is called so; `rearank info` lists them");
    }
fail:
    free(run->uses.items);
    rr_kern_destroy(&run->kern);
    rr_vk_device_close(&run->open);
    rr_vk_instance_destroy(&run->instance);
    return status;
}

int rr_verb_isa(int argc, char **argv) {
    isa run = {0};
    const rr_opt options[] = {
        {.name = "op",
            .kind = RR_OPT_TEXT,
            .target = &run.op,
            .value = "OP",
            .help = "only this op"},
        {.name = "variant",
            .kind = RR_OPT_TEXT,
            .target = &run.variant,
            .value = "NAME",
            .help = "only kernel variants of this name"},
        {.name = "format",
            .kind = RR_OPT_TEXT,
            .target = &run.format,
            .value = "FORMAT",
            .help = "only this weight format, as Q4_0"},
        {.name = "listing",
            .kind = RR_OPT_FLAG,
            .target = &run.listing,
            .help = "print all statistics and the driver's own listings, down to the assembly"},
        {.name = "device",
            .letter = 'd',
            .kind = RR_OPT_TEXT,
            .target = &run.device,
            .value = "DEVICE",
            .help =
                "index, UUID or part of the name of a device of `rearank devices` (default: the best)"},
        {.name = "caps",
            .kind = RR_OPT_TEXT,
            .target = &run.caps,
            .value = "MASK",
            .help = "capabilities not to use, such as -coop,-dot or none (default: $REARANK_CAPS)"},
    };
    const rr_cli_spec spec = {
        .synopsis = "",
        .about =
            "Compiles every kernel that the device can run, in every specialization that models of 0.5B and 7B in\n"
            "the usual weight formats use, and prints what the driver's compiler says of it, as CSV. Nothing is\n"
            "executed and no model is needed. Works where the driver has VK_KHR_pipeline_executable_properties.",
        .notes =
            "Columns: what the driver does not tell is empty. picked: yes when the engine runs this row here, other when\n"
            "only another --graph or --exact does. registers, occupancy (subgroups a SIMD unit can hold, on NVIDIA an SM),\n"
            "inverse_throughput and cycles are the driver's own figures: compare them on one version of one driver only. The\n"
            "last columns count instructions in the assembly.\n",
        .groups = {rr_cli_options(options)},
    };
    rr_cli_args args;
    int code = rr_cli_parse(&spec, argc, argv, &args);
    if (code != RR_CLI_GO_ON) {
        return code;
    }
    rr_diag diag = {0};
    rr_status status = show_all(&run, &diag);
    if (status != RR_OK) {
        return rr_cli_fail(status, &diag);
    }
    return run.n_failed == 0 ? RR_EXIT_OK : RR_EXIT_FAILURE;
}
