/* Whole-model truth on the real model: three prompts of at least 300 tokens, with float activations
 * (--exact) and quantized ones: what this device runs by default, and the int8 graph of GPUs.
 * REARANK_TEST_FAST=1 takes the first 96 tokens of the first prompt, for slow devices; the bounds
 * stay. */
#include "runtime/engine/internal.h"
#include "runtime/model/chat.h"
#include "tests/engine/truth.h"
#include "tests/support/real_model.h"

/* Three prompts of different kinds: a ranking, prose with code, and several languages with
 * figures. */
static const char *const ranking[] = {
    "Rank the passages by how well they answer the search query: what keeps sourdough bread from going stale",
    "Okay, please provide the passages.",
    "[1] Bread goes stale because the starch that gelatinised in the oven slowly crystallises again and gives its water to "
    "the crust. Acids formed by the bacteria of a sourdough slow this down, and a loaf made with a ripe starter stays soft "
    "for four or five days.",
    "Received passage [1].",
    "[2] The bakery on Mill Street opens at six. On Saturdays the queue reaches the bridge, and by nine the rye loaves are "
    "sold out; regular customers order by telephone the evening before.",
    "Received passage [2].",
    "[3] Never keep bread in the refrigerator: between zero and eight degrees the crystals of starch grow fastest. At room "
    "temperature, cut side down on a wooden board or wrapped in linen, a sourdough loaf dries slowly without growing mould.",
    "Received passage [3].",
    "[4] A starter is flour and water in which wild yeasts and lactic acid bacteria live together. It is fed every day at "
    "room temperature, or once a week when it rests in the cold, with equal weights of flour and water.",
    "Received passage [4].",
    "Think about each passage first, in <think> tags, then give the ranking in <answer> tags in the form [X] > [Y] > [Z]. "
    "Consider whether a passage explains the cause, whether it tells what to do, and whether it only mentions bread in "
    "passing. Name the words of the passage that decided it."};
static const char *const prose[] = {
    "Read this note and the program below it, then say what the program prints and why.\n\nThe lighthouse keeper wrote down "
    "the height of the tide every hour, in centimetres, and at the end of the day he wanted to know the largest rise from "
    "one hour to the next. He did not trust the harbour's table, because the river pushes the flood back after rain, and so "
    "he gave the numbers to his niece, who had learned to program at school.\n\n"
    "```c\n#include <stdio.h>\n\nint main(void) {\n    int tide[] = {112, 130, 171, 224, 268, 281, 262, 219, 158, 120};\n"
    "    int n = sizeof tide / sizeof tide[0], best = 0, at = 0;\n    for (int i = 1; i < n; i++) {\n"
    "        int rise = tide[i] - tide[i - 1];\n        if (rise > best) {\n            best = rise;\n            at = i;\n"
    "        }\n    }\n    printf(\"%d cm before hour %d\\n\", best, at);\n    return 0;\n}\n```\n\n"
    "Go through the loop step by step. List each difference in a table with two columns, mark the largest one, and explain "
    "in one sentence why the falling tide in the second half of the list never changes the result. Then tell the niece how "
    "to find the largest fall with the smallest possible change of her program.",
    "The differences are 18, 41, 53, 44, 13, -19, -43, -61 and -38."};
static const char *const languages[] = {
    "Übersetze die folgenden Sätze und prüfe die Rechnung.\n1. Die Fähre nach Ærø fährt täglich um 06:45, 10:15 und 17:30 Uhr; "
    "eine Überfahrt dauert 75 Minuten und kostet 214,50 Kronen.\n2. Le marché couvert de la vieille ville ferme à treize heures, "
    "sauf le samedi, où l'on vend des huîtres et du pain d'épices jusqu'au soir.\n3. 図書館は月曜日が休みで、火曜日から金曜日までは"
    "夜八時まで開いています。\n4. Поезд из Твери опоздал на сорок минут, потому что на линии лежало дерево.\n5. 如果明天下雨，我们就"
    "在家里做饺子，不去爬山了。\n\nRechnung: 3 Erwachsene × 214,50 + 2 Kinder × 107,25 = 858,00 Kronen. Stimmt das? Antworte mit "
    "einer Tabelle (Nr., Sprache, Übersetzung ins Englische) und einem kurzen Satz zur Rechnung. Wenn ein Wort mehrere "
    "Bedeutungen hat, nenne die zwei wichtigsten in Klammern.",
    "Gern. Die erste Zeile ist Deutsch, die zweite Französisch, die dritte Japanisch, die vierte Russisch und die fünfte "
    "Chinesisch."};

enum {
    MIN_TOKENS = 300,
    MAX_TOKENS = 320, /* longer prompts are cut: the model does not mind */
    FAST_TOKENS = 96,
    N_QUANTIZED = 2
};

/* Float activations differ from the reference by the order of sums and the f16 KV cache, 12-bit
 * activations hardly more, int8 activations by their rounding too. The last agree over all three
 * prompts; one alone, full of near ties, may have less. */
static const truth_limits exact_limits = {0.995, 1e-4, 1e-4}, int8_limits = {0.97, 2e-3, 2e-3};
static const double int8_agree_in_all = 0.985;

typedef struct real_engines {
    rr_engine *exact;
    struct {
        rr_engine *engine; /* NULL: not here */
        size_t n, n_agree; /* over all prompts */
        /* what this device runs by default, unless that is floats; the int8 graph of GPUs */
    } quantized[N_QUANTIZED];
    rr_ref_model *ref;
} real_engines;

static void check_real_prompt(
    const char *name, real_engines *on, const char *const *texts, size_t n_texts) {
    rr_message messages[16] = {{"system", "You are a careful assistant.", 28}};
    for (size_t i = 0; i < n_texts; i++) {
        messages[i + 1] =
            (rr_message){i % 2 == 0 ? "user" : "assistant", texts[i], strlen(texts[i])};
    }
    rr_tokens tokens = {0};
    rr_diag diag = {0};
    const rr_tokenizer *tokenizer = NULL;
    CHECK_OK(rr_engine_tokenizer(on->exact, &tokenizer, &diag), diag);
    if (tokenizer == NULL) {
        return;
    }
    CHECK_OK(rr_chat_encode(tokenizer, messages, n_texts + 1, true, &tokens, &diag), diag);
    CHECK_MSG(tokens.n >= MIN_TOKENS, "%s: %zu tokens, at least %d", name, tokens.n, MIN_TOKENS);
    size_t most = check_is_fast() ? FAST_TOKENS : MAX_TOKENS, n = tokens.n < most ? tokens.n : most;
    truth_comparison c =
        truth_reference(on->ref, tokens.ids, n, rr_engine_model(on->exact)->config.n_vocab);
    truth_check(name, on->exact, tokens.ids, &c, &exact_limits);
    for (size_t i = 0; i < N_QUANTIZED; i++) {
        rr_engine *engine = on->quantized[i].engine;
        if (engine != NULL) {
            const bool int8 = engine->compute->graph_kind == RR_GRAPH_Q8;
            char label[64];
            snprintf(label, sizeof label, "%s, %s", name, int8 ? "8 bits" : "12 bits");
            truth_check(label, engine, tokens.ids, &c, int8 ? &int8_limits : &exact_limits);
            on->quantized[i].n += c.n;
            on->quantized[i].n_agree += c.n_agree;
        }
    }
    truth_forget(&c);
    rr_tokens_destroy(&tokens);
}

static void check_prompts(real_engines *on) {
    check_real_prompt("ranking", on, ranking, sizeof ranking / sizeof ranking[0]);
    if (check_is_fast()) {
        puts("REARANK_TEST_FAST=1: the rest of this prompt and the other two are left out");
    } else {
        check_real_prompt("prose and code", on, prose, 2);
        check_real_prompt("languages and figures", on, languages, 2);
    }
}

static void check_real(const char *path) {
    real_engines on = {.exact = truth_open_engine(path, MAX_TOKENS, 0, true)};
    rr_diag diag = {0};
    if (on.exact == NULL) {
        return;
    }
    const rr_model *model = rr_engine_model(on.exact);
    const char *graph = rr_graph_name(model, rr_engine_device(on.exact), &(rr_compute_params){0});
    if (strcmp(graph,
            rr_graph_name(
                model, rr_engine_device(on.exact), &(rr_compute_params){.exact = true})) != 0) {
        on.quantized[0].engine = truth_open_engine(path, MAX_TOKENS, 0, false);
    }
    const rr_compute_params q8 = {.graph = "q8"};
    bool holds = strcmp(rr_graph_name(model, rr_engine_device(on.exact), &q8), "q8") == 0;
    if (holds && strcmp(graph, "q8") != 0 && !check_is_fast()) {
        on.quantized[1].engine = truth_open_graph(path, MAX_TOKENS, 0, false, "q8");
    }
    CHECK_OK(
        rr_ref_model_create(model, &(rr_ref_model_params){.n_context = MAX_TOKENS}, &on.ref, &diag),
        diag);
    if (on.ref != NULL) {
        check_prompts(&on);
    }
    CHECK_INT(rr_engine_n_validation_messages(on.exact), 0);
    rr_ref_model_destroy(&on.ref);
    for (size_t i = 0; i < N_QUANTIZED; i++) {
        rr_engine *engine = on.quantized[i].engine;
        if (engine != NULL) {
            const double agree = (double)on.quantized[i].n_agree / (double)on.quantized[i].n;
            printf("%s, all prompts: top-1 agreement %.2f %%\n",
                rr_graph_kind_name(engine->compute->graph_kind), 100 * agree);
            CHECK_MSG(agree >= int8_agree_in_all,
                "%s: top-1 agreement over all prompts: %.4f, at least %.4f",
                rr_graph_kind_name(engine->compute->graph_kind), agree, int8_agree_in_all);
            CHECK_INT(rr_engine_n_validation_messages(engine), 0);
            rr_engine_close(&on.quantized[i].engine);
        }
    }
    rr_engine_close(&on.exact);
}

int main(void) {
    rr_buf model = {0};
    if (!rr_real_model_path(&model)) {
        CHECK_SKIP("no real model: set REARANK_TEST_MODEL");
    }
    truth_need_device();
    check_real(model.data);
    rr_buf_destroy(&model);
    return CHECK_END();
}
