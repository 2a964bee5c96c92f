"""Settings that configs of several architectures share, tiny.

Windows are 8 tokens, so that short rows already leave them. Widths are multiples of 32: groups of
4 bits and the Metal kernels of linear attention ask for that.
"""

VOCAB_SIZE = 96
WINDOW = 8
NUM_LAYERS = 4

Config = dict[str, object]

COMMON: Config = {
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": NUM_LAYERS,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 8,
    "vocab_size": VOCAB_SIZE,
    "rms_norm_eps": 1e-6,
    "layer_norm_eps": 1e-6,
    "layer_norm_epsilon": 1e-6,
    "norm_eps": 1e-6,
    "norm_epsilon": 1e-6,
    "rope_theta": 10000.0,
    "rope_scaling": None,
    "max_position_embeddings": 512,
    "tie_word_embeddings": True,
    "attention_bias": False,
    "mlp_bias": False,
    "use_bias": False,
    "sliding_window": WINDOW,
    "sliding_window_pattern": 2,
}
UNTIED: Config = {"tie_word_embeddings": False}
SLIDING: Config = {
    "layer_types": ["sliding_attention", "full_attention"] * (NUM_LAYERS // 2),
}
LOCAL: Config = {"num_local_experts": 4, "num_experts_per_tok": 2}
EXPERTS: Config = {
    "num_experts": 4,
    "num_experts_per_tok": 2,
    "moe_intermediate_size": 32,
    "shared_expert_intermediate_size": 32,
    "num_shared_experts": 1,
    "norm_topk_prob": True,
    "decoder_sparse_step": 1,
    "mlp_only_layers": [0],
    "first_k_dense_replace": 1,
}
ROUTED: Config = {
    "n_routed_experts": 4,
    "n_shared_experts": 1,
    "num_experts_per_tok": 2,
    "moe_intermediate_size": 32,
    "n_group": 1,
    "topk_group": 1,
    "topk_method": "noaux_tc",
    "scoring_func": "sigmoid",
    "norm_topk_prob": True,
    "routed_scaling_factor": 1.0,
    "first_k_dense_replace": 1,
    "moe_layer_freq": 1,
}
LATENT: Config = {
    "num_key_value_heads": 4,
    "kv_lora_rank": 32,
    "q_lora_rank": 32,
    "qk_rope_head_dim": 8,
    "qk_nope_head_dim": 8,
    "v_head_dim": 8,
}
DELTA: Config = {
    "linear_num_value_heads": 2,
    "linear_num_key_heads": 2,
    "linear_key_head_dim": 32,
    "linear_value_head_dim": 32,
    "linear_conv_kernel_dim": 4,
    "full_attention_interval": 2,
    "partial_rotary_factor": 0.5,
}
MAMBA: Config = {
    "mamba_n_heads": 4,
    "mamba_num_heads": 4,
    "mamba_d_head": 16,
    "mamba_head_dim": 16,
    "mamba_d_ssm": 64,
    "mamba_d_state": 32,
    "mamba_d_conv": 4,
    "mamba_n_groups": 1,
    "mamba_expand": 2,
    "mamba_proj_bias": False,
    "mamba_conv_bias": True,
    "ssm_state_size": 32,
    "state_size": 32,
    "conv_kernel": 4,
    "n_groups": 1,
    "use_conv_bias": True,
    "time_step_limit": (0.001, 100.0),
}
GRANITE: Config = {
    "logits_scaling": 4.0,
    "attention_multiplier": 0.3,
    "embedding_multiplier": 1.5,
    "residual_multiplier": 1.5,
}
YARN: Config = {
    "rope_type": "yarn",
    "rope_theta": 10000.0,
    "factor": 4.0,
    "original_max_position_embeddings": 16,
    "llama_4_scaling_beta": 0.1,
}
LONG: Config = {
    "rope_scaling": {
        "type": "longrope",
        "long_factor": [1.0] * 4,
        "short_factor": [1.0] * 4,
        "long_mscale": 1.0,
        "short_mscale": 1.0,
        "original_max_position_embeddings": 512,
    },
}
ROPES: Config = {
    kind: {"rope_type": "default", "rope_theta": 10000.0}
    for kind in ("sliding_attention", "full_attention")
}
CONVOLVED: Config = {
    "conv_bias": False,
    "conv_L_cache": 3,
    "block_dim": 32,
    "block_ff_dim": 64,
    "block_multiple_of": 32,
    "block_ffn_dim_multiplier": 1.0,
    "block_auto_adjust_ff_dim": False,
    "full_attn_idxs": [1, 3],
}
GPT: Config = {
    "n_embd": 32,
    "n_head": 4,
    "n_layer": NUM_LAYERS,
    "n_ctx": 512,
    "n_positions": 512,
    "n_inner": 64,
}
LONGCAT: Config = {
    **LATENT,
    "ffn_hidden_size": 64,
    "moe_topk": 2,
    "expert_ffn_hidden_size": 32,
    "n_routed_experts": 4,
    "zero_expert_num": 1,
    "num_layers": 2,
    "routed_scaling_factor": 1.0,
    "mla_scale_q_lora": True,
    "mla_scale_kv_lora": True,
}
LINEAR_KIMI: Config = {
    "linear_attn_config": {
        "kda_layers": [1, 3],
        "full_attn_layers": [2, 4],
        "num_heads": 2,
        "head_dim": 32,
        "short_conv_kernel_size": 4,
    },
}
