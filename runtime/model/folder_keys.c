/* What a Hugging Face folder says, as the keys of a GGUF file. */
#include <string.h>

#include "runtime/model/folder_internal.h"
#include "runtime/model/gguf_names.h"

/* Its own name, or that of the folder. */
static rr_text name_of(const rr_source *source) {
    const rr_text name = rr_source_name(source);
    const char *slash = strrchr(source->path, '/');
    const char *last = slash != NULL && slash[1] != '\0' ? slash + 1 : source->path;
    return name.bytes > 0 ? name : (rr_text){last, strlen(last)};
}

static rr_status put_tokens(const rr_source *source, rr_gguf_writer *writer, rr_diag *diag) {
    rr_token_list list = {0};
    rr_status status = rr_source_tokens(source, &list, diag);
    if (status == RR_OK) {
        status = rr_gguf_put_tokens(&list, writer, diag);
    }
    rr_token_list_destroy(&list);
    return status;
}

rr_status rr_folder_keys(const rr_source *source, rr_gguf_writer *writer, rr_diag *diag) {
    const rr_folder *folder = (const rr_folder *)source;
    rr_model_config config;
    RR_TRY(rr_source_config(source, &config, diag));
    if (config.yarn.factor != 0.0) {
        return rr_fail(diag, RR_E_UNSUPPORTED,
            "%s: rope_scaling: yarn found, which GGUF files are not read with: remove it from the "
            "configuration for the model's own context",
            folder->config.label);
    }
    rr_gguf_put_config(&config, writer);
    rr_gw_text(writer, KEY_NAME, name_of(source));
    RR_TRY(put_tokens(source, writer, diag));
    rr_buf text = {0};
    rr_status status = rr_folder_template(folder, &text, diag);
    if (status == RR_OK && text.bytes > 0) {
        rr_gw_text(writer, KEY_CHAT_TEMPLATE, (rr_text){text.data, text.bytes});
    }
    rr_buf_destroy(&text);
    if (status == RR_OK && writer->keys.failed) {
        status = rr_fail(diag, RR_E_MEMORY, "out of memory");
    }
    return status;
}
