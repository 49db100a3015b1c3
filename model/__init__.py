"""The compact GPT and the instrument: train, evaluate, generate, ablate."""
