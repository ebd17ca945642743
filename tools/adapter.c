/* `rearank adapter`: what an adapter (LoRA) holds, whether it fits a model, and its other form. */
#include <string.h>

#include "runtime/model/adapted.h"
#include "tools/cli.h"

static void print_adapter(const rr_adapter *adapter) {
    uint32_t least = UINT32_MAX, most = 0, first = UINT32_MAX, last = 0;
    for (size_t i = 0; i < adapter->n_pairs; i++) {
        const rr_adapter_pair *pair = &adapter->pairs[i];
        least = pair->rank < least ? pair->rank : least;
        most = pair->rank > most ? pair->rank : most;
        first = pair->layer < first ? pair->layer : first;
        last = pair->layer > last ? pair->layer : last;
    }
    rr_out_printf("adapter        %s\n", adapter->path);
    rr_out_printf("made for       %s\n",
        adapter->base[0] != '\0'
            ? rr_text_show((rr_text){adapter->base, strlen(adapter->base)}).text
            : "not said");
    if (adapter->base_fingerprint != 0) {
        rr_out_printf(
            "base           fingerprint %016llx\n", (unsigned long long)adapter->base_fingerprint);
    }
    rr_out_printf("pairs          %zu, of layers %u to %u, %.2f million parameters\n",
        adapter->n_pairs, first, last, (double)rr_adapter_n_parameters(adapter) / 1e6);
    rr_out_printf(least == most ? "rank           %u\n" : "rank           %u to %u\n", least, most);
}

static void print_pairs(const rr_adapter *adapter) {
    rr_out_text("\nmodule                                        rank      scale  A     B\n");
    for (size_t i = 0; i < adapter->n_pairs; i++) {
        const rr_adapter_pair *pair = &adapter->pairs[i];
        rr_out_printf("%-44s %5u %10.6g  %-5s %s\n", pair->module, pair->rank, pair->scale,
            rr_qtype_get((uint32_t)pair->a.type)->name, rr_qtype_get((uint32_t)pair->b.type)->name);
    }
}

static rr_status info(const char *path, const char *model_path, rr_diag *diag) {
    rr_adapter *adapter = NULL;
    rr_model *model = NULL;
    rr_status status = RR_OK;
    RR_TRY_GOTO(rr_adapter_open(path, &adapter, diag));
    if (model_path != NULL) {
        RR_TRY_GOTO(rr_model_open(model_path, &model, diag));
        RR_TRY_GOTO(rr_adapter_check(adapter, model, diag));
    }
    print_adapter(adapter);
    if (model != NULL) {
        rr_out_printf("fits           %s\n", model->name);
    }
    print_pairs(adapter);
fail:
    rr_model_close(&model);
    rr_adapter_close(&adapter);
    return status;
}

static int run_info(int argc, char **argv) {
    const char *model = NULL;
    const rr_opt options[] = {RR_CLI_OPT_MODEL(&model)};
    const rr_cli_spec spec = {
        .synopsis = "ADAPTER",
        .about =
            "Shows the pairs of an adapter: a folder of peft (adapter_config.json, adapter_model.safetensors) or a\n"
            "GGUF file of llama.cpp. With -m it must also fit that model. What is not computed is refused by name.",
        .min_args = 1,
        .max_args = 1,
        .groups = {rr_cli_options(options)},
    };
    rr_cli_args args;
    const int code = rr_cli_parse(&spec, argc, argv, &args);
    if (code != RR_CLI_GO_ON) {
        return code;
    }
    rr_diag diag = {0};
    const rr_status status = info(args.items[0], model, &diag);
    return status == RR_OK ? RR_EXIT_OK : rr_cli_fail(status, &diag);
}

static rr_status convert(const char *from, const char *to, rr_diag *diag) {
    rr_adapter *adapter = NULL;
    RR_TRY(rr_adapter_open(from, &adapter, diag));
    const rr_status status = rr_adapter_write(adapter, to, diag);
    rr_adapter_close(&adapter);
    return status;
}

static int run_convert(int argc, char **argv) {
    const rr_cli_spec spec = {
        .synopsis = "ADAPTER OUT",
        .about =
            "Writes an adapter in the other form: OUT is a GGUF file of llama.cpp when its name ends in .gguf, else\n"
            "a folder of peft. A GGUF file has one alpha: where pairs need several, the factor goes into their B.",
        .min_args = 2,
        .max_args = 2,
    };
    rr_cli_args args;
    const int code = rr_cli_parse(&spec, argc, argv, &args);
    if (code != RR_CLI_GO_ON) {
        return code;
    }
    rr_diag diag = {0};
    const rr_status status = convert(args.items[0], args.items[1], &diag);
    return status == RR_OK ? RR_EXIT_OK : rr_cli_fail(status, &diag);
}

int rr_verb_adapter(int argc, char **argv) {
    if (argc > 1 && strcmp(argv[1], "info") == 0) {
        rr_cli_set_verb("adapter info");
        return run_info(argc - 1, argv + 1);
    }
    if (argc > 1 && strcmp(argv[1], "convert") == 0) {
        rr_cli_set_verb("adapter convert");
        return run_convert(argc - 1, argv + 1);
    }
    const rr_cli_spec spec = {
        .synopsis = "info ADAPTER | convert ADAPTER OUT",
        .about =
            "Adapters are small files that change what a model's linear layers compute (LoRA).\n"
            "`rearank adapter info --help` and `rearank adapter convert --help` tell more.",
        .max_args = SIZE_MAX,
    };
    rr_cli_args args;
    const int code = rr_cli_parse(&spec, argc, argv, &args);
    return code != RR_CLI_GO_ON
        ? code
        : rr_cli_usage_error("expected `rearank adapter info` or `rearank adapter convert`");
}
