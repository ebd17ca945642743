/* The container of weights: whatever the bytes, a status and a text, or tensors that fill the file and can be
 * read to their end. */
#include "runtime/model/safetensors.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

/* A broken promise of the reader ends the run, as a crash would. */
static void promise(bool kept) {
    if (!kept) {
        abort();
    }
}

static uint64_t sum_bytes(const void *data, uint64_t bytes) {
    const uint8_t *from = data;
    uint64_t sum = 0;
    for (uint64_t i = 0; i < bytes; i++) {
        sum += from[i];
    }
    return sum;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes) {
    static volatile uint64_t sink;
    rr_diag diag = {0};
    rr_safetensors *file = NULL;
    rr_status status = rr_safetensors_parse(data, bytes, "fuzz", &file, &diag);
    promise((status == RR_OK) == (file != NULL));
    promise(status == RR_OK || strlen(diag.text) > 10);
    if (file == NULL) {
        return 0;
    }
    uint64_t head_bytes = 0, end = 0;
    const uint8_t *head = rr_safetensors_head(file, &head_bytes);
    const rr_st_tensor *tensor;
    for (size_t i = 0; (tensor = rr_safetensors_at(file, i)) != NULL; i++) {
        promise((uint64_t)(tensor->data - head) == head_bytes + end);
        end += tensor->bytes;
        promise(rr_safetensors_find(file, tensor->name) == tensor);
        promise(rr_st_shape_of(tensor).text[0] == '[');
        sink = sink + sum_bytes(tensor->data, tensor->bytes) +
            sum_bytes(tensor->name.data, tensor->name.bytes);
    }
    promise(head_bytes + end == bytes);
    rr_safetensors_close(&file);
    return 0;
}
