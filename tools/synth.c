/* `rearank synth`: writes a GGUF file in the exact shape of a Qwen2.5 model, with random weights
 * and a made-up vocabulary. Owns: the options and the writing. What stands in the file:
 * tools/synthetic.h. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/base/file_out.h"
#include "runtime/base/hash.h"
#include "tools/cli.h"
#include "tools/synthetic.h"

enum { PIECE_BYTES = 4 << 20, MAX_NAMES = 32 };

typedef struct synth_job {
    rr_synthetic_shape shape;
    const rr_synthetic_type *type;
    uint64_t seed;
    bool hollow;
    rr_file_out file;
    uint64_t done, total; /* bytes of tensors */
    uint8_t *piece;       /* [PIECE_BYTES] */
} synth_job;

static uint64_t n_blocks_of(const rr_synthetic_tensor *tensor) {
    return (uint64_t)tensor->rows *
        (tensor->cols / rr_qtype_get((uint32_t)tensor->type)->block_weights);
}

static uint64_t bytes_of(const rr_synthetic_tensor *tensor) {
    return n_blocks_of(tensor) * rr_qtype_get((uint32_t)tensor->type)->block_bytes;
}

static void add_mean(float mean, uint8_t *floats, size_t n) {
    for (size_t i = 0; i < n; i++) {
        float value;
        memcpy(&value, floats + 4 * i, sizeof value);
        value += mean;
        memcpy(floats + 4 * i, &value, sizeof value);
    }
}

static rr_status write_tensor(synth_job *job, const rr_synthetic_tensor *tensor, rr_diag *diag) {
    static const uint8_t zeros[64];
    const uint64_t block_bytes = rr_qtype_get((uint32_t)tensor->type)->block_bytes;
    const uint64_t n_blocks = n_blocks_of(tensor), at_once = PIECE_BYTES / block_bytes;
    if (job->hollow) {
        return rr_file_out_skip(
            &job->file, bytes_of(tensor) + rr_gw_padding(bytes_of(tensor)), diag);
    }
    for (uint64_t first = 0; first < n_blocks; first += at_once) {
        size_t n = (size_t)(n_blocks - first < at_once ? n_blocks - first : at_once);
        rr_blocks_random(tensor->type, rr_fnv1a(tensor->name, strlen(tensor->name)) ^ job->seed,
            tensor->deviation, first, n, job->piece);
        if (tensor->mean != 0.0f) {
            add_mean(tensor->mean, job->piece, n);
        }
        RR_TRY(rr_file_out_write(&job->file, job->piece, n * block_bytes, diag));
        job->done += n * block_bytes;
        rr_cli_progress(NULL, "write", job->done, job->total);
        if (rr_cli_interrupted()) {
            return rr_fail(diag, RR_E_CANCELLED, "interrupted");
        }
    }
    return rr_file_out_write(&job->file, zeros, (size_t)rr_gw_padding(bytes_of(tensor)), diag);
}

static rr_status check_space(
    const synth_job *job, const char *path, uint64_t head_bytes, rr_diag *diag) {
    const uint64_t needed = job->total + head_bytes;
    uint64_t free_bytes;
    if (job->hollow || !rr_file_out_room(&job->file, &free_bytes) || free_bytes >= needed) {
        return RR_OK; /* where it cannot be told, the write will tell */
    }
    return rr_fail(diag, RR_E_IO,
        "%s: %llu MiB are free there, %llu MiB are needed; free some space, name another place with -o, or make "
        "fewer --layers",
        path, (unsigned long long)(free_bytes >> 20), (unsigned long long)((needed >> 20) + 1));
}

static rr_status write_model(synth_job *job, const char *path, rr_diag *diag) {
    rr_gguf_writer writer = {0};
    rr_buf head = {0};
    rr_synthetic_tensor tensor;
    rr_status status = RR_OK;
    RR_TRY_GOTO(rr_synthetic_keys(&job->shape, job->type, &writer, diag));
    for (size_t i = 0; rr_synthetic_tensor_at(&job->shape, job->type, i, &tensor); i++) {
        const uint64_t dims[2] = {tensor.cols, tensor.rows};
        rr_gw_declare(&writer, tensor.name, tensor.rows == 1 ? 1 : 2, dims, (uint32_t)tensor.type,
            bytes_of(&tensor));
        job->total += bytes_of(&tensor);
    }
    job->piece = malloc(PIECE_BYTES);
    if (rr_gw_head(&writer, &head) != RR_OK || job->piece == NULL) {
        status = rr_fail(diag, RR_E_MEMORY, "out of memory");
        goto fail;
    }
    RR_TRY_GOTO(rr_file_out_open(path, &job->file, diag));
    RR_TRY_GOTO(check_space(job, path, head.bytes, diag));
    RR_TRY_GOTO(rr_file_out_write(&job->file, head.data, head.bytes, diag));
    for (size_t i = 0; rr_synthetic_tensor_at(&job->shape, job->type, i, &tensor); i++) {
        RR_TRY_GOTO(write_tensor(job, &tensor, diag));
    }
    RR_TRY_GOTO(rr_file_out_finish(&job->file, diag));
fail:
    rr_file_out_discard(&job->file);
    rr_buf_destroy(&head);
    rr_buf_destroy(&writer.keys);
    rr_buf_destroy(&writer.infos);
    free(job->piece);
    return status;
}

static void on_interrupt(void *user) {
    (void)user; /* rr_cli_interrupted() is asked between pieces */
}

static int size_index(const char *text) {
    for (int i = 0; rr_synthetic_shape_at((size_t)i) != NULL; i++) {
        if (strcmp(rr_synthetic_shape_at((size_t)i)->name, text) == 0) {
            return i;
        }
    }
    return -1;
}

int rr_verb_synth(int argc, char **argv) {
    synth_job job = {0};
    const char *type_names[MAX_NAMES] = {0};
    char path[256] = "";
    const char *given = NULL;
    uint32_t n_layers = 0;
    int type = 0;
    for (size_t i = 0; i + 1 < MAX_NAMES && rr_synthetic_type_at(i) != NULL; i++) {
        type_names[i] = rr_synthetic_type_at(i)->name;
    }
    const rr_opt options[] = {
        {.name = "type",
            .letter = 't',
            .kind = RR_OPT_CHOICE,
            .target = &type,
            .choices = type_names,
            .help =
                "how weights are stored, as llama.cpp's quantizer names and mixes it (default q4_0)"},
        {.name = "output",
            .letter = 'o',
            .kind = RR_OPT_TEXT,
            .target = &given,
            .value = "FILE",
            .help = "file to write (default: synthetic-SIZE-TYPE.gguf in this folder)"},
        {.name = "layers",
            .kind = RR_OPT_U32,
            .target = &n_layers,
            .value = "N",
            .help =
                "layers instead of the size's own number: a small file with matrices of full size",
            .min = 1,
            .max = 128},
        {.name = "seed",
            .kind = RR_OPT_U64,
            .target = &job.seed,
            .value = "N",
            .help = "other weights; the same seed gives the same file everywhere (default 0)"},
        {.name = "hollow",
            .kind = RR_OPT_FLAG,
            .target = &job.hollow,
            .help = "all weights zero, as a hole that takes no room on the disk: for dry runs"},
    };
    const rr_cli_spec spec = {
        .synopsis = "0.5b|1.5b|3b|7b|14b|tiny",
        .about =
            "Writes a GGUF file in the exact shape of a Qwen2.5 model with random weights and a made-up vocabulary.\n"
            "It cannot rank: it is for measuring speed and memory where no model can be fetched. llama.cpp loads it\n"
            "too. \"tiny\" is no Qwen2.5 size; it is for tests.",
        .min_args = 1,
        .max_args = 1,
        .groups = {rr_cli_options(options)},
    };
    rr_cli_args args;
    int code = rr_cli_parse(&spec, argc, argv, &args);
    if (code != RR_CLI_GO_ON) {
        return code;
    }
    int size = size_index(args.items[0]);
    if (size < 0) {
        return rr_cli_usage_error(
            "found the size \"%s\", expected one of %s", args.items[0], spec.synopsis);
    }
    job.shape = *rr_synthetic_shape_at((size_t)size);
    job.shape.n_layers = n_layers != 0 ? n_layers : job.shape.n_layers;
    job.type = rr_synthetic_type_at((size_t)type);
    snprintf(path, sizeof path, "synthetic-%s-%s.gguf", job.shape.name, job.type->name);
    rr_diag diag = {0};
    rr_cli_on_interrupt(on_interrupt, NULL);
    rr_status status = write_model(&job, given != NULL ? given : path, &diag);
    if (status == RR_OK) {
        rr_out_printf("%s\n", given != NULL ? given : path);
    }
    return status == RR_OK ? RR_EXIT_OK : rr_cli_fail(status, &diag);
}
