"""The tidegate command: loads its subcommands by entry point and knows nothing else."""
