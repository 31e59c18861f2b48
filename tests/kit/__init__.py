"""What several folders of tests share; a folder imports from here and from itself, nothing else.

- `waiting`: wait for a condition, with a bound
- `clocks`, `virtual_time`: a clock moved by hand, an event loop whose time jumps
- `ports`: a free port, and whether a port accepts
- `forwarding`: pass bytes between two connections
- `front_door`: one address in front of several pods
- `raw_stream`: a raw HTTP/1.1 client for one event stream
- `sidecar_process`: a real sidecar process
- `fake_streams`: stand-ins for the ports the sidecar's shell is written against
- `recorder`: a backplane's reader that remembers
- `nats_server`: a real NATS server
- `system_programs`: what only root can install
- `authority`: a certificate authority
- `pod_corpus`: pods to inject, and what an injection made of them
- `node_tools`, `runtimes`, `browsers`: Node, Deno, Bun and Chromium for the TypeScript client
"""
