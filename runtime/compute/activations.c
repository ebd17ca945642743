#include "runtime/compute/activations.h"

#include "shaders/attention.h"

rr_activations rr_activations_plan(
    const rr_model *model, rr_graph_kind graph, const rr_compute_limits *limits) {
    const rr_model_config *config = &model->config;
    const uint32_t lora = rr_lora_most(model, graph);
    const uint64_t rows = rr_pass_rows(limits);
    const uint64_t lanes = graph == RR_GRAPH_LANES ? rows : 0;
    const bool adapted_q8 = graph == RR_GRAPH_Q8 && lora != 0; /* A takes floats */
    const uint64_t plain = graph == RR_GRAPH_PLAIN || adapted_q8 ? rows : 0;
    const uint64_t floats = graph == RR_GRAPH_LANES ? 0 : rows; /* attention gives floats */
    const uint64_t quantized = graph == RR_GRAPH_PLAIN ? 0 : rows;
    const uint64_t code_bytes = graph == RR_GRAPH_LANES ? 2 : 1;
    /* the q8 graph's lm_head takes each row as two */
    const uint64_t head_rows = limits->logits_rows * (graph == RR_GRAPH_Q8 ? 2 : 1);
    const uint64_t h_rows = graph == RR_GRAPH_Q8 && quantized < head_rows ? head_rows : quantized;
    uint64_t d = config->d_model;
    uint64_t q = (uint64_t)config->n_heads * config->head_size;
    uint64_t kv = (uint64_t)config->n_kv_heads * config->head_size;
    rr_activations at = {0};
    uint64_t end = 0;
    uint64_t widths[RR_LORA_INPUTS]; /* of the lanes graph */
    for (int input = 0; input < RR_LORA_INPUTS; input++) {
        widths[input] = lanes != 0 ? rr_lora_width(model, graph, (rr_lora_input)input) : 0;
    }
    const uint64_t after_norm = widths[RR_LORA_QKV] > widths[RR_LORA_GATE_UP]
        ? widths[RR_LORA_QKV]
        : widths[RR_LORA_GATE_UP];
    struct {
        uint64_t *offset;
        uint64_t words;
    } parts[] = {
        {&at.x, rows * d},
        {&at.h, plain * d},
        {&at.qkv, rows * (q + 2 * kv)},
        {&at.attn, floats * q},
        {&at.split,
            lanes != 0 ? 0
                       : RR_ATTENTION_SCRATCH((uint64_t)RR_DECODE_ROWS, config->n_heads,
                             config->n_kv_heads, config->head_size, limits->n_context)},
        {&at.gate_up, plain * 2 * config->d_ffn},
        {&at.act, plain * config->d_ffn},
        {&at.head_in, limits->logits_rows * d},
        {&at.logits, head_rows * config->n_vocab},
        {&at.ids, limits->logits_rows},
        {&at.table, (uint64_t)limits->n_context * config->head_size},
        {&at.h_codes, h_rows * d * code_bytes / 4},
        {&at.h_groups, h_rows * d / 16},
        {&at.attn_codes, quantized * q * code_bytes / 4},
        {&at.attn_groups, quantized * q / 16},
        {&at.act_codes, quantized * config->d_ffn * code_bytes / 4},
        {&at.act_groups, quantized * config->d_ffn / 16},
        {&at.rms, lanes},
        {&at.squares, lanes * d / 32},
        {&at.tickets, lanes},
        {&at.lora, lanes != 0 ? 0 : rows * lora},
        {&at.lora_totals[RR_LORA_QKV], rows * widths[RR_LORA_QKV]},
        {&at.lora_totals[RR_LORA_GATE_UP], rows * widths[RR_LORA_GATE_UP]},
        {&at.lora_totals[RR_LORA_DOWN], rows * widths[RR_LORA_DOWN]},
        {&at.lora_sums[RR_LORA_QKV], rows * (d / 32) * after_norm},
        {&at.lora_sums[RR_LORA_O], rows * config->n_heads * widths[RR_LORA_O]},
        {&at.lora_sums[RR_LORA_DOWN], rows * (config->d_ffn / 32) * widths[RR_LORA_DOWN]},
    };
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        *parts[i].offset = end;
        end = rr_round_up(end + parts[i].words * 4, 256);
    }
    at.lora_sums[RR_LORA_GATE_UP] = at.lora_sums[RR_LORA_QKV];
    at.bytes = end;
    return at;
}
