"""A lab rollout whose clients are the TypeScript client in Node, and what it must reach."""
