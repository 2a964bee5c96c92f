"""The opd command: one module a command or a small group; heavy imports happen inside commands."""
