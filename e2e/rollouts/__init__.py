"""A rolling update on a real cluster, watched from the clients' side, and its scorecard."""
