/* Prompts that begin alike: the KV of tokens that another session of the engine has is shared
 * instead of computed. Only what went through the prompt's kernels on both sides is, so the bits
 * are those that computing would give. Shared by the files of this folder only. */
#ifndef RR_ENGINE_SHARED_PREFIX_H
#define RR_ENGINE_SHARED_PREFIX_H

#include "runtime/engine/internal.h"

/* Another session that holds, in all layers that `session` has, more of the prompt `tokens` [n]
 * than `session` does, by enough to be worth sharing; NULL when there is none. *end: how far it
 * goes, at most n − 1; untouched when there is none. The caller holds the lock. O(sessions · n). */
const rr_session *rr_shared_prefix_find(const rr_engine *engine, const rr_session *session,
    const int32_t *tokens, size_t n, size_t *end);

#endif
