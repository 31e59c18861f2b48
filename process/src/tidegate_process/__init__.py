"""The ground floor of every Tidegate process: the sidecar, the operator and the injector.

It stands between the core, which has no IO, and the programs, which share no code with each other.

- `environ`: the typed settings from environment variables
- `logs`: one log record a line, as JSON or as text
- `serving`: listening sockets and uvicorn inside a loop that belongs to the program
- `limits`: bounds of a connection in bytes, time and number
- `http`: JSON errors, bounded bodies, health pages
- `signals`: the signals that end a process, and those that must not
"""
