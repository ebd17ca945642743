/* Recorded answers as the code that made the recorded orders read them. */
#ifndef RR_TESTS_REPLAY_CHECKS_H
#define RR_TESTS_REPLAY_CHECKS_H

#include "rerank/replay.h"

/* A responder over an rr_replay (`user`): every number of an answer counts, in brackets or not. */
static inline rr_status respond_with_numbers(
    void *user, const rr_call *call, rr_reply *reply, rr_diag *diag) {
    rr_responder replay = rr_replay_responder(user);
    rr_buf text = {0};
    RR_TRY(replay.respond(replay.user, call, reply, diag));
    for (size_t i = 0; i < reply->text.bytes; i++) {
        char *c = &reply->text.data[i];
        *c = *c == '[' || *c == ']' ? ' ' : *c;
    }
    rr_buf_text(&text, "<answer>");
    rr_buf_append(&text, reply->text.data, reply->text.bytes);
    rr_buf_text(&text, "</answer>");
    rr_buf_destroy(&reply->text);
    reply->text = text;
    return RR_OK;
}

#endif
