"""What ``scripts/benchmark.py`` measures with: inputs of a fixed seed, rivals in environments, figures."""
