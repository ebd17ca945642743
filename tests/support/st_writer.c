#include "tests/support/st_writer.h"

void rr_sw_tensor(rr_st_writer *writer, const char *name, const char *dtype, const char *shape,
    const void *data, size_t bytes) {
    rr_buf_printf(&writer->header,
        "%s\"%s\":{\"dtype\":\"%s\",\"shape\":%s,\"data_offsets\":[%zu,%zu]}",
        writer->header.bytes == 0 ? "{" : ",", name, dtype, shape, writer->data.bytes,
        writer->data.bytes + bytes);
    rr_buf_append(&writer->data, data, bytes);
}

rr_status rr_sw_finish(rr_st_writer *writer, rr_buf *out) {
    rr_buf_text(&writer->header, writer->header.bytes == 0 ? "{}" : "}");
    const uint64_t length = writer->header.bytes;
    rr_buf_append(out, &length, sizeof length);
    rr_buf_append(out, writer->header.data, writer->header.bytes);
    rr_buf_append(out, writer->data.data, writer->data.bytes);
    const bool failed = writer->header.failed || writer->data.failed || out->failed;
    rr_buf_destroy(&writer->header);
    rr_buf_destroy(&writer->data);
    return failed ? RR_E_MEMORY : RR_OK;
}
