"""The ground floor of every Tidegate program: the sidecar, the operator and the injector.

It stands between the core, which has no IO, and the programs, which share no code with each other.

- `environ`: the typed settings from environment variables
- `logs`: one log record a line, as JSON or as text, and never a flood
- `signals`: those that end a program with a goodbye, and those that must not end it
- `descriptors`: how many connections the system's limit allows
- `ports`: one port's connections, bounded in number and time, and counted
- `plain_http`: uvicorn's HTTP protocol, which ignores offered upgrades
- `protocol`: the same inside the bounds of a port
- `listeners`: bound sockets, before anything heavy is imported
- `serving`: uvicorn in a loop that belongs to the program
- `http`: errors as JSON, bounded bodies, health pages
"""
