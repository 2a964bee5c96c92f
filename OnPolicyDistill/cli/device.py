"""Loading MLX late, so that commands without models start at once."""

from __future__ import annotations

from OnPolicyDistill.cli.output import print_note

TF32_ADVICE = "Unset it: where the GPU has TF32, float32 products keep ten bits of 23."


def load_mlx() -> None:
    """Load MLX behind its door, before anything else imports it; tells what the user overrode."""
    from OnPolicyDistill.arrays import TF32_VARIABLE, tf32_wanted

    if tf32_wanted:
        print_note(f"Warning: {TF32_VARIABLE} is set in your environment. {TF32_ADVICE}")
