#include "rerank/serve/stream.h"

#include <string.h>

#include "rerank/data/json_out.h"
#include "rerank/serve/detail.h"
#include "runtime/base/hash.h"

static void begin_event(rr_stream *stream, const char *name) {
    rr_buf_printf(&stream->text, "event: %s\ndata: ", name);
}

static void end_event(rr_stream *stream) {
    rr_buf_text(&stream->text, "\n\n");
    stream->is_full = stream->is_full || stream->text.failed ||
        stream->text.bytes - stream->n_read > RR_STREAM_MAX_BYTES;
}

rr_status rr_stream_begin(rr_stream *stream, const rr_serve_request *request,
    const rr_serve_made_by *made_by, rr_diag *diag) {
    begin_event(stream, "start");
    rr_buf_text(&stream->text, "{");
    rr_json_member("id", made_by->id, &stream->text);
    rr_buf_text(&stream->text, ",");
    rr_json_member("model", made_by->model, &stream->text);
    rr_buf_text(&stream->text, ",");
    rr_json_member("device", made_by->device, &stream->text);
    rr_buf_printf(&stream->text, ",\"mode\":\"%s\",\"documents\":%zu}", made_by->mode, request->n);
    end_event(stream);
    return stream->text.failed ? rr_fail(diag, RR_E_MEMORY, "out of memory for a stream") : RR_OK;
}

void rr_stream_destroy(rr_stream *stream) {
    rr_buf_destroy(&stream->text);
}

/* Tells that a window is begun, or done over: it shows others, or its text starts anew. */
static void begin_window(
    rr_stream *stream, const rr_serve_request *request, const rr_call *call, size_t n_tokens) {
    const uint64_t shown = rr_hash(call->n, call->order, call->n * sizeof *call->order);
    if (call->index < RR_STREAM_WINDOWS) {
        const bool is_known = stream->windows[call->index].begun &&
            stream->windows[call->index].shown == shown &&
            n_tokens >= stream->windows[call->index].n_tokens;
        stream->windows[call->index].begun = true;
        stream->windows[call->index].shown = shown;
        stream->windows[call->index].n_tokens = n_tokens;
        if (is_known) {
            return;
        }
    } else if (n_tokens > 0) {
        return;
    }
    begin_event(stream, "window");
    rr_buf_printf(&stream->text, "{\"window\":%zu,\"windows\":%zu,\"documents\":", call->index,
        call->n_calls);
    rr_serve_shown(request, call->order, call->n, &stream->text);
    rr_buf_text(&stream->text, "}");
    end_event(stream);
}

void rr_stream_text(rr_stream *stream, const rr_serve_request *request, const rr_call *call,
    const char *text, size_t bytes, size_t n_tokens) {
    if (stream->is_ended || stream->is_full) {
        return;
    }
    begin_window(stream, request, call, n_tokens);
    if (bytes > 0) {
        begin_event(stream, "text");
        rr_buf_printf(&stream->text, "{\"window\":%zu,\"text\":", call->index);
        rr_json_quote(text, bytes, &stream->text);
        rr_buf_printf(&stream->text, ",\"tokens\":%zu}", n_tokens);
        end_event(stream);
    }
}

/* The passages that are ranked, best first so far, and behind them the rest as it came. */
static void write_order(rr_stream *stream, const rr_serve_request *request, const rr_call *call) {
    begin_event(stream, "order");
    rr_buf_text(&stream->text, "{\"order\":[");
    for (size_t i = 0; i < request->query.n; i++) {
        const size_t passage = i < call->n_standing ? call->standing[i] : i;
        rr_buf_printf(&stream->text, "%s%u", i > 0 ? "," : "", request->index[passage]);
    }
    rr_buf_text(&stream->text, "]}");
    end_event(stream);
}

void rr_stream_window(rr_stream *stream, const rr_serve_request *request, const rr_call *call,
    const rr_window_result *result) {
    if (stream->is_ended || stream->is_full) {
        return;
    }
    begin_event(stream, "done");
    rr_buf_printf(&stream->text, "{\"window\":%zu,\"result\":", call->index);
    rr_serve_detail_window(request, result, &stream->text);
    rr_buf_text(&stream->text, "}");
    end_event(stream);
    write_order(stream, request, call);
}

void rr_stream_end(rr_stream *stream, const char *event, const rr_buf *json) {
    if (!stream->is_ended) {
        begin_event(stream, event);
        rr_buf_append(&stream->text, json->data, json->bytes);
        stream->text.failed = stream->text.failed || json->failed;
        end_event(stream);
        stream->is_ended = true;
    }
}

void rr_stream_beat(rr_stream *stream) {
    if (!stream->is_ended) {
        rr_buf_text(&stream->text, ":\n\n");
    }
}

size_t rr_stream_read(rr_stream *stream, char *out, size_t room) {
    const size_t left = stream->text.bytes - stream->n_read;
    const size_t n = left < room ? left : room;
    if (n > 0) {
        memcpy(out, stream->text.data + stream->n_read, n);
        stream->n_read += n;
    }
    if (stream->n_read == stream->text.bytes) {
        rr_buf_clear(&stream->text);
        stream->n_read = 0;
    }
    return n;
}

bool rr_stream_is_over(const rr_stream *stream) {
    return stream->is_ended && stream->n_read == stream->text.bytes;
}
