#include "runtime/model/source_internal.h"

void rr_source_close(rr_source **source) {
    if (*source != NULL) {
        (*source)->reader->close(*source);
        *source = NULL;
    }
}

const char *rr_source_path(const rr_source *source) {
    return source->path;
}

const char *rr_source_stem(const rr_source *source) {
    return source->stem;
}

rr_text rr_source_name(const rr_source *source) {
    return source->reader->name(source);
}

rr_text rr_source_about(const rr_source *source) {
    return source->reader->about(source);
}

rr_status rr_source_config(const rr_source *source, rr_model_config *out, rr_diag *diag) {
    return source->reader->config(source, out, diag);
}

rr_status rr_source_weight(rr_source *source, rr_role role, uint32_t layer, uint32_t rows,
    uint32_t cols, rr_weight *out, rr_diag *diag) {
    return source->reader->weight(source, role, layer, rows, cols, out, diag);
}

rr_status rr_source_finish(const rr_source *source, rr_diag *diag) {
    return source->reader->finish(source, diag);
}

rr_status rr_source_tokens(const rr_source *source, rr_token_list *out, rr_diag *diag) {
    return source->reader->tokens(source, out, diag);
}

rr_status rr_source_keys(const rr_source *source, rr_gguf_writer *writer, rr_diag *diag) {
    return source->reader->keys(source, writer, diag);
}

void rr_source_drop_pages(const rr_source *source) {
    source->reader->drop_pages(source);
}

bool rr_source_file_at(const rr_source *source, size_t index, rr_source_file *out) {
    return source->reader->file_at(source, index, out);
}

bool rr_source_tensor_at(
    const rr_source *source, size_t index, const uint8_t **data, uint64_t *bytes) {
    return source->reader->tensor_at(source, index, data, bytes);
}

rr_status rr_token_list_allocate(
    rr_token_list *list, uint32_t n, uint32_t n_merges, rr_diag *diag) {
    list->n = n;
    list->n_merges = n_merges;
    list->texts = rr_arena_alloc(&list->arena, (size_t)n + 1, sizeof *list->texts);
    list->kinds = rr_arena_alloc(&list->arena, (size_t)n + 1, sizeof *list->kinds);
    list->merges = rr_arena_alloc(&list->arena, (size_t)n_merges + 1, sizeof *list->merges);
    if (list->texts == NULL || list->kinds == NULL || list->merges == NULL) {
        return rr_fail(diag, RR_E_MEMORY, "out of memory for a vocabulary of %u tokens", n);
    }
    return RR_OK;
}

void rr_token_list_destroy(rr_token_list *list) {
    rr_arena_destroy(&list->arena);
    *list = (rr_token_list){0};
}

bool rr_token_is_chat(rr_text text) {
    return rr_text_is(text, "<|im_start|>") || rr_text_is(text, "<|im_end|>") ||
        rr_text_is(text, "<|endoftext|>");
}
