/* pick() on recorded devices: pure functions, no GPU. Every op has a row that needs nothing; the
 * choices on every device, with and without masks, are those of tests/data/choices.txt
 * (`compute_pick --update` writes that file anew: what a change of rows changes is then seen in its
 * difference). */
#include <stdlib.h>

#include "runtime/base/file.h"
#include "runtime/base/file_out.h"
#include "runtime/compute/graph_choice.h"
#include "runtime/compute/kern.h"
#include "shaders/matmul_q8.h"
#include "tests/check.h"
#include "tests/support/devices.h"
#include "tests/support/synth.h"

static const char *choices_path = "tests/data/choices.txt";
static const char *const masks[] = {
    NULL, "-coop", "-coop,-coop-int8", "-coop,-coop-int8,-dot", "none"};
enum { N_MASKS = sizeof masks / sizeof masks[0] };

/* "none" for an op that has no row for the device. */
static const char *picked(rr_op op, const rr_device_info *device) {
    const rr_kern_key key = {.format = RR_Q_Q4_0, .head_size = 128};
    const rr_variant *variant = rr_pick(op, &key, device);
    return variant != NULL ? variant->name : "none";
}

/* Does this build have the row? Rows that its glslc cannot compile are left out. */
static bool has_row(rr_op op, const char *name) {
    size_t n;
    const rr_variant *rows = rr_variants(&n);
    for (size_t i = 0; i < n; i++) {
        if (rows[i].op == op && strcmp(rows[i].name, name) == 0) {
            return true;
        }
    }
    return false;
}

/* What needs no mention: the row that needs nothing; ops of some devices only have none. */
static const char *usual(rr_op op) {
    size_t n;
    const rr_variant *rows = rr_variants(&n);
    for (size_t i = 0; i < n; i++) {
        if (rows[i].op == op && rows[i].caps == RR_CAP_NONE) {
            return rows[i].name;
        }
    }
    return "none";
}

static void test_device(const rr_device_info *device, const char *file) {
    for (int op = 0; op < RR_OP_COUNT; op++) {
        rr_device_info bare = *device;
        bare.caps = 0;
        CHECK_TEXT(picked((rr_op)op, &bare), usual((rr_op)op));
        const rr_kern_key key = {.format = RR_Q_Q4_0, .head_size = 128};
        const rr_variant *best = rr_pick((rr_op)op, &key, device);
        CHECK_MSG(best == NULL || (best->caps & ~device->caps) == 0,
            "%s: %s/%s needs what the device lacks", file, rr_op_name((rr_op)op), best->name);
    }
}

/* "DEVICE MASK OP=VARIANT …": every op whose choice is not the usual one. */
static void write_choices(
    rr_buf *out, const char *name, const rr_device_info *device, const char *mask) {
    rr_buf_printf(out, "%s %s", name, mask != NULL ? mask : "all");
    for (int op = 0; op < RR_OP_COUNT; op++) {
        const char *variant = picked((rr_op)op, device);
        if (strcmp(variant, usual((rr_op)op)) != 0) {
            rr_buf_printf(out, " %s=%s", rr_op_name((rr_op)op), variant);
        }
    }
    rr_buf_text(out, "\n");
}

/* The variant of an op in a line of the file. */
static void expected_choice(const char *line, rr_op id, char *out, size_t bytes) {
    const char *op = rr_op_name(id);
    const size_t n_line = strcspn(line, "\n"), n_op = strlen(op);
    snprintf(out, bytes, "%s", usual(id));
    for (const char *at = line; (at = strchr(at, ' ')) != NULL && at < line + n_line; at++) {
        if (strncmp(at + 1, op, n_op) == 0 && at[1 + n_op] == '=') {
            snprintf(out, bytes, "%.*s", (int)strcspn(at + 2 + n_op, " \n"), at + 2 + n_op);
            return;
        }
    }
}

static void check_choices(
    const char *file, const char *name, const rr_device_info *device, const char *mask) {
    char head[300];
    snprintf(head, sizeof head, "\n%s %s", name, mask != NULL ? mask : "all");
    const char *line = strstr(file, head);
    while (line != NULL && line[strlen(head)] != ' ' && line[strlen(head)] != '\n') {
        line = strstr(line + 1, head);
    }
    CHECK_MSG(
        line != NULL, "%s has no line \"%s\": run compute_pick --update", choices_path, head + 1);
    for (int op = 0; line != NULL && op < RR_OP_COUNT; op++) {
        char expected[64];
        expected_choice(line + 1, (rr_op)op, expected, sizeof expected);
        if (strcmp(expected, "none") != 0 && !has_row((rr_op)op, expected)) {
            continue;
        }
        CHECK_MSG(strcmp(picked((rr_op)op, device), expected) == 0,
            "%s %s: %s/%s is chosen, expected %s (a wanted change: run compute_pick --update)",
            name, mask != NULL ? mask : "all", rr_op_name((rr_op)op), picked((rr_op)op, device),
            expected);
    }
}

/* What a file's matrices and heads allow: the plain graph all, the int8 graph of GPUs groups with
 * scales in every matrix, the one of software devices heads of 64 and more besides. */
typedef struct graph_model {
    const char *what;
    rr_synth synth;
    bool groups, wide_heads;
} graph_model;

#define ALL_Q8                                                                     \
    .embedding = RR_Q_Q8_0, .output = RR_Q_Q8_0, .qkv = RR_Q_Q8_0, .o = RR_Q_Q8_0, \
    .gate_up = RR_Q_Q8_0, .down = RR_Q_Q8_0
static const graph_model graph_models[] = {{"Q8_0", {ALL_Q8, .head_size = 64}, true, true},
    {"mixed, heads of 128",
        {.embedding = RR_Q_Q5_0,
            .output = RR_Q_Q4_1,
            .qkv = RR_Q_Q5_1,
            .o = RR_Q_Q4_0,
            .gate_up = RR_Q_Q8_0,
            .down = RR_Q_Q5_0,
            .head_size = 128},
        true, true},
    {"float embedding",
        {.output = RR_Q_Q8_0,
            .qkv = RR_Q_Q8_0,
            .o = RR_Q_Q8_0,
            .gate_up = RR_Q_Q8_0,
            .down = RR_Q_Q8_0,
            .head_size = 64},
        true, true},
    {"float embedding that is the head too",
        {.qkv = RR_Q_Q8_0,
            .o = RR_Q_Q8_0,
            .gate_up = RR_Q_Q8_0,
            .down = RR_Q_Q8_0,
            .head_size = 64,
            .tied = true},
        false, true},
    {"float head",
        {.embedding = RR_Q_Q8_0,
            .qkv = RR_Q_Q8_0,
            .o = RR_Q_Q8_0,
            .gate_up = RR_Q_Q8_0,
            .down = RR_Q_Q8_0,
            .head_size = 64},
        false, true},
    {"one float matrix a layer",
        {.embedding = RR_Q_Q8_0,
            .output = RR_Q_Q8_0,
            .qkv = RR_Q_Q8_0,
            .o = RR_Q_F16,
            .gate_up = RR_Q_Q8_0,
            .down = RR_Q_Q8_0,
            .head_size = 64},
        false, true},
    {"floats", {.head_size = 64}, false, true},
    {"heads of 32", {ALL_Q8, .head_size = 32}, true, false},
    {"heads of 16", {ALL_Q8, .head_size = 16}, true, false}};

static rr_graph_kind expected_graph(const graph_model *m, const rr_device_info *info) {
    const uint32_t needed = RR_CAP_CPU | RR_CAP_SUBGROUP | RR_CAP_INT64;
    const bool lanes =
        (info->caps & needed) == needed && (info->subgroup_size == 8 || info->subgroup_size == 16);
    if (m->groups && m->wide_heads && lanes) {
        return RR_GRAPH_LANES;
    }
    const uint32_t products = RR_CAP_DOT | RR_CAP_INT64 | RR_CAP_SUBGROUP;
    const bool built =
        has_row(RR_OP_matmul_q8_prefill, "dot") && has_row(RR_OP_matmul_q8_decode, "dot");
    const bool runs =
        (built && (info->caps & products) == products) || (info->caps & RR_CAP_CPU) != 0;
    const bool pays = (info->caps & (RR_CAP_DOT | RR_CAP_COOP_INT8)) != 0;
    return m->groups && runs && pays ? RR_GRAPH_Q8 : RR_GRAPH_PLAIN;
}

/* The graph of every device for every such model: with its own and with other subgroups, with each
 * capability taken away. */
static void test_graph(
    const graph_model *m, const rr_model *model, const rr_device_info *device, const char *name) {
    static const rr_compute_params by_itself = {0}, exact = {.exact = true},
                                   exact_lanes = {.exact = true, .graph = "lanes"};
    const uint32_t widths[] = {device->subgroup_size, 4, 8, 16, 32, 64};
    for (size_t w = 0; w < sizeof widths / sizeof widths[0]; w++) {
        rr_device_info as = *device;
        as.subgroup_size = as.subgroup_size_min = as.subgroup_size_max = widths[w];
        for (int bit = -1; bit < RR_CAP_COUNT; bit++) {
            as.caps = bit < 0 ? device->caps : device->caps & ~(1u << bit);
            rr_graph_kind found = rr_graph_choose(model, &as, &by_itself),
                          expected = expected_graph(m, &as);
            CHECK_MSG(found == expected, "%s with %u lanes without %s, %s: graph %d, expected %d",
                name, widths[w], bit < 0 ? "nothing" : rr_cap_text((rr_cap_bit)bit), m->what,
                (int)found, (int)expected);
            CHECK_INT(rr_graph_choose(model, &as, &exact), RR_GRAPH_PLAIN);
            CHECK_INT(rr_graph_choose(model, &as, &exact_lanes), RR_GRAPH_PLAIN);
        }
    }
    CHECK_TEXT(rr_graph_name(model, device, &exact), "plain");
}

static void test_graphs(const rr_device_info *device, const char *name) {
    for (size_t i = 0; i < sizeof graph_models / sizeof graph_models[0]; i++) {
        rr_diag diag = {0};
        rr_buf storage = {0};
        rr_model *model = NULL;
        CHECK_OK(rr_synth_open(&graph_models[i].synth, &storage, &model, &diag), diag);
        if (model != NULL) {
            test_graph(&graph_models[i], model, device, name);
            rr_model_close(&model);
        }
        rr_buf_destroy(&storage);
    }
}

/* Of the software devices recorded, lavapipe (8 lanes) runs lanes and SwiftShader (4) plain. */
static void test_graph_of(
    const rr_model *quantized, const rr_device_info *device, const char *name) {
    const char *found = rr_graph_name(quantized, device, &(rr_compute_params){0});
    if (device->type == RR_DEVICE_CPU) {
        CHECK_TEXT(found, strncmp(name, "llvmpipe", 8) == 0 ? "lanes" : "plain");
    } else {
        CHECK_MSG(strcmp(found, "lanes") != 0, "%s runs the graph of software devices", name);
    }
}

/* A device with matrices of one size. */
typedef struct matrix_device {
    const char *name;
    uint32_t subgroup_min, subgroup_max, shared_bytes;
    rr_coop_shape size;
    /* whether attention takes heads of 128, int8 products Q6_K; whether f16 products are chosen */
    bool heads_128, q6_k, pays;
} matrix_device;

static void test_matrix_device(const matrix_device *m) {
    const rr_coop_shapes list = {.at = {m->size}, .n = 1};
    rr_device_info info = {
        .caps = RR_CAP_COOP | RR_CAP_COOP_INT8 | RR_CAP_F16 | RR_CAP_SUBGROUP | RR_CAP_INT64,
        .subgroup_size = m->subgroup_min,
        .subgroup_size_min = m->subgroup_min,
        .subgroup_size_max = m->subgroup_max,
        .shared_memory_bytes = m->shared_bytes,
        .max_workgroup_invocations = 1024,
        .coop_f16 = list,
        .coop_int8 = list};
    size_t n;
    const rr_variant *rows = rr_variants(&n);
    for (size_t i = 0; i < n; i++) {
        const bool f16 = strcmp(rows[i].name, "coop_f16") == 0;
        if (rows[i].op == RR_OP_attention_prefill && strcmp(rows[i].name, "coop") == 0) {
            CHECK_MSG(rr_kern_fits(&rows[i], &(rr_kern_key){.head_size = 64}, &info),
                "%s: heads of 64", m->name);
            CHECK_MSG(
                rr_kern_fits(&rows[i], &(rr_kern_key){.head_size = 128}, &info) == m->heads_128,
                "%s: heads of 128", m->name);
            CHECK_MSG(!rr_kern_fits(&rows[i], &(rr_kern_key){.head_size = 32}, &info),
                "%s: heads of 32", m->name);
        } else if (rows[i].op == RR_OP_matmul_q8_prefill &&
            (f16 || strcmp(rows[i].name, "coop") == 0)) {
            const rr_kern_key q4 = {.format = RR_Q_Q4_K, .end = RR_END_SWIGLU},
                              q6 = {.format = RR_Q_Q6_K, .end = RR_END_F32};
            CHECK_MSG(rr_kern_fits(&rows[i], &q4, &info), "%s: %s of Q4_K", m->name, rows[i].name);
            CHECK_MSG(rr_kern_fits(&rows[i], &q6, &info) == m->q6_k, "%s: %s of Q6_K", m->name,
                rows[i].name);
            info.lifted = 0;
            CHECK_MSG(rr_kern_pays(&rows[i], &q4, &info) == (!f16 || m->pays), "%s: %s pays",
                m->name, rows[i].name);
            info.lifted = RR_CAP_COOP;
            CHECK_MSG(
                rr_kern_pays(&rows[i], &q4, &info), "%s: %s, lifted, pays", m->name, rows[i].name);
        }
    }
}

/* Every size that drivers list has kernels, in 32 KB of shared memory too. */
static void test_matrices(void) {
    static const matrix_device devices[] = {{"software", 8, 8, 32768, {8, 8, 8}, true, true, false},
        {"software as Intel", 8, 8, 32768, {8, 16, 16}, true, true, false},
        {"software as Intel, int8", 8, 8, 32768, {8, 16, 32}, true, false, false},
        {"software as AMD", 8, 8, 32768, {16, 16, 16}, true, true, false},
        {"software as NVIDIA", 8, 8, 32768, {16, 8, 16}, true, true, false},
        {"AMD", 32, 64, 65536, {16, 16, 16}, true, true, true},
        {"AMD, subgroups of 64 alone", 64, 64, 65536, {16, 16, 16}, true, true, true},
        {"Intel before Xe2", 8, 32, 65536, {8, 8, 16}, true, true, false},
        {"Intel from Xe2 on", 16, 32, 131072, {8, 16, 16}, true, true, false},
        {"NVIDIA", 32, 32, 49152, {16, 16, 16}, true, true, true},
        {"NVIDIA, int8", 32, 32, 49152, {16, 16, 32}, true, false, false},
        {"NVIDIA, narrow", 32, 32, 49152, {16, 8, 16}, true, true, false},
        {"NVIDIA, Turing", 32, 32, 49152, {16, 8, 8}, true, true, false}};
    for (size_t i = 0; i < sizeof devices / sizeof devices[0]; i++) {
        test_matrix_device(&devices[i]);
    }
    const rr_coop_shape odd[] = {
        {4, 4, 4}, {8, 8, 4}, {64, 8, 8}, {8, 8, 64}, {24, 8, 8}, {0, 0, 0}};
    for (size_t i = 0; i < sizeof odd / sizeof odd[0]; i++) {
        const rr_device_info info = {.caps = RR_CAP_COOP | RR_CAP_F16 | RR_CAP_SUBGROUP,
            .subgroup_size = 32,
            .subgroup_size_min = 32,
            .subgroup_size_max = 32,
            .shared_memory_bytes = 65536,
            .max_workgroup_invocations = 1024,
            .coop_f16 = {.at = {odd[i]}, .n = 1}};
        const rr_variant *variant =
            rr_pick(RR_OP_attention_prefill, &(rr_kern_key){.head_size = 64}, &info);
        CHECK_MSG(variant != NULL && strcmp(variant->name, "coop") != 0, "matrices of %ux%ux%u",
            odd[i].m, odd[i].n, odd[i].k);
    }
}

typedef struct visitor {
    const rr_model *quantized;
    const char *file; /* NULL: written to `out` */
    rr_buf out;
} visitor;

static void visit(void *user, const char *name, const rr_device_info *device) {
    visitor *v = user;
    rr_diag diag = {0};
    test_device(device, name);
    test_graphs(device, name);
    test_graph_of(v->quantized, device, name);
    for (int m = 0; m < N_MASKS; m++) {
        rr_device_info masked = *device;
        CHECK_OK(rr_caps_mask(device->caps, masks[m], &masked.caps, &diag), diag);
        if (v->file == NULL) {
            write_choices(&v->out, name, &masked, masks[m]);
        } else {
            check_choices(v->file, name, &masked, masks[m]);
        }
    }
}

/* SPIR-V: the first word of an instruction is its length and its opcode. */
enum {
    SPV_HEADER = 5,
    SPV_TYPE_POINTER = 32,
    SPV_DECORATE = 71,
    SPV_DECORATE_MEMBER = 72,
    SPV_BLOCK = 2,
    SPV_COHERENT = 23,
    SPV_NON_WRITABLE = 24,
    SPV_PHYSICAL_STORAGE_BUFFER = 5349
};

/* Whether the module has an instruction that goes on with these words. */
static bool has_words(const rr_module *module, uint32_t opcode, const uint32_t *words, size_t n) {
    const uint32_t *w = module->spirv;
    for (size_t i = SPV_HEADER; i < module->bytes / 4; i += w[i] >> 16) {
        if ((w[i] & 0xFFFF) == opcode && memcmp(&w[i + 1], words, n * sizeof *words) == 0) {
            return true;
        }
    }
    return false;
}

static bool is_block(const rr_module *module, uint32_t structure) {
    return has_words(module, SPV_DECORATE, (const uint32_t[]){structure, SPV_BLOCK}, 2);
}

static bool has_member_0(const rr_module *module, uint32_t structure, uint32_t decoration) {
    return has_words(module, SPV_DECORATE_MEMBER, (const uint32_t[]){structure, 0, decoration}, 3);
}

/* Where the workgroups of a dispatch hand each other results, all memory that they write is
 * coherent. (Other kernels that do so declare apart what they hand over.) */
static void test_coherence(void) {
    size_t n, n_buffers = 0;
    const rr_variant *rows = rr_variants(&n);
    for (size_t r = 0; r < n; r++) {
        const rr_module *module = &rows[r].module;
        const uint32_t *w = module->spirv;
        for (size_t i = SPV_HEADER; rows[r].op == RR_OP_lanes_layer && i < module->bytes / 4;
             i += w[i] >> 16) {
            if ((w[i] & 0xFFFF) == SPV_TYPE_POINTER && w[i + 2] == SPV_PHYSICAL_STORAGE_BUFFER &&
                is_block(module, w[i + 3])) {
                n_buffers++;
                CHECK_MSG(has_member_0(module, w[i + 3], SPV_COHERENT) ||
                        has_member_0(module, w[i + 3], SPV_NON_WRITABLE),
                    "lanes_layer: structure %u is not coherent", w[i + 3]);
            }
        }
    }
    CHECK((n_buffers >= 7) == has_row(RR_OP_lanes_layer, "cpu"));
}

int main(int argc, char **argv) {
    const bool update = argc > 1 && strcmp(argv[1], "--update") == 0;
    rr_diag diag = {0};
    rr_buf quantized_storage = {0}, file = {0};
    rr_model *quantized = NULL;
    visitor v = {0};
    size_t n_devices = 0;
    const rr_synth quantized_synth = {.n_context = 512,
        .head_size = 64,
        .embedding = RR_Q_Q8_0,
        .output = RR_Q_Q5_0,
        .qkv = RR_Q_Q5_0,
        .o = RR_Q_Q4_0,
        .gate_up = RR_Q_Q4_1,
        .down = RR_Q_Q8_0};
    CHECK_OK(rr_synth_open(&quantized_synth, &quantized_storage, &quantized, &diag), diag);
    if (!update) {
        CHECK_OK(rr_file_read(choices_path, 1 << 20, &file, &diag), diag);
        v.file = file.data != NULL ? file.data : "";
    }
    v.quantized = quantized;
    rr_buf_text(&v.out,
        "# The rows of variants.def that pick() chooses on recorded devices where it is not base, by "
        "capability mask (Q4_0, heads of 128).\n# Written by `compute_pick --update`.\n");
    test_coherence();
    test_matrices();
    CHECK_OK(rr_devices_visit(visit, &v, &n_devices, &diag), diag);
    CHECK_MSG(n_devices >= 20, "%zu recorded devices, expected at least 20", n_devices);
    if (update) {
        CHECK_OK(rr_file_write_atomic(choices_path, v.out.data, v.out.bytes, &diag), diag);
    }
    rr_model_close(&quantized);
    rr_buf_destroy(&quantized_storage);
    rr_buf_destroy(&file);
    rr_buf_destroy(&v.out);
    return CHECK_END();
}
