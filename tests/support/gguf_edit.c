#include "tests/support/gguf_edit.h"

#include "runtime/model/gguf.h"
#include "runtime/model/gguf_writer.h"

#include <string.h>

static void name_of(rr_text text, char *out, size_t size) {
    size_t n = text.bytes < size - 1 ? text.bytes : size - 1;
    memcpy(out, text.data, n);
    out[n] = '\0';
}

static bool is(rr_text text, const char *other) {
    return other != NULL && rr_text_is(text, other);
}

static void copy_tensor(
    rr_gguf_writer *writer, const rr_gguf_tensor *tensor, const rr_gguf_edit *edit) {
    char name[256];
    bool changed = is(tensor->name, edit->edit_tensor);
    name_of(tensor->name, name, sizeof name);
    bool reshaped = changed && edit->new_n_dims > 0;
    rr_gw_tensor(writer, changed && edit->new_name != NULL ? edit->new_name : name,
        reshaped ? edit->new_n_dims : tensor->n_dims, reshaped ? edit->new_dims : tensor->dims,
        changed && edit->change_type ? edit->new_type : tensor->type, tensor->data,
        (size_t)tensor->bytes);
}

rr_status rr_gguf_edited(const rr_buf *file, const rr_gguf_edit *edit, rr_buf *out, rr_diag *diag) {
    rr_gguf *gguf = NULL;
    RR_TRY(rr_gguf_parse(file->data, file->bytes, "model to edit", &gguf, diag));
    rr_gguf_writer writer = {0};
    for (size_t i = 0; i < rr_gguf_n_values(gguf); i++) {
        const rr_gguf_value *value = rr_gguf_value_at(gguf, i);
        if (!is(value->key, edit->drop_key) && !is(value->key, edit->set_key)) {
            rr_gw_copy(&writer, value);
        }
    }
    if (edit->set_key != NULL) {
        rr_gw_raw(&writer, edit->set_key, edit->set_type, edit->set_body, edit->set_bytes);
    }
    for (size_t i = 0; i < rr_gguf_n_tensors(gguf); i++) {
        const rr_gguf_tensor *tensor = rr_gguf_tensor_at(gguf, i);
        if (!is(tensor->name, edit->drop_tensor)) {
            copy_tensor(&writer, tensor, edit);
        }
    }
    if (edit->add_tensor != NULL) {
        static const float zeros[32];
        uint64_t dims[1] = {32};
        rr_gw_tensor(&writer, edit->add_tensor, 1, dims, 0, zeros, sizeof zeros);
    }
    rr_gguf_close(&gguf);
    return rr_gw_finish(&writer, out);
}
