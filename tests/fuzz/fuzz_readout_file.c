/* Readouts: any bytes are refused or give a readout that is written and read again to the same
 * bytes, and that scores a small window with finite numbers. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "rerank/readout.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

static void expect(bool condition) {
    if (!condition) {
        abort();
    }
}

/* Numbers of a window of n passages that go over all magnitudes. */
static void use(const rr_readout *readout, uint32_t n) {
    enum { MOST = 3, MOST_NUMBERS = 1 << 14 };
    rr_diag diag = {0};
    rr_read_features f = {0};
    double first_stage[MOST], scores[MOST], probabilities[MOST], sum = 0;
    if (rr_readout_n_weights(&readout->shape) > MOST_NUMBERS) {
        return;
    }
    expect(rr_read_features_make(&readout->shape, n, &f, &diag) == RR_OK);
    for (size_t i = 0; i < rr_read_n_mass(&readout->shape, n); i++) {
        f.mass[i] = i % 7 == 0 ? 0 : ldexpf(1, -(int)(i % 140));
    }
    for (size_t i = 0; i < rr_read_n_states(&readout->shape, n); i++) {
        f.states[i] = (i % 2 == 0 ? 1.0f : -1.0f) * ldexpf(1, (int)(i % 60) - 30);
    }
    for (uint32_t i = 0; i < n; i++) {
        f.lengths[i] = i * 1000;
        first_stage[i] = 100 - i;
    }
    expect(rr_readout_score(readout, &f, first_stage, scores, probabilities, &diag) == RR_OK);
    for (uint32_t i = 0; i < n; i++) {
        expect(isfinite(scores[i]) && probabilities[i] >= 0 && probabilities[i] <= 1);
        sum += scores[i];
    }
    expect(isfinite(sum));
    rr_read_features_destroy(&f);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes) {
    rr_readout readout, again;
    rr_diag diag = {0};
    rr_buf first = {0}, second = {0};
    const rr_status status = rr_readout_parse((const char *)data, bytes, "fuzz", &readout, &diag);
    if (status == RR_OK) {
        expect(rr_readout_write(&readout, &first, &diag) == RR_OK);
        expect(rr_readout_parse(first.data, first.bytes, "again", &again, &diag) == RR_OK);
        expect(rr_readout_write(&again, &second, &diag) == RR_OK);
        expect(first.bytes == second.bytes && memcmp(first.data, second.data, first.bytes) == 0);
        use(&readout, 1);
        use(&readout, 3);
        rr_readout_destroy(&again);
    } else {
        expect((status == RR_E_INPUT || status == RR_E_UNSUPPORTED) &&
            strstr(diag.text, "fuzz: ") == diag.text);
    }
    rr_readout_destroy(&readout);
    rr_buf_destroy(&first);
    rr_buf_destroy(&second);
    return 0;
}
