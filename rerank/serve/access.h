/* Who may use a server.
 * Owns: the checks of Host and Origin, which keep web pages from elsewhere out (DNS rebinding,
 * posts across origins), and of API keys. Pure. */
#ifndef RR_RERANK_SERVE_ACCESS_H
#define RR_RERANK_SERVE_ACCESS_H

#include "rerank/serve/fault.h"

/* All borrowed. */
typedef struct rr_access {
    const char *host;         /* that it listens at, as the user wrote it */
    const char *const *names; /* [n_names] further names that Host may have */
    size_t n_names;
    const char *const *origins; /* [n_origins] web pages that may use it: "https://a.example" */
    size_t n_origins;
    const char *const *keys; /* [n_keys] none = everybody who reaches it may use it */
    size_t n_keys;
} rr_access;

/* Headers as they were sent; NULL = absent. */
typedef struct rr_access_headers {
    const char *host, *origin, *authorization, *x_api_key;
} rr_access_headers;

/* Whether a host is this machine for itself alone: localhost, 127.…, ::1. */
bool rr_access_is_loopback(const char *host);

/* Whether Host is one of ours. A server that listens at another address than loopback, demands a
 * key and was given no names takes any: it cannot know its names. False = 403. */
bool rr_access_host(const rr_access *access, const rr_access_headers *headers, rr_fault *fault);

/* Whether a page of this Origin may use it: none (no page), the server's own, or one that was
 * allowed, which *allowed then is (else NULL): it is named in the answer. False = 403. */
bool rr_access_origin(const rr_access *access, const rr_access_headers *headers,
    const char **allowed, rr_fault *fault);

/* Whether a key is right: `Authorization: Bearer K` (any case), `Authorization: K` or
 * `X-Api-Key: K`. Takes the same time wherever a key differs. Without keys nothing is looked at.
 * *index gets the key's. False = 401. */
bool rr_access_key(
    const rr_access *access, const rr_access_headers *headers, size_t *index, rr_fault *fault);

#endif
