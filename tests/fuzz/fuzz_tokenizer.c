/* Hostile text and hostile vocabularies. Input that begins with "GGUF" is a file whose tokenizer is
 * built; any other is text: encoding it and decoding the ids must give its normal form, without one
 * special token. */
#include <stdlib.h>
#include <string.h>

#include "runtime/model/gguf_source.h"
#include "runtime/model/normalize.h"
#include "runtime/model/tokenizer.h"
#include "tests/support/synth.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool condition) {
    if (!condition) {
        abort();
    }
}

static const rr_tokenizer *small_tokenizer(void) {
    static rr_tokenizer *made; /* kept for the life of the process */
    if (made == NULL) {
        rr_buf file = {0};
        rr_source *source = NULL;
        must(rr_synth_build(&(rr_synth){.with_vocabulary = true}, &file, NULL) == RR_OK);
        must(rr_source_parse_gguf(file.data, file.bytes, "synth", &source, NULL) == RR_OK);
        must(rr_tokenizer_create(source, &made, NULL) == RR_OK);
        rr_source_close(&source);
        rr_buf_destroy(&file);
    }
    return made;
}

static void check_text(const rr_tokenizer *tokenizer, const char *text, size_t bytes) {
    rr_tokens plain = {0}, special = {0};
    rr_buf normal = {0}, back = {0}, streamed = {0};
    must(rr_nfc_append(text, bytes, &normal, NULL) == RR_OK);
    must(rr_tokenizer_encode(tokenizer, text, bytes, &plain, NULL) == RR_OK);
    rr_utf8_stream stream = {0};
    for (size_t i = 0; i < plain.n; i++) {
        must(!rr_tokenizer_is_special(tokenizer, plain.ids[i]));
        rr_text piece = rr_tokenizer_piece(tokenizer, plain.ids[i], false);
        rr_buf_append(&back, piece.data, piece.bytes);
        rr_utf8_stream_push(&stream, piece.data, piece.bytes, i + 1 == plain.n, &streamed);
    }
    must(back.bytes == normal.bytes &&
        (back.bytes == 0 || memcmp(back.data, normal.data, back.bytes) == 0));
    must(streamed.bytes == back.bytes &&
        (back.bytes == 0 || memcmp(streamed.data, back.data, back.bytes) == 0));
    must(rr_tokenizer_encode_special(tokenizer, text, bytes, &special, NULL) == RR_OK);
    for (size_t i = 0; i < special.n; i++) {
        must(special.ids[i] >= 0 && (uint32_t)special.ids[i] < rr_tokenizer_n_vocab(tokenizer));
    }
    rr_tokens_destroy(&plain);
    rr_tokens_destroy(&special);
    rr_buf_destroy(&normal);
    rr_buf_destroy(&back);
    rr_buf_destroy(&streamed);
}

static void check_vocabulary(const uint8_t *data, size_t size) {
    rr_source *source = NULL;
    rr_tokenizer *tokenizer = NULL;
    rr_diag diag = {0};
    if (rr_source_parse_gguf(data, size, "fuzz", &source, &diag) == RR_OK &&
        rr_tokenizer_create(source, &tokenizer, &diag) == RR_OK) {
        static const char text[] = "the \xC3\xA9\xCC\xA3 <|im_end|>\n  [12] > [3]";
        check_text(tokenizer, text, sizeof text - 1);
    } else {
        must(diag.text[0] != '\0');
    }
    rr_tokenizer_destroy(&tokenizer);
    rr_source_close(&source);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size >= 4 && memcmp(data, "GGUF", 4) == 0) {
        check_vocabulary(data, size);
    } else {
        check_text(small_tokenizer(), (const char *)data, size);
    }
    return 0;
}
