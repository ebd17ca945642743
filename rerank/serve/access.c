#include "rerank/serve/access.h"

#include <string.h>

#include "runtime/base/text.h"

static bool is_same_name(rr_text a, const char *b) {
    return a.bytes == strlen(b) && rr_ascii_same(a.data, b, a.bytes);
}

static bool begins_with(const char *text, const char *beginning) {
    return rr_ascii_same(text, beginning, strlen(beginning));
}

/* Hosts */

/* The host of "name:port", "[::1]:port" or either without a port; brackets are left out. Empty = it
 * has no such form. */
static rr_text host_of(const char *authority) {
    const rr_text none = {"", 0};
    const char *end;
    rr_text host;
    if (authority[0] == '[') {
        end = strchr(authority, ']');
        if (end == NULL) {
            return none;
        }
        host = (rr_text){authority + 1, (size_t)(end - authority) - 1};
        end++;
    } else {
        end = authority + strcspn(authority, ":");
        host = (rr_text){authority, (size_t)(end - authority)};
    }
    if (*end == ':') {
        end++;
        end += strspn(end, "0123456789");
    }
    return *end == '\0' ? host : none;
}

/* Four numbers with dots between. */
static bool is_ipv4(rr_text host) {
    size_t n_dots = 0, n_digits = 0;
    for (size_t i = 0; i < host.bytes; i++) {
        if (host.data[i] == '.' && n_digits > 0) {
            n_dots++;
            n_digits = 0;
        } else if (host.data[i] >= '0' && host.data[i] <= '9' && n_digits < 3) {
            n_digits++;
        } else {
            return false;
        }
    }
    return n_dots == 3 && n_digits > 0;
}

static bool is_loopback(rr_text host) {
    return is_same_name(host, "localhost") || is_same_name(host, "::1") ||
        (is_ipv4(host) && strncmp(host.data, "127.", 4) == 0);
}

bool rr_access_is_loopback(const char *host) {
    return is_loopback((rr_text){host, strlen(host)});
}

static bool is_ours(const rr_access *access, rr_text host) {
    if (host.bytes == 0) {
        return false;
    }
    if (is_loopback(host) || is_same_name(host, access->host)) {
        return true;
    }
    for (size_t i = 0; i < access->n_names; i++) {
        if (is_same_name(host, access->names[i])) {
            return true;
        }
    }
    return !rr_access_is_loopback(access->host) && access->n_keys > 0 && access->n_names == 0;
}

bool rr_access_host(const rr_access *access, const rr_access_headers *headers, rr_fault *fault) {
    if (headers->host == NULL || is_ours(access, host_of(headers->host))) {
        return true; /* every browser sends a Host */
    }
    return rr_fault_set(fault, 403,
        "the header Host names \"%.200s\", which is none of this server's names; --allow-host adds one",
        headers->host);
}

/* Origins */

bool rr_access_origin(const rr_access *access, const rr_access_headers *headers,
    const char **allowed, rr_fault *fault) {
    const char *origin = headers->origin;
    *allowed = NULL;
    if (origin == NULL) {
        return true;
    }
    for (size_t i = 0; i < access->n_origins; i++) {
        if (is_same_name((rr_text){origin, strlen(origin)}, access->origins[i])) {
            *allowed = access->origins[i];
            return true;
        }
    }
    const size_t scheme = begins_with(origin, "http://") ? strlen("http://")
        : begins_with(origin, "https://")                ? strlen("https://")
                                                         : 0;
    if (scheme > 0 && headers->host != NULL &&
        is_same_name((rr_text){origin + scheme, strlen(origin + scheme)}, headers->host)) {
        return true;
    }
    return rr_fault_set(fault, 403,
        "pages of \"%.200s\" may not use this server; --allow-origin allows one", origin);
}

/* Keys */

/* Looks at every byte of the given text, whatever it finds. */
static bool is_key(rr_text given, const char *key) {
    const size_t bytes = strlen(key);
    unsigned differs = given.bytes != bytes;
    for (size_t i = 0; i < given.bytes; i++) {
        const char expected = key[bytes > 0 ? i % bytes : 0];
        differs |= (unsigned)(unsigned char)(given.data[i] ^ expected);
    }
    return differs == 0;
}

static rr_text without_scheme(const char *authorization) {
    if (begins_with(authorization, "bearer ")) {
        authorization += strlen("bearer ");
    }
    authorization += strspn(authorization, " \t");
    size_t bytes = strlen(authorization);
    while (bytes > 0 && (authorization[bytes - 1] == ' ' || authorization[bytes - 1] == '\t')) {
        bytes--;
    }
    return (rr_text){authorization, bytes};
}

bool rr_access_key(
    const rr_access *access, const rr_access_headers *headers, size_t *index, rr_fault *fault) {
    const char *given[] = {headers->authorization, headers->x_api_key};
    bool is_right = false;
    *index = 0;
    if (access->n_keys == 0) {
        return true;
    }
    for (size_t i = 0; i < access->n_keys; i++) {
        for (size_t k = 0; k < sizeof given / sizeof given[0]; k++) {
            if (given[k] != NULL && is_key(without_scheme(given[k]), access->keys[i])) {
                is_right = true;
                *index = i;
            }
        }
    }
    return is_right ||
        rr_fault_set(fault, 401,
            headers->authorization == NULL && headers->x_api_key == NULL
                ? "this server wants an API key: Authorization: Bearer KEY"
                : "the API key is not one of this server's");
}
