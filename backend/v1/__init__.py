"""Students and local models in OpenAI's form, for programs that speak it (docs/decisions/0040)."""
