"""The Python client: follows a stream through rollouts, and moves before it is pushed."""
