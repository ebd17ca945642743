/* A ranking as server-sent events while it is made.
 * Owns: the events, their JSON, and what is not yet sent. One lock around all of it is the caller's
 * business; pure otherwise.
 *
 *   start    {"id", "model", "device", "mode", "documents", "windows"}
 *   window   {"window", "documents": [shown as [1], [2], …]}: its prompt is computed now; again
 *            when a window is done over: its text so far is void
 *   text     {"window", "text", "tokens"}: written, a piece of it
 *   done     {"window", "begin", "end", "documents", "permutation", …} as in an explained answer
 *   order    {"order": [documents, best first]}: provisional, after each window
 *   ranking  the answer of /v1/rerank; the last event
 *   error    the error body; the last event */
#ifndef RR_RERANK_SERVE_STREAM_H
#define RR_RERANK_SERVE_STREAM_H

#include "rerank/serve/outcome.h"

enum { RR_STREAM_WINDOWS = 1024 }; /* the first ones: when they are done over, clients are told */

/* At most so much waits for the client to read it; a client that does not read is let go. */
#define RR_STREAM_MAX_BYTES ((size_t)8 << 20)

/* Zero-initialise. */
typedef struct rr_stream {
    rr_buf text;   /* all that was written and not yet forgotten */
    size_t n_read; /* bytes of it */
    bool is_ended; /* nothing more will be written */
    bool is_full;  /* the client does not read */
    struct {
        uint64_t shown; /* a hash of the passages */
        size_t n_tokens;
        bool begun;
    } windows[RR_STREAM_WINDOWS];
} rr_stream;

/* Errors: RR_E_MEMORY. */
rr_status rr_stream_begin(rr_stream *stream, const rr_serve_request *request,
    const rr_serve_made_by *made_by, rr_diag *diag);
void rr_stream_destroy(rr_stream *stream); /* accepts a zeroed one */

void rr_stream_text(rr_stream *stream, const rr_serve_request *request, const rr_call *call,
    const char *text, size_t bytes, size_t n_tokens);
/* `call` as rr_rank_params.on_window gets it. */
void rr_stream_window(rr_stream *stream, const rr_serve_request *request, const rr_call *call,
    const rr_window_result *result);
/* The last event: its JSON in one line. */
void rr_stream_end(rr_stream *stream, const char *event, const rr_buf *json);
/* A comment, which tells the client that the server lives. */
void rr_stream_beat(rr_stream *stream);

/* Copies what is there to out[room]; 0 = nothing at the moment. */
size_t rr_stream_read(rr_stream *stream, char *out, size_t room);
bool rr_stream_is_over(const rr_stream *stream); /* all is read, and nothing more comes */

#endif
